"""Lines of Python: wrapped at 100 columns as ruff would, and docstrings that cannot break out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

WIDTH = 100
NO_BREAK = "\N{NO-BREAK SPACE}"
_OPEN, _CLOSE = "([{", ")]}"


def block(lines: Iterable[str], indent: int = 0) -> list[str]:
    """Lines indented by so many levels and wrapped."""
    return [out for line in lines for out in wrap("    " * indent + line)]


def wrap(line: str) -> list[str]:
    """One statement in as few lines as fit, broken at its last pair of brackets."""
    if len(line) <= WIDTH:
        return [line.rstrip()]
    margin = " " * (len(line) - len(line.lstrip()))
    choice = _choice(line)
    if choice is not None:
        target, rest = choice
        body = f"{margin}    {rest}"
        if len(body) <= WIDTH:
            return [f"{margin}{target}(", body, f"{margin})"]
        middle = [out for part in _alternatives(rest) for out in wrap(f"{margin}    {part}")]
        return [f"{margin}{target}(", *middle, f"{margin})"]
    pairs = _top_pairs(line)
    if not pairs:
        return [line]
    # The last pair whose opening fits; a call's own arguments rather than what follows them.
    start, end = next((p for p in reversed(pairs) if p[0] < WIDTH), pairs[-1])
    inside = line[start + 1 : end].strip()
    if not inside:
        return [line]
    before = next((p for p in pairs if p[1] == start - 1 > p[0] + 1 and line[p[0]] == "("), None)
    if before is not None and line[start] == "(" and inside.isidentifier():
        # `make(...)(x)` is broken where it makes; the last comma keeps formatters from `x` alone.
        start, end = before
        parts = split_top(line[start + 1 : end])
        middle = [out for part in parts for out in wrap(f"{margin}    {part},")]
        return [line[: start + 1].rstrip(), *middle, margin + line[end:]]
    body = f"{margin}    {inside}"
    parts = split_top(inside)
    is_display = not re.search(r"[\w)\]]$", line[:start])
    if len(parts) == 1 and not inside.endswith(","):
        clauses = [inside]
        if line[start] == "[" and is_display:
            clauses = _clauses(inside)
        elif line[start] == "(" and is_display and len(body) > WIDTH:
            clauses = _alternatives(inside)
        middle = [out for clause in clauses for out in wrap(f"{margin}    {clause}")]
    elif len(body) <= WIDTH and not is_display and not inside.endswith(","):
        middle = [body]
    else:
        middle = [out for part in parts for out in wrap(f"{margin}    {part},")]
    return [line[: start + 1].rstrip(), *middle, margin + line[end:]]


def _choice(line: str) -> tuple[str, str] | None:
    """A long `target = a if c else b` as its target and the rest, which stands in parentheses."""
    match = re.match(r"\s*((?:[\w.]+ = |return ))", line)
    if match is None or line.rstrip().endswith(":"):
        return None
    rest = line[match.end() :].rstrip()
    return (match[1], rest) if _top_word(rest, " if ") >= 0 <= _top_word(rest, " else ") else None


def _alternatives(text: str) -> list[str]:
    """`a if c else b` as three lines, and more where `b` is of this form."""
    lines = []
    for word in itertools.cycle((" if ", " else ")):
        at = _top_word(text, word)
        if at < 0:
            break
        lines.append(text[:at])
        text = text[at + 1 :]
    return [*lines, text]


def _clauses(text: str) -> list[str]:
    """A comprehension's element and what follows from each `for` on; other text is one clause."""
    at = _top_word(text, " for ")
    return [text] if at < 0 else [text[:at], *_clauses(text[at + 1 :])]


def _top_word(text: str, word: str) -> int:
    """Where a word stands outside brackets and quotes; -1 if nowhere."""
    depth = 0
    for at, char in _outside_quotes(text):
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif depth == 0 and text.startswith(word, at):
            return at
    return -1


def split_top(text: str) -> list[str]:
    """The parts of a text between commas outside all brackets and quotes."""
    parts, depth, begin = [], 0, 0
    for at, char in _outside_quotes(text):
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    rest = text[begin:].strip()
    return [*parts, rest] if rest else parts


def _top_pairs(text: str) -> list[tuple[int, int]]:
    pairs, stack = [], []
    for at, char in _outside_quotes(text):
        if char in _OPEN:
            stack.append(at)
        elif char in _CLOSE and stack:
            start = stack.pop()
            if not stack:
                pairs.append((start, at))
    return pairs


def is_call(text: str) -> bool:
    """Whether an expression is one call of a dotted name."""
    pairs = _top_pairs(text)
    named = re.match(r"[\w.]+\(", text)
    return named is not None and pairs == [(named.end() - 1, len(text) - 1)]


def is_wrapped(text: str) -> bool:
    """Whether an expression stands in parentheses as a whole."""
    return text.startswith("(") and _top_pairs(text) == [(0, len(text) - 1)]


def _outside_quotes(text: str) -> Iterable[tuple[int, str]]:
    quote = ""
    skip = False
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif quote:
            if char == "\\":
                skip = True
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        else:
            yield at, char


def docstring(text: str, indent: int = 0) -> list[str]:
    """A docstring of plain text in lines that fit; nothing in it ends it or escapes.

    No line ends at a `NO_BREAK`, which is a space to readers.
    """
    margin = "    " * indent
    lines = []
    for paragraph in text.split("\n"):
        filled = _filled(_plain(paragraph), WIDTH - len(margin) - 6)
        lines += [line.replace(NO_BREAK, " ") for line in filled]
    if len(lines) == 1:
        line = lines[0][:-1] + "'" if lines[0].endswith('"') else lines[0]
        return [f'{margin}"""{line}"""']
    body = [f"{margin}{line}".rstrip() for line in lines[1:]]
    return [f'{margin}"""{lines[0]}', *body, f'{margin}"""']


def unbroken(text: str, longest: int = 80) -> str:
    """Text whose brackets stay in one line, but outer ones where that would be too long."""
    for depth in itertools.count(1):
        made, level = "", 0
        for char in text:
            level += (char in _OPEN) - (char in _CLOSE)
            made += NO_BREAK if char == " " and level >= depth else char
        if made == text or max(map(len, made.split(" "))) <= longest:
            break
    return made


def _plain(text: str) -> str:
    text = "".join(c if c.isprintable() or c == NO_BREAK else " " for c in text).rstrip()
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _filled(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in re.split(r"(?<=\S) ", text):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def class_name(name: str) -> str:
    """`conv_norm_act` as `ConvNormAct`; digits stay apart, as in `Fire1_1`."""
    apart = re.sub(r"(?<=\d)[_-]+(?=\d)", " ", name)
    parts = re.split(r"[_-]+", apart)
    return "".join(part[:1].upper() + part[1:] for part in parts).replace(" ", "_")


def network_name(name: str) -> str:
    """The class name of a network, as authors write them: `squeezenet1_1` as `SqueezeNet1_1`."""
    return re.sub(r"(?<=[A-Za-z])net(?![a-z])", "Net", class_name(name))


def returned(lines: list[str], result: str) -> list[str]:
    """Lines with a return at the end, of the last line's expression where that is the result."""
    if lines and lines[-1].startswith(f"{result} = "):
        return [*lines[:-1], f"return {lines[-1].partition('  # ')[0][len(result) + 3 :]}"]
    return [*lines, f"return {result}"]
