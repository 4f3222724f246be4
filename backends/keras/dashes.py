"""Keys with `-`, which generated source lists as they are now.

A layer is called by its path with `-` for `.`, so such a key cannot be told from its layer's name.
What decides which of them there are is therefore frozen: other copies would be saved under keys
that torch does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from netspec.backends.source.plan import CallWhat, GroupWhat, Item, JoinWhat, Loop, Routine, Step
from netspec.backends.source.program import Program
from netspec.backends.source.symbols import names_of


def freeze_dashes(program: Program) -> None:
    """Freeze what decides which keys of the program have a `-`."""
    if any("-" in weight.key for weight in program.graph.weights):
        _freeze(program.model, program.model.items, False)


def _freeze(routine: Routine, items: list[Item], below: bool) -> None:
    """Freeze counts, conditions and names of items; all if they stand `below` a name with `-`."""
    for item in items:
        dashed = below or _is_dashed(item)
        if dashed or any(_is_dashed(inner) for inner in _inside(item)):
            _freeze_item(routine, item)
        if isinstance(item, Loop):
            _freeze(routine, item.items, below)
        elif isinstance(item.what, CallWhat):
            _freeze(item.what.routine, item.what.routine.items, dashed)
        else:
            _freeze(routine, _children(item), dashed)


def _freeze_item(routine: Routine, item: Item) -> None:
    if isinstance(item, Loop):
        assert item.syntax.repeat is not None
        routine.formulas.freeze(item.syntax.repeat.times)
        routine.formulas.freeze(item.syntax.repeat.each)
        return
    parts = item.key.parts if item.key is not None else ()
    for expr in (item.condition, *parts):
        if expr is not None and not isinstance(expr, str):
            routine.frozen |= names_of(expr)


def _is_dashed(item: Item) -> bool:
    return isinstance(item, Step) and any("-" in name for name in item.names)


def _inside(item: Item) -> Iterator[Item]:
    """Everything in an item, in the blocks that it calls too."""
    called = isinstance(item, Step) and isinstance(item.what, CallWhat)
    for child in item.what.routine.items if called else _children(item):  # type: ignore[union-attr] # a call
        yield child
        yield from _inside(child)


def _children(item: Item) -> list[Item]:
    if isinstance(item, Loop):
        return item.items
    match item.what:
        case GroupWhat(items):
            return items
        case JoinWhat(_, _, branches):
            return [inner for branch in branches for inner in branch.items]
    return []
