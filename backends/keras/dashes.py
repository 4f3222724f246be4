"""Keys with `-`: a layer is called by its path with `-` for `.`, which such a key hides.

Where the names with a `-` have a pattern (`block\\d+-\\d+`) that tells them from other names, it is
all that source needs. Else it lists the keys as they are now, and what decides which of them there
are is frozen: other copies would be saved under keys that torch does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netspec.backends.keras.layer import layer_name
from netspec.backends.source.plan import (
    CallWhat,
    GroupWhat,
    Item,
    JoinWhat,
    Loop,
    OpWhat,
    Routine,
    Step,
    all_items,
)
from netspec.backends.source.program import Program
from netspec.backends.source.symbols import names_of


def dash_pattern(program: Program) -> str | None:
    """A regular expression for the names with a `-`; None if it would not tell all keys."""
    steps = [
        item
        for routine in program.routines
        for item in all_items(routine.items)
        if isinstance(item, Step) and _is_dashed(item) and any(_weights_in(item))
    ]
    patterns: dict[str, None] = {}
    for step in steps:
        key = step.syntax.key
        assert key is not None
        pattern = "".join(part if isinstance(part, str) else r"\d+" for part in key.parts)
        if not all(re.fullmatch(pattern, name) for name in step.names):
            return None
        patterns[pattern] = None
    found = f"(?<![^-])(?:{'|'.join(patterns)})(?![^-])"
    paths = {node.path for node in program.graph.nodes if node.weights and not node.shared}
    return found if all(_told(path, found) == path for path in paths) else None


def _weights_in(item: Item) -> Iterator[bool]:
    for inner in (item, *_inside(item)):
        if isinstance(inner, Step) and isinstance(inner.what, OpWhat):
            yield bool(inner.what.node.weights)


def _told(path: str, pattern: str) -> str:
    """A path as generated source tells it from its layer's name."""
    name = layer_name(path).removesuffix("--")
    kept = re.sub(pattern, lambda found: found[0].replace("-", "/"), name)
    return kept.replace("-", ".").replace("/", "-")


def freeze_dashes(program: Program) -> None:
    """Freeze what decides which keys of the program have a `-`, unless these have a pattern."""
    if _has_dashes(program) and dash_pattern(program) is None:
        _freeze(program.model, program.model.items, False)


def _has_dashes(program: Program) -> bool:
    return any("-" in weight.key for weight in program.graph.weights)


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
