"""Evaluate formulas: strict about types, bounded in every size and in the number of steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from netspec.formula import (
    INT_LIMIT,
    Binary,
    Call,
    Choice,
    Each,
    Expr,
    FormulaError,
    Index,
    InputShape,
    ListOf,
    Literal,
    Name,
    Slice,
    Unary,
)
from netspec.types import SPATIAL_NAMES, TensorType

LIST_LIMIT = 100_000
STEP_LIMIT = 5_000_000


class Steps:
    """Counts the work of all formulas of one spec, so that no spec can keep us busy for ever."""

    __slots__ = ("left",)

    def __init__(self, limit: int = STEP_LIMIT) -> None:
        self.left = limit

    def take(self, count: int = 1) -> None:
        self.left -= count
        if self.left < 0:
            raise FormulaError("the formulas of this spec take too many steps")


class Unknown:
    """The value of something that has already been reported; it silences what depends on it."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()


class UnknownValue(Exception):
    """A formula depends on something already reported."""


def evaluate(
    expr: Expr, scope: Mapping[str, Any], input_type: TensorType | Unknown | None, steps: Steps
) -> Any:
    """The value of a formula: an int, float, bool, text or list of these.

    `input_type` is what the block received; None where there is no single one.

    Raises:
        FormulaError: a name, type or size is wrong.
        UnknownValue: the formula reads something already reported.
    """
    return _Evaluation(scope, input_type, steps).value(expr)


class _Evaluation:
    def __init__(
        self, scope: Mapping[str, Any], input_type: TensorType | Unknown | None, steps: Steps
    ) -> None:
        self.scope = scope
        self.input_type = input_type
        self.steps = steps

    def value(self, expr: Expr) -> Any:
        self.steps.take()
        match expr:
            case Literal(value):
                return value
            case Name(name, start, end):
                if name not in self.scope:
                    raise FormulaError(f"unknown name `{name}`", start, end)
                value = self.scope[name]
                if isinstance(value, Unknown):
                    raise UnknownValue
                return value
            case InputShape(axis, start, end):
                return self.axis(axis, start, end)
            case Unary("-", operand):
                return -self.number(self.value(operand), "-")
            case Unary(_, operand):
                return not self.truth(self.value(operand), "not")
            case Binary():
                try:
                    return self.binary(expr)
                except FormulaError as error:
                    if error.end is None:
                        error.start, error.end = expr.start, expr.end
                    raise
            case Choice(condition, yes, no):
                return self.value(yes if self.truth(self.value(condition), "if") else no)
            case ListOf(items):
                return [self.value(item) for item in items]
            case Index(of, index, start, end):
                row, at = self.items(of), self.whole(index)
                if not -len(row) <= at < len(row):
                    raise FormulaError(f"index {at} of a list of {len(row)}", start, end)
                return row[at]
            case Slice(of, first, last):
                row = self.items(of)
                ends = [None if x is None else self.whole(x) for x in (first, last)]
                self.steps.take(len(row))
                return row[slice(*ends)]
            case Each(item, name, of):
                scope = {**self.scope}
                inner = _Evaluation(scope, self.input_type, self.steps)
                self.steps.take(len(scope))
                result = []
                for element in self.items(of):
                    scope[name] = element
                    result.append(inner.value(item))
                return result
            case Call(function, arguments, start, end):
                try:
                    return self.call(function, [self.value(a) for a in arguments])
                except FormulaError as error:
                    if error.end is None:
                        error.start, error.end = start, end
                    raise

    def axis(self, axis: str, start: int, end: int) -> int:
        given = self.input_type
        if isinstance(given, Unknown):
            raise UnknownValue
        if given is None:
            hint = (
                "a block has one, and the body of a model of one input, whose lets come before it"
            )
            raise FormulaError("there is no single `input` here", start, end, hint)
        shape_names = ("channels", *SPATIAL_NAMES.get(given.rank, ()))
        if axis not in shape_names:
            known = ", ".join(shape_names)
            raise FormulaError(
                f"the input is {given} and has no {axis}", start, end, f"it has {known}"
            )
        return given.shape[shape_names.index(axis)]

    def binary(self, expr: Binary) -> Any:
        operator = expr.operator
        left = self.value(expr.left)
        if operator in ("and", "or"):
            if self.truth(left, operator) == (operator == "or"):
                return left
            return self.truth(self.value(expr.right), operator)
        right = self.value(expr.right)
        if operator in ("==", "!="):
            return self.equal(left, right) == (operator == "==")
        a, b = self.number(left, operator), self.number(right, operator)
        if operator in ("<", "<=", ">", ">="):
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]
        return self.arithmetic(operator, a, b)

    def equal(self, a: Any, b: Any) -> bool:
        if _word(a) != _word(b) or isinstance(a, list):
            numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
            if not numbers or isinstance(a, bool) or isinstance(b, bool):
                raise FormulaError(f"cannot compare {_word(a)} with {_word(b)}")
        return bool(a == b)

    def arithmetic(self, operator: str, a: Any, b: Any) -> Any:
        if operator in ("/", "//", "%") and b == 0:
            raise FormulaError("division by zero")
        if operator == "**":
            return self.power(a, b)
        try:
            match operator:
                case "+":
                    result = a + b
                case "-":
                    result = a - b
                case "*":
                    result = a * b
                case "/":
                    result = a / b
                case "//":
                    result = a // b
                case _:
                    result = a % b
        except OverflowError:
            raise FormulaError("a number that is too large") from None
        return _bounded(result)

    def power(self, a: Any, b: Any) -> Any:
        if a == 0 and b < 0:
            raise FormulaError("division by zero")
        whole = isinstance(a, int) and isinstance(b, int) and b >= 0
        if whole and abs(a) > 1 and b * math.log2(abs(a)) > 64:
            raise FormulaError("a number that is too large")
        try:
            result = a**b if whole else float(a) ** b
        except OverflowError:
            raise FormulaError("a number that is too large") from None
        if isinstance(result, complex):
            raise FormulaError("a root of a negative number")
        return _bounded(result)

    def truth(self, value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            raise FormulaError(f"`{where}` needs true or false, not {_word(value)}")
        return value

    def number(self, value: Any, where: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise FormulaError(f"`{where}` needs numbers, not {_word(value)}")
        return value

    def whole(self, expr: Expr) -> int:
        value = self.value(expr)
        if isinstance(value, bool) or not isinstance(value, int):
            raise FormulaError(f"an index is an int, not {_word(value)}")
        return value

    def items(self, expr: Expr) -> list[Any]:
        value = self.value(expr)
        if not isinstance(value, list):
            raise FormulaError(f"only a list has items, and this is {_word(value)}")
        return value

    def call(self, function: str, arguments: list[Any]) -> Any:
        least, most = _ARITY.get(function, (1, 1))
        if not least <= len(arguments) <= most:
            count = f"{least}" if least == most else f"{least} to {most}"
            plural = "" if most == 1 else "s"
            message = f"`{function}` takes {count} argument{plural}, not {len(arguments)}"
            raise FormulaError(message if most < 99 else f"`{function}` needs an argument")
        if function == "len":
            if not isinstance(arguments[0], list):
                raise FormulaError(f"`len` needs a list, not {_word(arguments[0])}")
            return len(arguments[0])
        if function in ("min", "max", "sum"):
            if len(arguments) == 1:
                if not isinstance(arguments[0], list):
                    word = _word(arguments[0])
                    raise FormulaError(f"`{function}` of one argument needs a list, not {word}")
                arguments = arguments[0]
            self.steps.take(len(arguments))
            if not arguments and function != "sum":
                raise FormulaError(f"`{function}` of an empty list")
        numbers = [self.number(a, function) for a in arguments]
        if function == "range":
            return self.range(numbers)
        if function == "sum":
            return _bounded(sum(numbers))
        return _bounded(_FUNCTIONS[function](*numbers))

    def range(self, numbers: list[Any]) -> list[int]:
        if not all(isinstance(n, int) for n in numbers):
            raise FormulaError("`range` needs ints")
        if len(numbers) == 3 and numbers[2] == 0:
            raise FormulaError("`range` needs a step other than 0")
        values = range(*numbers)
        if len(values) > LIST_LIMIT:
            raise FormulaError(f"a list of more than {LIST_LIMIT:,}")
        self.steps.take(len(values))
        return list(values)


def make_divisible(x: float, m: int) -> int:
    """Round to a multiple of `m`, never by more than 10 % down (the MobileNet rule)."""
    if not isinstance(m, int) or m <= 0:
        raise FormulaError("`make_divisible` needs a multiple that is an int of at least 1")
    value = max(m, int(x + m / 2) // m * m)
    return value + m if value < 0.9 * x else value


def _sqrt(x: float) -> float:
    if x < 0:
        raise FormulaError("`sqrt` of a negative number")
    return math.sqrt(x)


def _round(x: float) -> int:
    return round(x)


_ARITY = {
    "min": (1, 99),
    "max": (1, 99),
    "sum": (1, 1),
    "range": (1, 3),
    "make_divisible": (2, 2),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": lambda *xs: min(xs),
    "max": lambda *xs: max(xs),
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": _round,
    "sqrt": _sqrt,
    "make_divisible": make_divisible,
}


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > INT_LIMIT:
        raise FormulaError("a number that is too large")
    if isinstance(value, float) and not math.isfinite(value):
        raise FormulaError("a number that is not finite")
    return value


def _word(value: Any) -> str:
    for kind, word in (
        (bool, "true/false"),
        (int, "an int"),
        (float, "a float"),
        (str, "text"),
        (list, "a list"),
    ):
        if isinstance(value, kind):
            return word
    return "a mapping"
