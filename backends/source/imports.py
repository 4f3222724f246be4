"""The import block of generated source, and functions that formulas call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

STANDARD = frozenset("collections collections.abc functools itertools math re typing".split())

MAKE_DIVISIBLE = '''\
def make_divisible(x: float, m: int) -> int:
    """Round to a multiple of `m`, never by more than 10 % down."""
    value = max(m, int(x + m / 2) // m * m)
    return value + m if value < 0.9 * x else value'''


def needed_imports(text: str, candidates: Mapping[str, str]) -> set[str]:
    """The import lines whose mark (`math.`, `Sequence[`) stands in the text's code."""
    code = re.sub(r'(?<!f)"[^"\n]*"', '""', text)
    return {
        line
        for line, mark in candidates.items()
        if re.search(rf"(?<![\w.]){re.escape(mark)}" + (r"\b" if mark[-1].isalnum() else ""), code)
    }


def import_block(lines: Iterable[str]) -> str:
    """Import lines as ruff sorts them: the standard library, then the others."""
    merged: dict[str, set[str]] = {}
    plain = set()
    for line in lines:
        if line.startswith("from "):
            module, names = line[5:].split(" import ")
            merged.setdefault(module, set()).update(n.strip() for n in names.split(","))
        else:
            plain.add(line)
    sections = []
    for is_standard in (True, False):
        chosen = sorted(
            (line for line in plain if (line.split()[1] in STANDARD) == is_standard),
            key=lambda line: line.split()[1].lower(),
        )
        froms = [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(merged.items())
            if (module in STANDARD) == is_standard
        ]
        if chosen or froms:
            sections.append("\n".join([*chosen, *froms]))
    return "\n\n".join(sections)
