"""What is wrong where YAML stopped: its errors in words, and formulas that it cut in pieces."""

from __future__ import annotations

import re
from typing import Any

import yaml

from netspec.diagnostics import Findings, Note, SourceText, Span

_OPEN = {"(": ")", "[": "]", "{": "}"}
# Plain text that YAML ended at a bracket or `: `, at the place of its error.
_CUT_FORMULA = re.compile(r"(?:^|[\s,\[{])(=[^,\[\]{}\"'#]*?)([\[{]|:)$")
_CUT_NAME = re.compile(r"(?:^|[\s,\[{])([A-Za-z0-9_.-]+)(\{)$")
_TEMPLATE = re.compile(r"[A-Za-z0-9_.-]*(\{[^{}]*\}[A-Za-z0-9_.-]*)+")
_IN_WORDS = {
    "mapping values are not allowed": (
        "a `:` that YAML does not expect here",
        "check the indentation; quote text and formulas that contain `: `",
    ),
    "found unexpected end of stream": ("this quote is never closed", None),
    "did not find expected ',' or '}'": ("a `,` or `}` is missing here", None),
    "did not find expected ',' or ']'": ("a `,` or `]` is missing here", None),
    "did not find expected key": ("YAML expects a key here", "check the indentation and brackets"),
    "could not find expected ':'": ("no `:` with a space stands after this", None),
    "found unexpected ':'": ("a `:` without a space after it", "write `: `"),
    "did not find expected alphabetic": (
        "an anchor or alias without a name",
        "quote text that begins with `&` or `*`",
    ),
    "did not find expected '-' indicator": ("YAML expects `- ` here", "check the indentation"),
}


def explain(error: yaml.MarkedYAMLError, source: SourceText, findings: Findings) -> None:
    """Report YAML's own syntax error, or the unquoted formula that caused it."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        findings.error("yaml", str(error.problem or error), None)
        return
    line = source.lines[mark.line] if mark.line < len(source.lines) else ""
    if _explain_cut(source, findings, line, mark):
        return
    notes: tuple[Note, ...] = ()
    begun = error.context_mark
    if begun is not None and begun.index != mark.index:
        what = source.text[begun.index : begun.index + 1]
        if "expected ':'" in (error.problem or ""):
            mark = begun
        elif not source.text[mark.index :].strip() and what in "[{'\"":
            message = f"this `{what}` is never closed"  # the end tells less than the beginning
            findings.error("yaml", message, at(source, begun.index))
            return
        else:
            notes = (Note("in what begins here", between(source, begun, begun)),)
    if above := _without_colon(source, mark.line, error.problem or ""):
        findings.error("yaml", *above)
        return
    message, hint = _in_words(error.problem or "", line[mark.column : mark.column + 1])
    if begun is not None and mark is begun:
        hint = _instead_of_colon(source.lines[mark.line][mark.column :])
    if line[: mark.column + 1].endswith("${"):
        hint = "a formula is `=NAME`, without `$` and braces"
    row, column = mark.line + 1, mark.column + 1
    span = Span(source, row, column, row, column + 1)
    findings.error("yaml", message, span, hint, notes)


def _without_colon(source: SourceText, line: int, problem: str) -> tuple[str, Span, str] | None:
    """The line above as what is wrong: without a `: `, YAML takes the next for its text."""
    lines = source.lines
    above = next((n for n in range(line - 1, -1, -1) if lines[n].strip()), None)
    if above is None or not problem.startswith("mapping values are not allowed"):
        return None
    text = lines[above].strip()
    if text.startswith(("- ", "#", "[", "{")) or re.search(r":(\s|$)|[\]}]$", text):
        return None
    start = lines[above].index(text)
    span = Span(source, above + 1, start + 1, above + 1, start + len(text) + 1)
    return "no `:` with a space stands in this line", span, _instead_of_colon(text)


def _explain_cut(source: SourceText, findings: Findings, line: str, mark: Any) -> bool:
    """Whether a formula or name without quotes is why YAML stopped at a mark; reports it."""
    before = line[: mark.column + 1]
    cut = _CUT_FORMULA.search(before) or _CUT_NAME.search(before)
    start, end = (cut.start(1), cut.end()) if cut else (0, 0)
    where = f"at `{line[end - 1]}`" if cut else "at a bracket or comma inside it"
    for begin in re.finditer(r"(?:^|[\s,\[{])(=[^=])", line[: mark.column]) if not cut else ():
        piece = extent(line[begin.start(1) :])
        inside = begin.start(1) + len(piece) > mark.column
        inside = inside and ": " not in re.split(r"[\[({]", piece)[0]
        if inside and any(bracket in piece for bracket in _OPEN):
            start, end = begin.start(1), begin.start(1) + len(piece)
    if end == 0:
        return False
    word = "formula" if line[start] == "=" else "name"
    span = Span(source, mark.line + 1, start + 1, mark.line + 1, end + 1)
    message = f"YAML ends this {word} {where}"
    findings.error("split-formula", message, span, quoted(source, span, word))
    return True


def quoted(source: SourceText, span: Span, word: str) -> str:
    """The advice to quote what stands at a span and on to the end of its brackets."""
    rest = source.lines[span.line - 1][span.column - 1 :]
    name = _TEMPLATE.match(rest)
    text = name[0] if name else extent(rest)
    quote = "'" if '"' in text else '"'
    return f"quote this {word}: {quote}{text}{quote}"


def between(source: SourceText, start: Any, end: Any) -> Span:
    """The span between two of YAML's marks."""
    return Span(source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def at(source: SourceText, position: int) -> Span:
    """The one-character span at an offset of the text."""
    before = source.text[:position]
    line = before.count("\n") + 1
    column = position - (before.rfind("\n") + 1) + 1
    return Span(source, line, column, line, column + 1)


def _in_words(problem: str, at: str) -> tuple[str, str | None]:
    """YAML's problem as message and hint; `at` is the character where it stopped."""
    if problem.startswith("found character that cannot start any token"):
        if at == "\t":
            return "a tab, where YAML wants spaces", "indent with spaces"
        return f"text cannot begin with `{at}`", "quote it"
    for start, words in _IN_WORDS.items():
        if problem.startswith(start):
            return words
    return problem or "not valid YAML", None


def _instead_of_colon(text: str) -> str:
    """What to do about a line that begins like a key, but has no `: `."""
    if text[:1].isspace():
        return f"this space (U+{ord(text[0]):04X}) is none to YAML: write plain ones"
    if re.match(r"[\w-]+:\S", text):
        return "write a space after the `:`"
    if re.match(r"[\w-]+\s*=", text):
        return "write `:` and not `=`"
    if word := re.match(r"([\w-]+)( |$)", text):
        return f"write `{word[1]}: `, or check the indentation"
    return "a comment begins with `#`" if text.startswith("/") else "check the indentation"


def extent(text: str) -> str:
    """As much of a line as one formula or name takes: to a comma or bracket that ends it."""
    depth = 0
    quote = ""
    for at, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in _OPEN:
            depth += 1
        elif c in _OPEN.values():
            depth -= 1
        if depth < 0 or (c == "," and depth == 0 and not quote):
            return text[:at].rstrip()
    return text.rstrip()


def balance(text: str) -> int:
    """Brackets opened less brackets closed, outside quotes."""
    depth = 0
    quote = ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in _OPEN:
            depth += 1
        elif c in _OPEN.values():
            depth -= 1
    return depth
