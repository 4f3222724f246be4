"""Formulas: a subset of Python expressions, parsed to a tree that is evaluated or printed.

The text is parsed by Python's own parser and never run; whatever is not in the subset is an
error with its place in the text.
"""

from __future__ import annotations

import _ast
import keyword
import re
from typing import TypeAlias

from netspec.lazy import hints
from netspec.record import value_record

LENGTH_LIMIT = 1000
DEPTH_LIMIT = 40  # of the tree, comparison and `and` chains included
INT_LIMIT = 2**63

FUNCTIONS = (
    "min",
    "max",
    "sum",
    "len",
    "abs",
    "ceil",
    "floor",
    "round",
    "sqrt",
    "range",
    "make_divisible",
)
SHAPE_NAMES = ("channels", "length", "depth", "height", "width")
WORDS = ("and", "or", "not", "if", "else", "for", "in")
RESERVED = frozenset((*FUNCTIONS, *WORDS, "input", "true", "false"))

_BINARY = {
    _ast.Add: "+",
    _ast.Sub: "-",
    _ast.Mult: "*",
    _ast.Div: "/",
    _ast.FloorDiv: "//",
    _ast.Mod: "%",
    _ast.Pow: "**",
}
_COMPARE = {
    _ast.Eq: "==",
    _ast.NotEq: "!=",
    _ast.Lt: "<",
    _ast.LtE: "<=",
    _ast.Gt: ">",
    _ast.GtE: ">=",
}


class FormulaError(Exception):
    """A formula is wrong; `start` and `end` are offsets into its text."""

    def __init__(
        self, message: str, start: int = 0, end: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.hint = hint or None


@value_record
class Literal:
    value: int | float | bool | str


@value_record
class Name:
    name: str
    start: int
    end: int


@value_record
class InputShape:
    """`input.channels` and its like."""

    axis: str
    start: int
    end: int


@value_record
class Unary:
    operator: str  # - or not
    operand: Expr


@value_record
class Binary:
    """Arithmetic, comparison, `and`, `or`."""

    operator: str
    left: Expr
    right: Expr
    start: int
    end: int


@value_record
class Choice:
    """`yes if condition else no`."""

    condition: Expr
    yes: Expr
    no: Expr


@value_record
class ListOf:
    items: tuple[Expr, ...]


@value_record
class Index:
    list: Expr
    index: Expr
    start: int
    end: int


@value_record
class Slice:
    list: Expr
    first: Expr | None
    last: Expr | None
    start: int
    end: int


@value_record
class Each:
    """`[item for name in list]`."""

    item: Expr
    name: str
    list: Expr


@value_record
class Call:
    function: str
    arguments: tuple[Expr, ...]
    start: int
    end: int


Expr: TypeAlias = (
    Literal | Name | InputShape | Unary | Binary | Choice | ListOf | Index | Slice | Each | Call
)


def parse(text: str) -> Expr:
    """Parse a formula's text (without the leading `=`).

    Raises:
        FormulaError: the text is not a formula.
    """
    if len(text) > LENGTH_LIMIT:
        raise FormulaError(f"a formula of more than {LENGTH_LIMIT} characters")
    stripped = text.strip()
    if not stripped:
        raise FormulaError("an empty formula", hint="write an expression")
    lead = len(text) - len(text.lstrip())
    stripped = stripped.replace("\n", " ")
    for bad, word in (("\\", "a backslash"), ("\0", "a NUL character"), ("#", "`#`")):
        if bad in stripped:
            at = text.index(bad)
            raise FormulaError(f"{word} is not part of formulas", at, at + 1)
    stripped = _spelt(stripped)
    try:
        tree = compile(stripped, "<formula>", "eval", 0x400)  # PyCF_ONLY_AST
    except SyntaxError as error:
        raise _not_a_formula(text.strip(), lead, error) from None
    except (ValueError, RecursionError, MemoryError):
        raise FormulaError("not a formula") from None
    assert isinstance(tree, _ast.Expression)
    return _Converter(stripped, lead).expr(tree.body, 0)


def _not_a_formula(text: str, lead: int, error: SyntaxError) -> FormulaError:
    """The first thing that another language would read, or what Python's parser says."""
    from netspec import dialects  # only mistakes pay for it

    foreign = dialects.expression(text)
    if foreign:
        start, end, hint = foreign
        return FormulaError(
            f"`{text[start:end]}` is not part of formulas", start + lead, end + lead, hint
        )
    start = min((error.offset or len(text)) - 1, len(text) - 1) + lead  # 0: at its end
    return FormulaError(f"not a formula: {error.msg.split('.')[0]}", start, start + 1)


_KEYWORDS = frozenset(keyword.kwlist) - {*WORDS, "True", "False", "None"}


def _spelt(text: str) -> str:
    """The text with Python's keywords made plain names of the same length.

    A spec may have a parameter named `lambda`. Its first letter becomes a rune, which `_unspelt`
    takes back.
    """

    def rune(match: re.Match[str]) -> str:
        word = match[0]
        if word in _KEYWORDS:
            return chr(0x16A0 + ord(word[0]) - ord("a")) + word[1:]
        return word

    return re.sub(r"'[^']*'|\"[^\"]*\"|\w+", rune, text)


def _unspelt(name: str) -> str:
    if 0x16A0 <= ord(name[0]) < 0x16A0 + 26:
        return chr(ord(name[0]) - 0x16A0 + ord("a")) + name[1:]
    return name


def names(expr: Expr) -> frozenset[str]:
    """The names that a formula reads; `input` stands for any of its shape."""
    return frozenset(n.name if isinstance(n, Name) else "input" for n in free(expr))


def free(expr: Expr, bound: frozenset[str] = frozenset()) -> tuple[Name | InputShape, ...]:
    """The free names of a formula with their places, in the order of the text."""
    match expr:
        case Name(name):
            return () if name in bound else (expr,)
        case InputShape():
            return (expr,)
        case Each(item, name, of):
            return free(item, bound | {name}) + free(of, bound)
    return tuple(n for part in _parts(expr) for n in free(part, bound))


def texts(expr: Expr) -> tuple[str, ...]:
    """The texts that are written in a formula."""
    if isinstance(expr, Literal):
        return (expr.value,) if isinstance(expr.value, str) else ()
    return tuple(text for part in _parts(expr) for text in texts(part))


def loop_names(expr: Expr) -> tuple[str, ...]:
    """The names that the lists `[item for name in list]` of a formula define."""
    own = (expr.name,) if isinstance(expr, Each) else ()
    return own + tuple(name for part in _parts(expr) for name in loop_names(part))


def _parts(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Choice(condition, yes, no):
            return (yes, condition, no)
        case ListOf(items) | Call(_, items):
            return items
        case Index(of, index):
            return (of, index)
        case Slice(of, first, last):
            return tuple(part for part in (of, first, last) if part is not None)
        case Each(item, _, of):
            return (item, of)
    return ()


def _advice(node: _ast.AST) -> str:
    from netspec.dialects import SYNTAX  # only mistakes pay for it

    return SYNTAX.get(type(node).__name__, "")


class _Converter:
    def __init__(self, text: str, lead: int) -> None:
        self.text = text.encode()
        self.lead = lead

    def place(self, node: _ast.expr) -> tuple[int, int]:
        """Offsets in characters; Python's parser counts bytes of UTF-8."""
        start = len(self.text[: node.col_offset].decode(errors="ignore"))
        end = len(self.text[: node.end_col_offset or 0].decode(errors="ignore"))
        return start + self.lead, end + self.lead

    def wrong(self, node: _ast.expr, what: str, hint: str = "") -> FormulaError:
        return FormulaError(what, *self.place(node), hint)

    def written(self, node: _ast.expr) -> str:
        """A node as it is written, cut to a length that messages can quote."""
        text = self.text[node.col_offset : node.end_col_offset].decode(errors="ignore")
        return text if len(text) <= 30 else text[:27] + "..."

    def no_function(self, called: _ast.expr) -> FormulaError:

        name = self.written(called)
        if isinstance(called, (_ast.Name, _ast.Attribute)):
            hint = hints.suggestion(name, FUNCTIONS, "there are", "FUNCTIONS")
            return self.wrong(called, f"no function `{name}`", hint or "")
        return self.wrong(called, f"`{name}` is no function", "a product is written `a * b`")

    def expr(self, node: _ast.expr, depth: int) -> Expr:
        if depth > DEPTH_LIMIT:
            raise self.wrong(node, f"a formula nested deeper than {DEPTH_LIMIT}")
        method = getattr(self, type(node).__name__, None)
        if method is None:
            raise self.wrong(node, f"`{self.written(node)}` is not part of formulas", _advice(node))
        result: Expr = method(node, depth + 1)
        return result

    def chain(self, node: _ast.expr, length: int, depth: int) -> int:
        """The depth of a chain's innermost operand: chains become nested pairs."""
        if depth + length > DEPTH_LIMIT + 1:
            raise self.wrong(node, f"a formula nested deeper than {DEPTH_LIMIT}")
        return depth + length - 1

    def Constant(self, node: _ast.Constant, depth: int) -> Expr:  # noqa: N802 - names of Python's tree
        if isinstance(node.value, (bool, int, float, str)) and node.kind is None:
            if isinstance(node.value, bool):
                hint = f"write `{str(node.value).lower()}`"
                raise self.wrong(node, f"unknown name `{node.value}`", hint)
            if isinstance(node.value, float) and node.value in (float("inf"), float("-inf")):
                raise self.wrong(node, "a number that is not finite")
            if isinstance(node.value, int) and node.value > INT_LIMIT:
                raise self.wrong(node, "a number that is too large")
            return Literal(node.value)
        raise self.wrong(node, "only numbers, 'text', true and false are constants")

    def Name(self, node: _ast.Name, depth: int) -> Expr:  # noqa: N802
        if node.id in ("true", "false"):
            return Literal(node.id == "true")
        if node.id in FUNCTIONS:
            raise self.wrong(node, f"`{node.id}` is a function: write `{node.id}(...)`")
        if node.id == "input":
            raise self.wrong(node, "`input` is not a number", "write `input.channels`")
        return Name(_unspelt(node.id), *self.place(node))

    def Attribute(self, node: _ast.Attribute, depth: int) -> Expr:  # noqa: N802
        if not (isinstance(node.value, _ast.Name) and node.value.id == "input"):
            part = node.attr if node.attr in SHAPE_NAMES else "channels"
            raise self.wrong(node, "only `input` has parts", f"such as `input.{part}`")
        if node.attr not in SHAPE_NAMES:
            hint = hints.suggestion(node.attr, SHAPE_NAMES, "it has")
            raise self.wrong(node, f"`input` has no `{node.attr}`", hint or "")
        return InputShape(node.attr, *self.place(node))

    def UnaryOp(self, node: _ast.UnaryOp, depth: int) -> Expr:  # noqa: N802
        operand = self.expr(node.operand, depth)
        if isinstance(node.op, _ast.UAdd):
            raise self.wrong(node, "a leading `+` is not part of formulas")
        if isinstance(node.op, _ast.Invert):
            raise self.wrong(node, "`~` is not part of formulas")
        return Unary("not" if isinstance(node.op, _ast.Not) else "-", operand)

    def BinOp(self, node: _ast.BinOp, depth: int) -> Expr:  # noqa: N802
        operator = _BINARY.get(type(node.op))
        if operator is None:
            known = " ".join(_BINARY.values())
            hint = _advice(node.op) or f"there are {known}"
            raise self.wrong(node, "this operator is not part of formulas", hint)
        left, right = self.expr(node.left, depth), self.expr(node.right, depth)
        return Binary(operator, left, right, *self.place(node))

    def BoolOp(self, node: _ast.BoolOp, depth: int) -> Expr:  # noqa: N802
        operator = "and" if isinstance(node.op, _ast.And) else "or"
        depth = self.chain(node, len(node.values), depth)
        result = self.expr(node.values[0], depth)
        for value in node.values[1:]:
            result = Binary(operator, result, self.expr(value, depth), *self.place(node))
        return result

    def Compare(self, node: _ast.Compare, depth: int) -> Expr:  # noqa: N802
        depth = self.chain(node, len(node.ops), depth)
        operands = [self.expr(x, depth) for x in (node.left, *node.comparators)]
        result: Expr | None = None
        for i, op in enumerate(node.ops):
            operator = _COMPARE.get(type(op))
            if operator is None:
                known = " ".join(_COMPARE.values())
                hint = _advice(op) or f"there are {known}"
                raise self.wrong(node, "this comparison is not part of formulas", hint)
            step = Binary(operator, operands[i], operands[i + 1], *self.place(node))
            result = Binary("and", result, step, *self.place(node)) if result else step
        assert result is not None
        return result

    def IfExp(self, node: _ast.IfExp, depth: int) -> Expr:  # noqa: N802
        return Choice(*(self.expr(x, depth) for x in (node.test, node.body, node.orelse)))

    def List(self, node: _ast.List, depth: int) -> Expr:  # noqa: N802
        return ListOf(tuple(self.expr(x, depth) for x in node.elts))

    def Subscript(self, node: _ast.Subscript, depth: int) -> Expr:  # noqa: N802
        of = self.expr(node.value, depth)
        if not isinstance(node.slice, _ast.Slice):
            return Index(of, self.expr(node.slice, depth), *self.place(node))
        if node.slice.step is not None:
            raise self.wrong(node, "a slice has no step")
        ends = (node.slice.lower, node.slice.upper)
        first, last = (None if x is None else self.expr(x, depth) for x in ends)
        return Slice(of, first, last, *self.place(node))

    def ListComp(self, node: _ast.ListComp, depth: int) -> Expr:  # noqa: N802
        loop = node.generators[0]
        simple = len(node.generators) == 1 and not loop.ifs and not loop.is_async
        if not simple or not isinstance(loop.target, _ast.Name):
            hint = "leave out what its `if` excludes with a slice" if loop.ifs else ""
            raise self.wrong(node, "a list is written `[item for name in list]`", hint)
        if loop.target.id in RESERVED:
            raise self.wrong(loop.target, f"`{loop.target.id}` is reserved")
        return Each(
            self.expr(node.elt, depth), _unspelt(loop.target.id), self.expr(loop.iter, depth)
        )

    def Call(self, node: _ast.Call, depth: int) -> Expr:  # noqa: N802
        name = node.func.id if isinstance(node.func, _ast.Name) else None
        if name not in FUNCTIONS:
            raise self.no_function(node.func)
        if node.keywords or any(isinstance(a, _ast.Starred) for a in node.args):
            raise self.wrong(node, "functions take plain arguments only")
        arguments = tuple(self.expr(x, depth) for x in node.args)
        return Call(name, arguments, *self.place(node))
