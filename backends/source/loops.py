"""Repeats as loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

from netspec import syntax, trace
from netspec.backends.source.formulas import Formulas
from netspec.backends.source.kinds import written_out
from netspec.backends.source.plan import (
    Carry,
    Context,
    Item,
    Loop,
    Scope,
    Step,
    Unroll,
    Val,
    all_items,
)
from netspec.backends.source.sizes import after_some, outside_loop, over, turn_of
from netspec.backends.source.symbols import (
    collected,
    difference,
    folded,
    names_of,
    same,
    substitute,
    symbol,
)
from netspec.formula import Expr, ListOf, Literal, Name
from netspec.types import TensorType

if TYPE_CHECKING:
    from netspec.backends.source.builder import Builder


def plan_loop(
    builder: Builder,
    node: syntax.Node,
    runs: Sequence[trace.NodeRun],
    context: Context,
    scope: Scope,
    start: Val,
    names: set[str],
    items: list[Item],
) -> Val:
    """Plan a repeat as a loop, with a running variable for channels that its turns change.

    Raises:
        Unroll: no loop can say it.
        Carry: the channels need a variable.
    """
    repeat = node.repeat
    assert repeat is not None
    formulas = builder.formulas
    if repeat.each is not None and not repeat.names:
        raise Unroll(node)
    up = [lane for lane, run in enumerate(runs) for _ in run.copies]
    copies = [copy for run in runs for copy in run.copies]
    inner = Context([copy.env for copy in copies], context, up, node)
    times = None if repeat.times is None else formulas.expr(repeat.times, context, names)
    each = None if repeat.each is None else formulas.expr(repeat.each, context, names)
    carried_types = [copy.read.type for copy in copies if copy.read is not None]
    if len(carried_types) != len(copies):
        raise Unroll(node)
    builder.read(start)
    concrete = [t.channels for t in carried_types]
    begin = formulas.channels(start, context, note=False)
    steady = id(node) not in builder.carrying and formulas.holds(begin, concrete, inner)
    variable, fresh = None, False
    carried_channels: Expr = begin
    if not steady:
        if _is_variable(begin) and builder.reads_once(start):
            variable = begin.name
        else:
            builder.variables += 1
            variable, fresh = f"$c{builder.variables}", True
        inner.running[variable] = concrete
        carried_channels = symbol(variable)
    carried = builder.val(inner, carried_types, carried_channels)
    carried.given = start.given | {turn_of(carried, "given")}
    carried.sizes = start.sizes | {turn_of(carried, "sizes")}
    inside: list[Item] = []
    loop_scope = Scope(scope)
    # A turn that reads an earlier one by its name finds that it is hidden, and nothing else.
    copied = [name for copy in copies for name in _declared(copy)]
    loop_scope.hidden |= dict.fromkeys(copied, node)
    visible = names | {repeat.index, *repeat.names}
    last = builder.step(node, copies, inner, loop_scope, carried, visible, inside)
    assert last is not None
    if each is not None and inner.makers:
        each = written_out(formulas, repeat, each, inner, context)
    update = None
    if variable is not None:
        update = formulas.channels(last, inner, note=False)
        if _is_variable(update) and _done_with(builder, variable, inside):
            builder.routine.spelt_as[update.name] = variable
    elif last.channels is not None and not same(last.channels, begin):
        raise Carry(node)
    scope.hidden |= dict.fromkeys((*copied, *loop_scope.names, *loop_scope.hidden), node)
    types = _final_types(formulas, runs, start, context)
    if variable is not None:
        context.home().running[variable] = [t.channels for t in types]
    after = symbol(variable) if variable else begin
    if variable is not None:
        builder.finals.pop(variable, None)
        export = _outside(formulas, update, repeat, (times, each), types, context)
        if export is not None:
            builder.finals[variable] = export
    given = start.given | outside_loop(last.given - {turn_of(carried, "given")}, repeat)
    changed = outside_loop(last.sizes - {turn_of(carried, "sizes")}, repeat)
    before = formulas.types(start, context)
    sizes = after_some(start, changed, over(repeat), before, types)
    result = builder.val(context, types, after, given=given, sizes=sizes)
    made = Loop(
        node,
        times,
        each,
        repeat.names,
        repeat.unpack,
        repeat.index,
        inner,
        start,
        carried,
        inside,
        last,
        variable,
        fresh,
        begin if fresh else None,
        update,
    )
    builder.read(last)
    made.result = result
    made.training = any(isinstance(i, Step) and i.training for i in inside)
    result.step = made
    if node.key is not None and node.key.plain:
        scope.names[node.key.plain] = (result, None, None)
        scope.hidden.pop(node.key.plain, None)
    items.append(made)
    return result


def _is_variable(channels: Expr | None) -> TypeGuard[Name]:
    """Whether code carries channels along in a variable."""
    return isinstance(channels, Name) and channels.name.startswith("$c")


def _done_with(builder: Builder, variable: str, items: list[Item]) -> bool:
    """Whether a loop's turns need a variable no more when a loop inside begins with its own.

    It is so where whatever has these channels is read by what comes next alone.
    """
    own = [item for item in all_items(items) if isinstance(item, Loop) and item.fresh]
    mentions = [v for v in builder.values if v.channels and variable in names_of(v.channels)]
    return len(own) == 1 and all(map(builder.reads_once, mentions))


def _declared(copy: trace.CopyRun) -> list[str]:
    """The names that a turn adds to the scope around it."""
    bodies: list[trace.BodyRun] = []
    if isinstance(copy.call, trace.GroupRun) and copy.call.inline:
        bodies = [copy.call.body]
    elif isinstance(copy.call, trace.JoinRun):
        bodies = [branch.body for branch in copy.call.branches if branch.body is not None]
    inner = [c for body in bodies for run in body.nodes for c in run.copies]
    return [copy.name] * bool(copy.name) + [name for c in inner for name in _declared(c)]


def _final_types(
    formulas: Formulas, runs: Sequence[trace.NodeRun], start: Val, context: Context
) -> list[TensorType]:
    before = formulas.types(start, context)
    return [
        run.copies[-1].result.type if run.copies else before[lane] for lane, run in enumerate(runs)
    ]


def _outside(
    formulas: Formulas,
    update: Expr | None,
    repeat: syntax.Repeat,
    turns: tuple[Expr | None, Expr | None],
    types: list[TensorType],
    context: Context,
) -> Expr | None:
    """The loop's last update where it also holds after the loop."""
    if update is None or any(name.startswith("$c") for name in names_of(update)):
        return None
    if names_of(update) & {repeat.index, *repeat.names}:
        times, each = turns
        last = _in_last_turn(update, repeat, times, each)
        if last is None:
            return None
        for value in (repeat.times, repeat.each):  # there may be no last turn for other parameters
            if isinstance(value, syntax.Formula):
                formulas.routine.export_needs |= names_of(value.expr)
        update = last
    return update if formulas.holds(update, [t.channels for t in types], context) else None


def _in_last_turn(
    update: Expr, repeat: syntax.Repeat, times: Expr | None, each: Expr | None
) -> Expr | None:
    """An expression in a loop's last turn; None where its rows are not written out."""
    if isinstance(each, ListOf):
        times = Literal(len(each.items))
    elif each is not None:
        return None
    assert times is not None
    known: dict[str, Expr] = {repeat.index: folded(difference(times, Literal(1)))}
    if isinstance(each, ListOf) and each.items:
        row = each.items[-1]
        cells = row.items if repeat.unpack and isinstance(row, ListOf) else (row,)
        known |= dict(zip(repeat.names, cells, strict=False))
    made = substitute(update, lambda name: known.get(name.name, name))
    return collected(folded(made))
