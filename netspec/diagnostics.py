"""What is wrong with a spec, and where: spans into source text and rendered diagnostics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress

from netspec.record import record, value_record

EXCERPT_WIDTH = 160
MESSAGE_LIMIT = 300  # characters: messages quote what the spec says
FINDINGS_LIMIT = 100
AGAIN_LIMIT = 12  # notes of a finding that is made again, of other places

CODES = {
    "bad-formula": "a formula is malformed, or its names, types or sizes are wrong",
    "bad-include": "an included file cannot be read or is not a library below this folder",
    "bad-name": "a name has characters that its place does not allow, or is reserved",
    "bad-shape": "an op cannot accept its input with these attributes",
    "batch-axis": "an input's shape looks like it begins with the batch",
    "block-cycle": "a block contains itself",
    "chained-copies": "a join reads copies of a `repeat` with `from:`, which read one another",
    "channels-last": "an input's shape looks like height, width, channels",
    "duplicate-key": "a mapping has a key twice",
    "duplicate-name": "two things have one name",
    "doubtful-value": "a value that is seldom what an attribute is meant to have",
    "empty-node": "something is written with nothing in it",
    "include-cycle": "a file includes itself",
    "missing-argument": "a required attribute or parameter is not given",
    "missing-key": "a file or block lacks a key, or has one that its kind of file cannot have",
    "no-input": "a node has nothing to read, because the model has several inputs",
    "no-output": "no output is left for inference",
    "null": "`null` or `~`, which have no meaning",
    "shape-mismatch": "the branches of a join, or the uses of shared parameters, do not fit",
    "split-formula": "YAML cut a formula or name that needs quotes",
    "too-deep": "blocks or text are nested too deep",
    "too-large": "a size, count or number is beyond what is supported",
    "two-calls": "a node has two calls",
    "unknown-attribute": "an op, block or variant has no such attribute or parameter",
    "unknown-block": "a library has no such block",
    "unknown-key": "a mapping has a key that has no meaning there",
    "unknown-op": "there is no op or block of this name",
    "unknown-reference": "no value of this name can be read here",
    "unused-name": "nothing reads a parameter or let, or uses a block",
    "unused-value": "a computed value or an input reaches no output",
    "wrong-type": "a value is not what its place takes",
    "yaml": "the text is not YAML, or uses a part of YAML that specs leave out",
}


@record
class SourceText:
    """A file's text under the name that messages show."""

    name: str
    text: str
    lines: tuple[str, ...]

    @staticmethod
    def of(name: str, text: str) -> SourceText:
        return SourceText(name, text, tuple(text.splitlines()))


@value_record
class Span:
    """A stretch of source text; lines and columns count from 1, the end is exclusive."""

    source: SourceText
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@value_record
class Note:
    """A further place or fact that explains a diagnostic."""

    text: str
    span: Span | None = None


@value_record
class Diagnostic:
    """One finding. `code` is stable and names the kind of mistake; `hint` says what to do."""

    code: str
    message: str
    span: Span | None
    hint: str | None = None
    notes: tuple[Note, ...] = ()
    severity: str = "error"

    def render(self) -> str:
        """The finding as text: position, message, excerpt with carets, notes, hint."""
        head = f"{self.severity}[{self.code}]: {self.message}"
        lines = [_printable(f"{self.span}: {head}" if self.span else head)]
        gutter = 0
        if self.span:
            gutter = len(str(self.span.line))
            lines += _excerpt(self.span)
        pad = " " * (gutter + 1)
        for note in self.notes:
            where = f" ({note.span})" if note.span else ""
            lines.append(_printable(f"{pad}= note: {note.text}{where}"))
        if self.hint:
            lines.append(_printable(f"{pad}= help: {self.hint}"))
        return "\n".join(lines)


class SpecError(Exception):
    """A spec has errors; `diagnostics` holds every one that was found, warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(render_all(self.diagnostics))


_NUMBER = re.compile(r"\d+")
_AGAIN = "with other numbers"


class Enough(Exception):
    """As many mistakes are found as are reported: nothing more needs to be looked at."""


class Findings:
    """Collects diagnostics and passes over exact repetitions.

    Raises:
        Enough: one more than `FINDINGS_LIMIT` is reported, and there are errors among them.
    """

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._late: list[Diagnostic] = []
        self._poisoned: dict[int, object] = {}
        self._seen: dict[tuple[object, ...], tuple[int, set[str]]] = {}

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.diagnostics)

    def error(
        self,
        code: str,
        message: str,
        span: Span | None,
        hint: str | None = None,
        notes: tuple[Note, ...] = (),
    ) -> None:
        self._add(Diagnostic(code, message, span, hint, notes))

    def warning(self, code: str, message: str, span: Span | None, hint: str | None = None) -> None:
        self._add(Diagnostic(code, message, span, hint, severity="warning"))

    def late_warning(self, code: str, message: str, span: Span | None) -> None:
        """A warning that an error found later may explain: `settle` reports it if there is none."""
        self._late.append(Diagnostic(code, message, span, severity="warning"))

    def settle(self) -> None:
        """All is looked at: report the late warnings, unless something failed."""
        for warning in () if self.failed else self._late:
            self._add(warning)
        self._late.clear()

    def adopt(self, others: Findings) -> None:
        """Go on from where `others` is: its findings, its late warnings and what it poisoned."""
        self._poisoned |= others._poisoned
        self._late += others._late
        for found in others.diagnostics:
            self._add(found)

    def extend(self, others: Findings) -> None:
        """Take over what `others` has, as far as there is room."""
        with suppress(Enough):
            for found in others.diagnostics:
                self._add(found)

    def _add(self, found: Diagnostic) -> None:
        # Copies and variants repeat a mistake with other numbers: one report is enough.
        place = found.span and (found.span.source.name, found.span.line, found.span.column)
        if len(found.message) > MESSAGE_LIMIT:
            message = found.message[: MESSAGE_LIMIT - 3] + "..."
            rest = (found.span, found.hint, found.notes, found.severity)
            found = Diagnostic(found.code, message, *rest)
        key = (found.code, _NUMBER.sub("0", found.message), place)
        full = len(self.diagnostics) >= FINDINGS_LIMIT
        if full and self.failed:
            raise Enough
        if full and found.severity != "error":
            return
        if known := self._seen.get(key):
            self._once_more(*known, found)
        else:
            self._seen[key] = len(self.diagnostics), {found.message}
            self.diagnostics.append(found)

    def _once_more(self, at: int, messages: set[str], found: Diagnostic) -> None:
        """Note that a finding is made again, and where; `messages` are those of it so far."""
        messages.add(found.message)
        first = self.diagnostics[at]
        notes = [note for note in first.notes if not note.text.endswith(_AGAIN)]
        texts, spans = {note.text for note in notes}, {note.span for note in notes}
        new = [note for note in found.notes if note.text in texts and note.span not in spans]
        notes += new[: max(0, AGAIN_LIMIT - len(notes))]
        if len(messages) > 1:
            notes.append(Note(f"{len(messages) - 1} more {_AGAIN}"))
        self.diagnostics[at] = Diagnostic(
            first.code, first.message, first.span, first.hint, tuple(notes), first.severity
        )

    def poison(self, node: object) -> None:
        """Mark a piece of syntax as already reported, so that nothing more is said of it."""
        self._poisoned[id(node)] = node

    def is_poisoned(self, node: object) -> bool:
        return id(node) in self._poisoned

    def raise_if_failed(self) -> None:
        """Raise SpecError if an error was found."""
        if self.failed:
            raise SpecError(self.diagnostics)


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """Diagnostics as text, in the order of the source."""
    return "\n\n".join(d.render() for d in sorted(diagnostics, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[str, int, int]:
    span = diagnostic.span
    return (span.source.name, span.line, span.column) if span else ("", 0, 0)


def _printable(text: str) -> str:
    """The text without what would move the cursor or colour the terminal, as wide as before."""
    return "".join(c if c.isprintable() else " " for c in text)


def _excerpt(span: Span) -> list[str]:
    lines = span.source.lines
    text = lines[span.line - 1] if span.line <= len(lines) else ""
    end = span.end_column if span.end_line == span.line else len(text) + 1
    start = span.column - 1
    cut = 0
    if len(text) > EXCERPT_WIDTH:  # a long line: show the stretch around the span
        cut = max(0, start - EXCERPT_WIDTH // 2)
        text = text[cut : cut + EXCERPT_WIDTH]
    width = max(1, min(end - 1, cut + len(text)) - start)
    text = _printable(text)
    number = str(span.line)
    pad = " " * len(number)
    return [
        f"{pad} |",
        f"{number} | {text}",
        f"{pad} | {' ' * (start - cut)}{'^' * width}",
    ]
