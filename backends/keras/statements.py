"""A function's statements over numbered values, and which Python variable holds each value.

A value that only the next statement reads lives in the running variable `x`; any other value has a
variable of its own. So `x` is free wherever a value is defined, through branches and loops.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import TypeAlias

from netspec.backends.source.python import names_in
from netspec.backends.source.text import WIDTH

RUNNING = "x"
MADE_AND_CALLED = re.compile(
    r"(?P<start> *(\w+ =|return)) (?P<layer>layers\.\w+\(.*\))\((?P<value>\w+)\)"
)
_TOKEN = re.compile("\0(\\d+)\0")


def token(value: int) -> str:
    """What stands for a value in a statement's text until it has a variable."""
    return f"\0{value}\0"


@dataclass(slots=True, eq=False)
class Line:
    """A simple statement. With targets, `text` is the expression that gives them their values."""

    text: str
    targets: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class If:
    """`result` is the body's result if the condition holds, else the other region's.

    `negation` is the code of `not condition`.
    """

    condition: str
    negation: str
    body: Region
    result: int
    other: Region


@dataclass(slots=True, eq=False)
class For:
    """`carried` is `start` in the first turn and what the body results in after it.

    `header` gives the `for` line; it is told which names the body mentions.
    """

    header: Callable[[set[str]], str]
    body: Region
    start: int
    carried: int
    result: int


@dataclass(slots=True, eq=False)
class Only:
    """Statements under a condition outside of which nothing reads their values."""

    condition: str
    body: Region


Statement: TypeAlias = Line | If | For | Only


@dataclass(slots=True, eq=False)
class Region:
    """Statements one after the other, and the value that they result in, if one leaves."""

    statements: list[Statement] = field(default_factory=list)
    result: int | None = None


class Renderer:
    """Turns a function's statements into lines.

    `labels` are wishes for the names of values, `new` makes a name that is free. Values in `apart`
    have variables of their own, but where a branch or a loop ends with them.
    """

    def __init__(
        self,
        region: Region,
        labels: dict[int, str],
        new: Callable[[str], str],
        apart: Container[int] = (),
    ) -> None:
        self.region = region
        self.labels = labels
        self.apart = apart
        self.new = new
        self.names: dict[int, str] = {}
        self.uses = Counter(_reads(region))
        self._merge(region)
        self.uses = Counter(_reads(region))

    def lines(self) -> list[str]:
        """The function's body."""
        return self._region(self.region, RUNNING)

    def receive(self, value: int, otherwise: str) -> str:
        """The name of a parameter that holds `value`: `x`, or `otherwise` if it is read later."""
        self.names[value] = RUNNING if self._enters(self.region, value) else otherwise
        return self.names[value]

    # -- uses -------------------------------------------------------------------------------

    def _merge(self, region: Region) -> None:
        """Make one of two conditional statements that follow each other on one condition or on its
        negation."""
        kept: list[Statement] = []
        for statement in region.statements:
            before = kept[-1] if kept else None
            branch = None
            if isinstance(statement, If) and isinstance(before, If):
                branch = self._going_on(before, statement)
            if branch is None:
                kept.append(statement)
                continue
            assert isinstance(before, If) and isinstance(statement, If)
            assert branch.result is not None
            _replace(statement.body, before.result, branch.result)
            branch.statements += statement.body.statements
            branch.result, before.result = statement.body.result, statement.result
        region.statements = kept
        for inner in (inner for statement in kept for inner in _regions(statement)):
            self._merge(inner)

    def _going_on(self, before: If, after: If) -> Region | None:
        """The branch of the first that the second continues, if nothing else reads its result."""
        reads = [*_reads(after.other), *_reads(after.body)]
        alone = reads.count(before.result) == self.uses[before.result]
        if after.other.statements or after.other.result != before.result or not alone:
            return None
        if before.condition == after.condition:
            return before.body
        negated = before.condition == after.negation or before.negation == after.condition
        return before.other if negated else None

    def _enters(self, region: Region, value: int, after: int = -1) -> bool:
        """Whether what follows a place in a region reads the value at once, and nothing later."""
        return self._entering(region, value, after) == self.uses[value]

    def _entering(self, region: Region, value: int, after: int = -1) -> int:
        """How many reads of the value come before any other value is defined."""
        match _next(region, after):
            case Line(text):
                return sum(int(v) == value for v in _TOKEN.findall(text))
            case If(body=body, other=other):
                return self._entering(body, value) + self._entering(other, value)
            case For(_, _, start):
                return int(start == value)
            case Only():
                return 0
        return int(region.result == value)

    # -- lines ------------------------------------------------------------------------------

    def _name(self, value: int, region: Region, at: int, end: str, apart: bool = False) -> str:
        """Name a value that the statement `at` defines; what leaves the region is named `end`."""
        leaves = _next(region, at) is None and region.result == value
        if self._enters(region, value, at) and (leaves or not apart):
            self.names[value] = end if leaves else RUNNING
        else:
            self.names[value] = self.new(self.labels.get(value) or "value")
        return self.names[value]

    def _fill(self, text: str) -> str:
        return _TOKEN.sub(lambda found: self.names[int(found[1])], text)

    def _region(self, region: Region, end: str) -> list[str]:
        lines: list[str] = []
        for at, statement in enumerate(region.statements):
            match statement:
                case Line(text, targets):
                    filled = self._fill(text)
                    names = [self._name(t, region, at, end, t in self.apart) for t in targets]
                    lines.append(f"{', '.join(names)} = {filled}" if names else filled)
                case If(result=result):
                    name = self._name(result, region, at, end, result in self.apart)
                    lines += self._if(statement, name)
                case For():
                    lines += self._for(statement)
                    name = self._name(statement.result, region, at, end)
                    lines += _copy(name, RUNNING)
                case Only(condition, body):
                    lines += [f"if {condition}:", *_indented(self._region(body, RUNNING))]
        if region.result is not None:
            lines += _copy(end, self.names[region.result])
        return lines

    def _if(self, statement: If, name: str) -> list[str]:
        body = self._region(statement.body, name) or ["pass"]
        lines = [f"if {statement.condition}:", *_indented(body)]
        other = self._region(statement.other, name)
        return [*lines, "else:", *_indented(other)] if other else lines

    def _for(self, statement: For) -> list[str]:
        lines = _copy(RUNNING, self.names[statement.start])
        body: list[str] = []
        if self._enters(statement.body, statement.carried):
            self.names[statement.carried] = RUNNING
        else:
            name = self.new(self.labels.get(statement.carried) or "before")
            self.names[statement.carried] = name
            body = _copy(name, RUNNING)
        body += self._region(statement.body, RUNNING)
        header = statement.header(names_in(body))
        return [*lines, header, *_indented(body or ["pass"])]


def made_first(lines: list[str]) -> list[str]:
    """A function's lines, where a layer is made first if it does not fit with its argument."""
    found = []
    for line in lines:
        call = MADE_AND_CALLED.fullmatch(line)
        margin = " " * (len(line) - len(line.lstrip()))
        if call and len(line) > WIDTH - 4 >= len(f"{margin}layer = {call['layer']}"):
            found.append(f"{margin}layer = {call['layer']}")
            line = f"{call['start']} layer({call['value']})"
        found.append(line)
    return found


def _reads(region: Region) -> list[int]:
    """The values that a region reads, as often as it does."""
    reads = [] if region.result is None else [region.result]
    for statement in region.statements:
        match statement:
            case Line(text):
                reads += map(int, _TOKEN.findall(text))
                continue
            case For(start=before):
                reads.append(before)
        reads += [read for inner in _regions(statement) for read in _reads(inner)]
    return reads


def _regions(statement: Statement) -> list[Region]:
    """The regions inside a statement."""
    match statement:
        case Line():
            return []
        case If(body=body, other=other):
            return [body, other]
    return [statement.body]


def _replace(region: Region, value: int, by: int) -> None:
    """Read `by` instead of `value`."""
    if region.result == value:
        region.result = by
    for statement in region.statements:
        match statement:
            case Line():
                statement.text = statement.text.replace(token(value), token(by))
            case For() if statement.start == value:
                statement.start = by
        for inner in _regions(statement):
            _replace(inner, value, by)


def _next(region: Region, after: int) -> Statement | None:
    """The next statement that has to do with values."""
    for at in range(after + 1, len(region.statements)):
        statement = region.statements[at]
        if not isinstance(statement, Line) or statement.targets or _TOKEN.search(statement.text):
            return statement
    return None


def _copy(target: str, value: str) -> list[str]:
    return [] if target == value else [f"{target} = {value}"]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
