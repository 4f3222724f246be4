"""The syntax of a spec as typed, immutable data; every piece knows its place in the text."""

from __future__ import annotations

from typing import TypeAlias

from netspec.diagnostics import Span
from netspec.formula import Expr
from netspec.record import record

MODIFIERS = ("from", "when", "repeat")
KEYWORDS = (*MODIFIERS, "body", "inline", "share")
JOINS = ("concat", "add", "mul", "sub")
PARAM_TYPES = ("int", "float", "bool", "text", "list", "axes", "kind")


@record
class Data:
    """A number, truth value or text as written."""

    value: int | float | bool | str
    span: Span


@record
class Formula:
    """`=...`; offsets of its expression map to the text where it is written in one piece."""

    expr: Expr
    text: str  # without the `=`
    span: Span
    column: int | None  # where offset 0 stands in the first line; None if escapes moved it

    def at(self, start: int, end: int | None) -> Span:
        """The span of a stretch of the formula."""
        if self.column is None or end is None:
            return self.span
        line = self.span.line
        return Span(self.span.source, line, self.column + start, line, self.column + end)


@record
class ListValue:
    items: tuple[Value, ...]
    span: Span


@record
class MapValue:
    """`{normal: {std: 0.01}}`: only initialisers are written so."""

    entries: tuple[tuple[str, Value], ...]
    span: Span


@record
class Broken:
    """Something already reported."""

    span: Span


Value: TypeAlias = Data | Formula | ListValue | MapValue | Broken


@record
class Template:
    """A name, or a name with `{formula}` parts; as a reference it may be dotted."""

    parts: tuple[str | Formula, ...]
    span: Span

    @property
    def plain(self) -> str | None:
        """The text, if no part is a formula."""
        if all(isinstance(part, str) for part in self.parts):
            return "".join(part for part in self.parts if isinstance(part, str))
        return None

    def matches(self, name: str) -> bool:
        """Whether formulas of some values would make the template this name."""
        first, *rest = [part if isinstance(part, str) else "" for part in self.parts]
        if not rest or not name.startswith(first):
            return name == first
        at = len(first)
        for text in rest[:-1]:
            at = name.find(text, at) + len(text)
            if at < len(text):
                return False
        return name[at:].endswith(rest[-1])


@record
class Arg:
    """One argument. `same` marks a key with nothing after it, which takes its own name's value."""

    name: str
    value: Value
    span: Span  # of the key
    same: bool = False


@record
class KindCall:
    """An op or block with arguments; a single scalar argument has the empty name."""

    kind: str | Formula
    args: tuple[Arg, ...]
    span: Span  # of the kind


@record
class Group:
    body: Body
    inline: bool


@record
class Join:
    kind: str
    branches: tuple[Template | Body, ...]
    span: Span  # of the kind


@record
class Share:
    ref: Template


Call: TypeAlias = KindCall | Group | Join | Share | Broken


@record
class Repeat:
    """`times` copies, or one per row of `each`.

    `names` unpack a row; empty: rows that are mappings of names.
    """

    times: Value | None
    each: Value | None
    names: tuple[str, ...]
    unpack: bool  # `as: [a, b]` against `as: a`
    index: str
    span: Span


@record
class Node:
    key: Template | None
    call: Call
    from_: Template | None
    when: Value | None
    repeat: Repeat | None
    span: Span


@record
class Body:
    """Numbered children (`named` false) or named ones."""

    nodes: tuple[Node, ...]
    named: bool
    span: Span


def bodies_beside(node: Node) -> list[Body]:
    """The bodies inside a node whose children are named beside it: branches, and inline ones."""
    if isinstance(node.call, Join):
        return [branch for branch in node.call.branches if isinstance(branch, Body)]
    return [node.call.body] if isinstance(node.call, Group) and node.call.inline else []


@record
class ParamDecl:
    name: str
    type: str
    default: Value | None  # None: required
    min: float | None
    max: float | None
    choices: tuple[object, ...]
    doc: str
    span: Span


@record
class Let:
    name: str
    value: Value
    span: Span


@record
class Block:
    """A function of one value and its parameters. `scope` holds the blocks that its file sees."""

    name: str
    doc: str
    params: tuple[ParamDecl, ...]
    lets: tuple[Let, ...]
    body: Body
    span: Span
    scope: dict[str, Block]


@record
class Variant:
    name: str
    sets: tuple[Arg, ...]
    span: Span


@record
class InputDecl:
    name: str
    shape: tuple[Value, ...]
    span: Span


@record
class OutputDecl:
    name: str
    ref: Template
    when: Value | None
    training: bool
    span: Span


@record
class Default:
    """`defaults: {conv: {bias: false}}`: attributes that an op has unless a node says otherwise."""

    kind: str
    args: tuple[Arg, ...]
    span: Span


@record
class Model:
    name: str
    doc: str
    source: str
    params: tuple[ParamDecl, ...]
    variants: tuple[Variant, ...]
    lets: tuple[Let, ...]
    inputs: tuple[InputDecl, ...]
    defaults: tuple[Default, ...]
    blocks: dict[str, Block]  # own and included, by name
    named_blocks: dict[str, Span]  # where this file defines them, or includes them by name
    body: Body
    outputs: tuple[OutputDecl, ...]
    span: Span


@record
class Library:
    """A file of blocks without a body."""

    doc: str
    blocks: dict[str, Block]
    span: Span
