"""The names that decide the spatial axes of a value: code may take those axes as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netspec import syntax
from netspec.backends.source.formulas import names_in
from netspec.backends.source.plan import (
    CallWhat,
    GroupWhat,
    JoinWhat,
    KindWhat,
    OpWhat,
    Routine,
    ShareWhat,
    Val,
    What,
)
from netspec.backends.source.symbols import IN_CHANNELS, IN_SIZES, names_of
from netspec.ops import Op
from netspec.types import TensorType

SIZING = ("Axes", "Padding", "Shape")  # types of attributes that say where and how far an op reads


def sizes_of(what: What, read: Val | None, routine: Routine) -> set[str]:
    """The names that decide the spatial axes of what a step computes from the value it reads."""
    before = read.sizes if read is not None else set()
    match what:
        case OpWhat(node, _, args):
            return _of_op(type(node.op), args, before) if node.output.type.rank else set()
        case KindWhat(calls=calls):
            return set().union(*(sizes_of(call, read, routine) for call, _ in calls.values()))
        case CallWhat(callee):
            return through_call(what, callee.result.sizes, read, routine)
        case GroupWhat(result=result):
            return result.sizes
        case JoinWhat(branches=branches):
            return set().union(*(branch.value.sizes for branch in branches))
        case ShareWhat(target):
            if isinstance(target.what, GroupWhat):
                return target.what.result.sizes | before
            return sizes_of(target.what, read, routine)
    raise AssertionError(what)


def _of_op(op: type[Op], args: Mapping[str, syntax.Value], before: set[str]) -> set[str]:
    deciding = [n for n in args if op.attributes[n].type in SIZING or n == "ceil_mode"]
    if getattr(args.get("padding"), "value", None) == "same":  # whatever the window is
        strides = op.attributes["stride"].default if "stride" in op.attributes else None
        alone = "kernel" if strides == "=kernel" and "stride" not in args else "stride"
        deciding = [n for n in deciding if n == alone]
    named = {name for attribute in deciding for name in names_in(args[attribute])}
    # These make a map of the size that they say, whatever the size of what they read.
    said = any(op.attributes[name].type in SIZING for name in ("size", "shape") if name in args)
    return named if said or op.kind == "global_avg_pool" else named | before


def through_call(
    what: CallWhat, needs: Iterable[str], read: Val | None, routine: Routine
) -> set[str]:
    """The caller's names behind names of a block, which arguments and the block's input give."""
    found: set[str] = set()
    for name in through_lets(what.routine, needs):
        if name in what.arg_values:
            found |= names_in(what.arg_values[name])
        elif name == IN_CHANNELS:
            found |= behind(read, routine)
        elif name == IN_SIZES and read is not None:
            found |= read.sizes
    return found


def through_lets(routine: Routine, names: Iterable[str]) -> set[str]:
    """Names, with those that lets among them read."""
    lets = {let.name: let.value for let in routine.lets}
    found = set(names)
    pending = list(found)
    while pending:
        name = pending.pop()
        more = names_in(lets[name]) - found if name in lets else set()
        found |= more
        pending += more
    return found


def behind(value: Val | None, routine: Routine) -> set[str]:
    """The names that decide how many channels a value has; all, where that is not known."""
    names = {"$"} if value is None or value.channels is None else names_of(value.channels)
    hidden = any(name.startswith("$") and name != IN_CHANNELS for name in names)
    if hidden:
        return {*routine.visible, IN_CHANNELS}
    return names if value is None else names | value.given


def after_some(
    before: Val,
    made: set[str],
    deciding: set[str],
    types: Sequence[TensorType],
    new_types: Sequence[TensorType],
) -> set[str]:
    """The same where a value changes in some copies, or as often as there are turns.

    `deciding` are the names that say where, or how often. They do not matter where no axis changes.
    """
    axes = zip(types, new_types, strict=True)
    if made <= before.sizes and all(old.shape[1:] == new.shape[1:] for old, new in axes):
        return before.sizes
    return before.sizes | made | deciding


def outside_loop(names: set[str], repeat: syntax.Repeat) -> set[str]:
    """Names in a turn of a loop as names around it: its own stand for what they run over."""
    own = {repeat.index, *repeat.names}
    return (names - own) | over(repeat) if names & own else names


def over(repeat: syntax.Repeat) -> set[str]:
    """The names that a loop's range or table reads."""
    given = (value for value in (repeat.times, repeat.each) if value is not None)
    return {name for value in given for name in names_in(value)}


def turn_of(carried: Val, what: str) -> str:
    """A name for what a loop's turns leave to each other of a set of names, `given` or `sizes`."""
    return f"${what}{carried.serial}"
