"""The first line of a loop, the same in every language that is Python."""

from __future__ import annotations

from collections.abc import Container

from netspec.backends.source.kinds import code_table
from netspec.backends.source.names import Names
from netspec.backends.source.plan import Loop
from netspec.formula import ListOf


def loop_header(loop: Loop, names: Names, mentioned: Container[str]) -> str:
    """`for i in range(n):`, `for i, (a, b) in enumerate(rows):`, with `_` for what is not read.

    `mentioned` holds the Python names in the loop's body.
    """

    def target(name: str) -> str:
        spelt = names.spell(name)
        return spelt if spelt in mentioned else "_"

    index = target(loop.index)
    if loop.times is not None:
        return f"for {index} in range({names.code(loop.times)}):"
    assert loop.each is not None
    rows = names.code(code_table(loop, names.routine))
    row = ", ".join(target(name) for name in loop.names)
    if loop.unpack and len(loop.names) == 1:
        row += ","
    if index == "_":
        return f"for {row} in {rows}:"
    return f"for {index}, {f'({row})' if loop.unpack else row} in enumerate({rows}):"


def loop_count(loop: Loop, names: Names) -> str:
    """How many turns a loop has, as code."""
    if loop.times is not None:
        return names.code(loop.times)
    assert loop.each is not None
    if isinstance(loop.each, ListOf):
        return str(len(loop.each.items))
    return f"len({names.code(loop.each)})"
