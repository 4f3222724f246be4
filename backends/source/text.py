"""Lines of Python: wrapped at 100 columns as ruff would, and docstrings that cannot break out."""

from __future__ import annotations

import re
from collections.abc import Iterable

WIDTH = 100
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
        target, parts = choice
        middle = [out for part in parts for out in wrap(f"{margin}    {part}")]
        return [f"{margin}{target}(", *middle, f"{margin})"]
    pairs = _top_pairs(line)
    if not pairs:
        return [line]
    # The last pair whose opening fits; a call's own arguments rather than what follows them.
    start, end = next((p for p in reversed(pairs) if p[0] < WIDTH), pairs[-1])
    inside = line[start + 1 : end].strip()
    if not inside:
        return [line]
    body = f"{margin}    {inside}"
    parts = split_top(inside)
    if len(body) <= WIDTH and not inside.endswith(","):
        middle = [body]
    elif len(parts) == 1 and not inside.endswith(","):
        middle = wrap(body)
    else:
        middle = [out for part in parts for out in wrap(f"{margin}    {part},")]
    return [line[: start + 1].rstrip(), *middle, margin + line[end:]]


def _choice(line: str) -> tuple[str, list[str]] | None:
    """A long `target = a if c else b` as its target and three lines, which stand in parentheses."""
    match = re.match(r"\s*((?:[\w.]+ = |return ))", line)
    if match is None or line.rstrip().endswith(":"):
        return None
    rest = line[match.end() :].rstrip()
    words = {word: at for word in (" if ", " else ") for at in [_top_word(rest, word)] if at >= 0}
    if len(words) < 2:
        return None
    first, second = words[" if "], words[" else "]
    return match[1], [rest[:first], rest[first + 1 : second], rest[second + 1 :]]


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
    """A docstring of plain text in lines that fit; nothing in it ends it or escapes."""
    margin = "    " * indent
    lines = []
    for paragraph in text.split("\n"):
        lines += _filled(_plain(paragraph), WIDTH - len(margin) - 6)
    if len(lines) == 1:
        return [f'{margin}"""{lines[0]}"""']
    body = [f"{margin}{line}".rstrip() for line in lines[1:]]
    return [f'{margin}"""{lines[0]}', *body, f'{margin}"""']


def _plain(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text).rstrip()
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    return text[:-1] + "'" if text.endswith('"') else text


def _filled(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in re.split(r"(?<=\S) ", text):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def camel(name: str) -> str:
    """`conv_norm_act` as `ConvNormAct`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_-]+", name) if part)
