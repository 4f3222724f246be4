"""Formulas and literals as Python code; nothing of a spec's text is ever pasted."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable
from typing import Any

from netspec.formula import (
    Binary,
    Call,
    Choice,
    Each,
    Expr,
    Index,
    InputShape,
    ListOf,
    Literal,
    Name,
    Slice,
    Unary,
)

_LEVELS = {
    "or": 1,
    "and": 2,
    "==": 4,
    "!=": 4,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "**": 8,
}
CHOICE, NOT, UNARY, ATOM = 0, 3, 7, 10
_FUNCTIONS = {"ceil": "math.ceil", "floor": "math.floor", "sqrt": "math.sqrt"}


class Code(str):
    """A term of code that a backend wrote, where the value of a literal stands."""


def literal(value: Any) -> str:
    """A plain value as Python code; lists become tuples."""
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, (list, tuple)):
        inside = ", ".join(literal(item) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return quoted(str(value))
    return number(value) if isinstance(value, float) else repr(value)


def number(value: float) -> str:
    """A number as Python writes it, but `1e-5` for `1e-05`."""
    digits, e, exponent = repr(float(value)).partition("e")
    return f"{digits}e{int(exponent)}" if e else digits


def quoted(text: str) -> str:
    """Text as a Python literal in double quotes where that needs no escape."""
    plain = text.isprintable() and '"' not in text and "\\" not in text
    return f'"{text}"' if plain else repr(text)


def identifier(name: str, taken: frozenset[str]) -> str:
    """A Python name for a spec's name: itself, or with `_` behind where it means something."""
    text = "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
    if not text or text[0].isdigit():
        text = f"_{text}"
    while keyword.iskeyword(text) or keyword.issoftkeyword(text) or text in taken:
        text += "_"
    return text


def code(expr: Expr, name: Callable[[str], str], shape: Callable[[str], str]) -> str:
    """A formula as Python code; `name` and `shape` give the code of names and of `input.axis`."""
    return _Printer(name, shape).at(expr, CHOICE)


def atom(expr: Expr, name: Callable[[str], str], shape: Callable[[str], str]) -> str:
    """The same, in parentheses where it is not one term."""
    return _Printer(name, shape).at(expr, ATOM)


def names_in(lines: list[str]) -> set[str]:
    """The names that statements of a function mention."""
    tree = ast.parse("\n".join(["def f():", *(f"    {line}" for line in lines), "    return"]))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


class _Printer:
    def __init__(self, name: Callable[[str], str], shape: Callable[[str], str]) -> None:
        self.name = name
        self.shape = shape

    def at(self, expr: Expr, level: int) -> str:
        """The code of `expr` where an operand of at least this level is wanted."""
        text, own = self.text(expr)
        return text if own >= level else f"({text})"

    def text(self, expr: Expr) -> tuple[str, int]:
        match expr:
            case Literal(value):
                negative = isinstance(value, (int, float)) and value < 0
                return literal(value), UNARY if negative else ATOM
            case Name(name):
                return self.name(name), ATOM
            case InputShape(axis):
                return self.shape(axis), ATOM
            case Unary("-", operand):
                return f"-{self.at(operand, UNARY)}", UNARY
            case Unary(_, operand):
                return f"not {self.at(operand, NOT)}", NOT
            case Binary(operator, left, right):
                return self.binary(operator, left, right)
            case Choice(condition, yes, no):
                parts = (self.at(yes, 1), self.at(condition, 1), self.at(no, CHOICE))
                return "{} if {} else {}".format(*parts), CHOICE
            case ListOf(items):
                inside = ", ".join(self.at(item, CHOICE) for item in items)
                return (f"({inside},)" if len(items) == 1 else f"({inside})"), ATOM
            case Index(of, index):
                return f"{self.at(of, ATOM)}[{self.at(index, CHOICE)}]", ATOM
            case Slice(of, first, last):
                ends = (self.at(x, CHOICE) if x is not None else "" for x in (first, last))
                return f"{self.at(of, ATOM)}[{':'.join(ends)}]", ATOM
            case Each(item, name, of):
                return f"[{self.at(item, 1)} for {self.name(name)} in {self.at(of, 1)}]", ATOM
            case Call(function, arguments):
                inside = ", ".join(self.at(a, CHOICE) for a in arguments)
                return f"{_FUNCTIONS.get(function, function)}({inside})", ATOM

    def binary(self, operator: str, left: Expr, right: Expr) -> tuple[str, int]:
        level = _LEVELS[operator]
        if operator == "**":  # binds to the right, and tighter than a sign before it
            base, power = self.at(left, level + 1), self.at(right, UNARY)
            # Without spaces between simple operands, as formatters write it.
            tight = all(re.fullmatch(r"-?[\w.]+", operand) for operand in (base, power))
            return f"{base}**{power}" if tight else f"{base} ** {power}", level
        # Comparisons would chain: an operand that is one stands in parentheses.
        low = level + 1 if level == 4 else level
        return f"{self.at(left, low)} {operator} {self.at(right, level + 1)}", level
