"""Words of messages: values as they are named, and what was probably meant instead.

Loaded when a spec has a mistake: the other modules have it from `netspec.lazy`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Container, Iterable
from itertools import islice
from typing import Any

from netspec import dialects
from netspec.diagnostics import Span
from netspec.formula import Binary, FormulaError, InputShape, Unary, free, parse
from netspec.ops import Op
from netspec.reader import Scalar, YamlNode
from netspec.syntax import KEYWORDS, MODIFIERS

LISTED = 16  # names in a hint
COMPARED = 500  # names that a misspelt one is compared with
DASHES = ("-", "\u2013", "\u2014", "\u2022")
YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def close_match(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    names = list(islice(known, COMPARED))
    lowered = {name.lower(): name for name in reversed(names)}
    word = word.lower()
    for found in difflib.get_close_matches(word, list(lowered), n=3, cutoff=0.6):
        # Typing errors seldom begin a word, and endings such as -ation make strangers alike.
        alike = difflib.SequenceMatcher(None, word, found).ratio() >= 0.7
        if alike or found[:1] == word[:1]:
            return lowered[found]
    return None


def meant(word: str, known: Iterable[str], dialect: str | None = None) -> str | None:
    """`did you mean ...?`, or what to write instead of another framework's word.

    `dialect` is the table of `netspec.dialects` that has such words.
    """
    names = list(known)
    if dialect and (advice := dialects.advice(word, names, getattr(dialects, dialect))):
        return advice
    close = close_match(word, names)
    return f"did you mean `{close}`?" if close else None


def suggestion(
    word: str, known: Iterable[str], what: str = "known names are", dialect: str | None = None
) -> str | None:
    """What was meant, or the list of what there is."""
    names = list(known)
    more = ", ..." if len(names) > LISTED else ""
    listed = f"{what} {', '.join(names[:LISTED])}{more}" if names else None
    return meant(word, names, dialect) or listed


def op_hint(kind: str, known: Iterable[str]) -> str | None:
    """What was meant by a name that is no op or block."""
    if len(kind) >= 60:
        return None
    names = list(known)
    if kind in MODIFIERS:
        return f"`{kind}` stands beside the call of its node: {{{kind}: ..., KIND: ...}}"
    head = re.match(r"\w+", kind)
    if head and kind[head.end() :].startswith(":"):
        return "write a space after the `:`"
    if head and head[0] != kind and head[0] in names and not kind.endswith("()"):
        return f"arguments are written by name: {{{head[0]}: {{NAME: ...}}}}"
    listed = "`netspec schema` lists the ops; blocks are defined under `blocks:`"
    return meant(kind, names, "OPS") or listed


def one_too_many(calls: list[tuple[Scalar, YamlNode]]) -> tuple[Span, str]:
    """Which key of a node with several calls is probably none, and what to do about it."""
    (first, value), (second, _), *_ = calls
    for key, _ in calls:
        meant = "from" if key.text in ("input", "inputs") else None
        if key.text not in Op.registry and key.text not in KEYWORDS:
            meant = meant or close_match(key.text, MODIFIERS)
        if meant:
            return key.span, f"did you mean `{meant}`?"
    empty = isinstance(value, Scalar) and value.value is None
    if empty and second.text not in Op.registry:
        return second.span, f"indent further what belongs to `{first.text}`"
    op = Op.registry.get(first.text)
    if op is not None and second.text in op.attributes:
        return second.span, f"arguments stand inside: {{{first.text}: {{{second.text}: ...}}}}"
    return second.span, "write several children as a list, or under `body:`"


def named_child(kind: str, arguments: str) -> str:
    """What to do about a node whose own name is an op, with that op's arguments in it."""
    return f"`{kind}` is a child's name here: write `NAME: {{{kind}: {arguments}}}`"


def copies_words(name: str) -> tuple[str, str]:
    """Message and hint for copies that would all have one name."""
    hint = f"make the name a template, such as `{name}{{i + 1}}`, or write a list"
    return f"copies of this node are all named `{name}`", hint


def later_words(name: str) -> tuple[str, str]:
    """Message and hint for a reference to what stands further down."""
    message = f"`{name}` comes after this, and a node reads only what is before it"
    return message, "write it earlier, or read another value"


def is_foreign(kind: str) -> bool:
    """Whether a name is an op's in another framework."""
    return dialects.plain(kind) in dialects.OPS


def attribute_hint(name: str, known: Iterable[str]) -> str | None:
    """What was meant by a name that is no attribute of an op, or no parameter of a block."""
    if name in MODIFIERS:
        return f"`{name}` is of the node and not of its call: {{{name}: ..., KIND: ...}}"
    if ":" in name:
        return "write a space after the `:`"
    if is_number(name) or name in ("true", "false"):
        return "every value has a name here, and a list stands in brackets: `NAME: [1, 2]`"
    names = list(known)
    if dialects.plain(name).startswith("scale") and "size" in names and "scale" not in names:
        return "write `size`, the sizes of the result; `upsample` takes a `scale`"
    if dialects.plain(name) == "size" and "scale" in names:
        return "write `scale`, how many times the size; `resize` takes a `size`"
    return suggestion(name, names, "it has", "ATTRIBUTES")


def missing_words(owner: str, names: list[str]) -> tuple[str, str]:
    """Message and hint for arguments that an op or a block needs."""
    return f"`{owner}` needs {' and '.join(f'`{n}`' for n in names)}", f"add `{names[0]}: ...`"


def text_hint(text: str, kind: str, names: Container[str] = ()) -> str | None:
    """What was meant by text where something else belongs: a formula, a number, a truth value.

    `kind` is the type of what belongs there, `names` are those that a formula could read.
    """
    if formula := _forgotten_formula(dialects.enclosed(text) or text, names):
        return f"did you mean `={formula}`?"
    word = text.lower()
    if kind == "bool" and word in YAML_1_1:
        return f"write `{YAML_1_1[word]}`"
    if text.startswith(DASHES):
        return "items of a list begin with `- `, in plain text"
    if word == "none" or (kind == "Padding" and word in dialects.VALUES):
        return dialects.VALUES[word]
    number = text.replace("_", "")
    if word in ("true", "false") if kind == "bool" else is_number(number):
        return "remove the quotes" if number == text else f"write `{number}`"
    if text.startswith("(") and text.endswith(")"):
        return f"a list is written [{text[1:-1]}]"
    if re.fullmatch(r"\d+(x\d+)+", text):
        return f"a list is written [{text.replace('x', ', ')}]"
    return None


def _forgotten_formula(text: str, names: Container[str]) -> str | None:
    """The text, if with an `=` before it it would be a formula over names that there are."""
    try:
        expr = parse(text)
    except FormulaError:
        return None
    read = free(expr)
    known = all(isinstance(name, InputShape) or name.name in names for name in read)
    return text if known and (read or isinstance(expr, (Binary, Unary))) else None


def show(value: Any) -> str:
    """A value as messages name it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = value if len(value) <= 40 else value[:37] + "..."
        return f"text `{text}`"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}" if len(value) > 4 else f"the list {inline(value)}"
    return "a mapping" if isinstance(value, dict) else str(value)


def inline(value: Any, depth: int = 2) -> str:
    """A value within a list that messages name, cut in length and depth."""
    if isinstance(value, (list, tuple)):
        if not depth:  # lists of formulas share their items: written out they are exponential
            return "[...]"
        items = ", ".join(inline(v, depth - 1) for v in value[:4])
        return f"[{items}{', ...' if len(value) > 4 else ''}]"
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, str) and is_number(value):
        return f"'{value}'"
    return str(value)[:40].lower() if isinstance(value, bool) else str(value)


def is_number(text: str) -> bool:
    """Whether a text is a finite number to Python."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
