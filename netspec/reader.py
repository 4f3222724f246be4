"""Read YAML as its users believe it to be: 1.2 scalars, plain data, every node with its span."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import yaml

from netspec.diagnostics import Findings, Note, SourceText, Span
from netspec.record import record
from netspec.yaml_errors import at, balance, between, explain, extent, quoted

DEPTH_LIMIT = 64
SIZE_LIMIT = 500_000  # YAML nodes, counted with aliases expanded
TEXT_LIMIT = 16 * 2**20
NUMBER_LIMIT = 40  # characters of a number

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = ("null", "Null", "NULL", "~")
_NOT_NUMBERS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@record
class Scalar:
    """A number, a truth value, text, or nothing (None: an empty place after a key)."""

    value: int | float | bool | str | None
    text: str
    span: Span
    plain: bool


@record
class Sequence:
    items: tuple[YamlNode, ...]
    span: Span


@record
class Mapping:
    """Keys are always text: `0` and `true` as keys are the texts "0" and "true"."""

    entries: tuple[tuple[Scalar, YamlNode], ...]
    span: Span

    def get(self, key: str) -> YamlNode | None:
        return next((value for name, value in self.entries if name.text == key), None)

    def key(self, key: str) -> Scalar:
        return next(name for name, _ in self.entries if name.text == key)


YamlNode: TypeAlias = Scalar | Sequence | Mapping


def read(source: SourceText, findings: Findings) -> YamlNode | None:
    """Parse one YAML document; None, with the reason in `findings`, if that is impossible.

    Only plain data comes out: tags are refused and nothing is ever constructed from them.
    """
    if len(source.text) > TEXT_LIMIT:
        findings.error("too-large", f"the file is larger than {TEXT_LIMIT >> 20} MiB", None)
        return None
    composer = _Composer(source, findings)
    try:
        return composer.document()
    except yaml.reader.ReaderError:  # its own position counts bytes
        bad = _NOT_PRINTABLE.search(source.text)
        span = at(source, bad.start()) if bad else None
        word = f" (U+{ord(bad[0]):04X})" if bad else ""
        findings.error("yaml", f"a character that YAML does not allow{word}", span)
    except yaml.MarkedYAMLError as error:
        explain(error, source, findings)
    except _Refused:
        pass
    return None


def plain(node: YamlNode) -> Any:
    """The node as Python data, for the JSON Schema; nothing is None."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


class _Refused(Exception):
    """Reading cannot go on; the finding is already made."""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    event: Any
    children: list[YamlNode]
    size: int = 1


class _Composer:
    """Builds nodes from YAML's events with a stack of its own, so that depth is bounded by us."""

    def __init__(self, source: SourceText, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self.anchors: dict[str, tuple[YamlNode, int]] = {}
        self.pending: set[str] = set()
        self.read = 0
        self.stack: list[_Open] = []

    def document(self) -> YamlNode | None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        root: YamlNode | None = None
        documents = 0
        for event in yaml.parse(self.source.text, Loader=loader):
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self._refuse("yaml", "a second document in the file", self._span(event))
            self.read += 1
            if self.read > 2 * SIZE_LIMIT:  # collections begin and end
                self._refuse("too-large", f"more than {SIZE_LIMIT:,} values", self._span(event))
            done = self._take(kind, event)
            if done is not None:
                root = done
        if root is None or (isinstance(root, Scalar) and not _written(root)):
            where = Span(self.source, 1, 1, 1, 1)
            self.findings.error("yaml", "the file is empty", where)
            return None
        return root

    def _take(self, kind: str, event: Any) -> YamlNode | None:
        """Take one event; the root once it is complete."""
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._refuse_tag(event)
            if len(self.stack) >= DEPTH_LIMIT:
                self._refuse("too-deep", f"nested deeper than {DEPTH_LIMIT}", self._span(event))
            if event.anchor:
                self.pending.add(event.anchor)
            self.stack.append(_Open(event, []))
            return None
        if kind == "ScalarEvent":
            self._refuse_tag(event)
            return self._add(self._scalar(event), 1, event.anchor)
        if kind == "AliasEvent":
            return self._add(*self._aliased(event), None)
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = self.stack.pop()
            start, end = done.event.start_mark, event.end_mark
            if not done.event.flow_style:  # YAML ends block collections where the next token is
                last = done.children[-1].span if done.children else self._span(done.event)
                span = Span(
                    self.source, start.line + 1, start.column + 1, last.end_line, last.end_column
                )
            else:
                span = between(self.source, start, end)
            node: YamlNode
            if kind == "SequenceEndEvent":
                flow = bool(done.event.flow_style)
                items = self._unsplit_items(done.children) if flow else done.children
                node = Sequence(tuple(items), span)
            else:
                node = self._mapping(done.children, span)
            return self._add(node, done.size, done.event.anchor)
        return None

    def _add(self, node: YamlNode, size: int, anchor: str | None) -> YamlNode | None:
        if anchor:
            self.anchors[anchor] = (node, size)
            self.pending.discard(anchor)
        if not self.stack:
            return node
        top = self.stack[-1]
        top.children.append(node)
        top.size += size
        if top.size > SIZE_LIMIT:
            message = f"more than {SIZE_LIMIT:,} values once aliases are expanded"
            self._refuse("too-large", message, node.span)
        return None

    def _aliased(self, event: Any) -> tuple[YamlNode, int]:
        span = self._span(event)
        if event.anchor in self.anchors and event.anchor not in self.pending:
            return self.anchors[event.anchor]
        if event.anchor in self.pending:
            self._refuse("yaml", f"alias `*{event.anchor}` stands inside its own anchor", span)
        raise self._refuse("yaml", f"alias `*{event.anchor}` has no anchor before it", span)

    def _mapping(self, children: list[YamlNode], span: Span) -> Mapping:
        entries: list[tuple[Scalar, YamlNode]] = []
        seen: dict[str, Scalar] = {}
        pairs = list(zip(children[::2], children[1::2], strict=True))
        whole = self._unsplit(pairs)
        broken = False
        for key, value in whole:
            if not isinstance(key, Scalar) or key.text == "":
                hint = "a formula is `=NAME`, without braces" if isinstance(key, Mapping) else None
                if hint and _written(value):
                    hint = "quote a name that begins with a brace"
                self._error("yaml", "a key must be a name", key.span, hint)
                broken = True
            elif key.plain and key.text == "<<":
                hint = "name the values again, or share a block"
                self._error(
                    "yaml", "merge keys (`<<`) are not part of the language", key.span, hint
                )
                broken = True
            elif key.text in seen:
                note = Note(f"`{key.text}` is first written here", seen[key.text].span)
                self.findings.error(
                    "duplicate-key", f"key `{key.text}` is written twice", key.span, None, (note,)
                )
            else:
                seen[key.text] = key
                entries.append((key, value))
        made = Mapping(tuple(entries), span)
        if broken or len(whole) < len(pairs):
            self.findings.poison(made)  # what is missing in it is no second mistake
        return made

    def _unsplit(self, pairs: list[tuple[YamlNode, YamlNode]]) -> list[tuple[YamlNode, YamlNode]]:
        """Report formulas that a comma in `{ }` cut in pieces, and drop the pieces."""
        kept: list[tuple[YamlNode, YamlNode]] = []
        cut = 0
        first: Scalar | None = None
        for key, value in pairs:
            if cut > 0 and isinstance(key, Scalar):
                cut += balance(key.text)
                if isinstance(value, Scalar):
                    cut += balance(value.text) if value.plain else 0
                if cut <= 0 and first is not None:
                    self._split_formula(first, value if _written(value) else key)
                continue
            if _can_be_cut(value):
                cut, first = balance(value.text), value
            kept.append((key, value))
        if cut > 0 and first is not None:
            self._never_closed(first)
        return kept

    def _unsplit_items(self, items: list[YamlNode]) -> list[YamlNode]:
        """As `_unsplit`, for `[ ]`."""
        kept: list[YamlNode] = []
        cut = 0
        first: Scalar | None = None
        for item in items:
            if cut > 0 and isinstance(item, Scalar):
                cut += balance(item.text)
                if cut <= 0 and first is not None:
                    self._split_formula(first, item)
                continue
            kept.append(item)
            if _can_be_cut(item):
                cut, first = balance(item.text), item
        if cut > 0 and first is not None:
            self._never_closed(first)
        return kept

    def _split_formula(self, first: Scalar, last: YamlNode) -> None:
        start, end = first.span, last.span
        span = Span(self.source, start.line, start.column, end.end_line, end.end_column)
        self.findings.poison(first)
        if first.text.startswith("("):
            text = extent(self.source.lines[start.line - 1][start.column - 1 :])
            self._error("wrong-type", "`( )` is no list", span, f"write [{text[1:-1]}]")
            return
        message = "YAML ends this formula at the comma"
        self.findings.error("split-formula", message, span, quoted(self.source, span, "formula"))

    def _never_closed(self, first: Scalar) -> None:
        self.findings.poison(first)
        message = "a bracket of this formula is never closed"
        hint = "close it, and quote the formula if it has a comma"
        self._error("split-formula", message, first.span, hint)

    def _scalar(self, event: Any) -> Scalar:
        span = self._span(event)
        text: str = event.value
        if event.style:  # quoted or block text is text
            return Scalar(text, text, span, False)
        errors = len(self.findings.diagnostics)
        scalar = Scalar(self._resolve(text, span), text, span, True)
        if len(self.findings.diagnostics) > errors:
            self.findings.poison(scalar)
        return scalar

    def _resolve(self, text: str, span: Span) -> int | float | bool | str | None:
        """A plain scalar's value by the core schema of YAML 1.2."""
        if text == "":
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        if text in _NULLS:
            hint = "leave the place empty, or leave the key out"
            self._error("null", f"`{text}` has no meaning here", span, hint)
            return None
        if _NOT_NUMBERS.fullmatch(text):
            self._error("wrong-type", f"`{text}` is not a finite number", span)
            return 0.0
        whole, real = _INT.fullmatch(text), _FLOAT.fullmatch(text)
        if (whole or real) and len(text) > NUMBER_LIMIT:
            self._error("too-large", "a number with too many digits", span)
            return 0
        if whole:
            base = {"0o": 8, "0x": 16}.get(text[:2], 10)
            return int(text, base)
        if real:
            number = float(text)
            if number in (float("inf"), float("-inf")):
                self._error("wrong-type", f"`{text}` is not a finite number", span)
                return 0.0
            return number
        return text

    def _refuse_tag(self, event: Any) -> None:
        if event.tag:
            span = self._span(event)
            written = re.search(r"!\S*", self.source.lines[span.line - 1][span.column - 1 :])
            if written:
                start = span.column + written.start()
                span = Span(self.source, span.line, start, span.line, start + len(written[0]))
            message = "tags are not part of the language"
            self._refuse("yaml", message, span, "a spec holds plain data only")

    def _error(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.findings.error(code, message, span, hint)

    def _refuse(self, code: str, message: str, span: Span, hint: str | None = None) -> _Refused:
        self.findings.error(code, message, span, hint)
        raise _Refused

    def _span(self, event: Any) -> Span:
        return between(self.source, event.start_mark, event.end_mark)


def _can_be_cut(node: YamlNode) -> TypeGuard[Scalar]:
    """Whether this may be the beginning of a formula, or of a Python tuple, with a comma."""
    return isinstance(node, Scalar) and node.plain and node.text.startswith(("=", "("))


def _written(node: YamlNode) -> bool:
    return not (isinstance(node, Scalar) and node.text == "")
