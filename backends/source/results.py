"""The channels of what a step computes, as an expression in the routine's words."""

from __future__ import annotations

from collections.abc import Collection

from netspec import syntax
from netspec.backends.source.formulas import Formulas, constant, names_in, raw_expr
from netspec.backends.source.plan import (
    CallWhat,
    GroupWhat,
    JoinWhat,
    KindWhat,
    OpWhat,
    Routine,
    ShareWhat,
    Step,
    Val,
    What,
)
from netspec.backends.source.sizes import behind, through_call, through_lets
from netspec.backends.source.symbols import (
    IN_CHANNELS,
    collected,
    difference,
    folded,
    names_of,
    product,
    same,
    substitute,
    total,
)
from netspec.evaluate import evaluate
from netspec.formula import Expr, InputShape, Literal, Name, free
from netspec.types import TensorType

# Ops whose attributes say how many channels come out, whatever comes in.
RESHAPING = frozenset("conv conv_transpose flatten linear parameter slice unflatten".split())


def channels_of(
    step: Step, types: list[TensorType], current: Val | None, formulas: Formulas
) -> tuple[Expr | None, set[str]]:
    """An expression for the channels of what a step computes, tried on every lane.

    Where none says how they are made, it is what holds now. With it comes which names that takes
    as they are now: code that mentions the expression freezes them.
    """
    concrete = [t.channels for t in types]
    for option, given in _options(step, current, formulas):
        if option is not None and formulas.holds(option, concrete, step.inner):
            return option, given
    given = _arguments(step.what) | behind(current, formulas.routine)
    if current is not None and _flattens(step.what):
        given |= current.sizes
    before = current.channels if current is not None else None
    if before is not None and formulas.holds(before, concrete, step.inner):
        return before, given
    if concrete and all(c == concrete[0] for c in concrete):
        return Literal(concrete[0]), given
    return None, given


def by_chance(made: Expr | None, before: Val, condition: Expr, routine: Routine) -> set[str]:
    """The names that decide whether channels after a node are what they are where it is left out.

    None where one follows from the other: what it makes is said in terms of what it reads, or the
    condition compares the two. Else they are equal only now.
    """
    if made is None or (before.channels is not None and same(made, before.channels)):
        return set()
    makes = through_lets(routine, names_of(made))
    reads = through_lets(routine, behind(before, routine))
    compared = through_lets(routine, names_of(condition))
    if makes & reads or (makes & compared and reads & compared):
        return set()
    return makes | reads | compared


def _flattens(what: What) -> bool:
    return isinstance(what, OpWhat) and what.node.op.kind == "flatten"


def _arguments(what: What) -> set[str]:
    """The names that the arguments of an op or a block read."""
    if isinstance(what, ShareWhat):
        what = what.target.what
    values: Collection[syntax.Value] = ()
    if isinstance(what, OpWhat):
        values = what.args.values()
    elif isinstance(what, CallWhat):
        values = what.arg_values.values()
    return {name for value in values for name in names_in(value)}


Option = tuple[Expr | None, set[str]]


def _options(step: Step, current: Val | None, formulas: Formulas) -> list[Option]:
    """What the channels are for all arguments but the names beside it, if it holds at all."""
    context = step.inner
    before: Option = (current.channels, current.given) if current is not None else (None, set())
    match step.what:
        case OpWhat(node, _, args):
            found: list[Option] = []
            if "out" in args:
                found.append((formulas.try_expr(args["out"], context), set()))
            if node.op.kind == "slice":
                stop = formulas.try_expr(args["stop"], context)
                start = formulas.try_expr(args["start"], context) if "start" in args else Literal(0)
                made = collected(difference(stop, start)) if stop and start else None
                found.append((made, set()))
            if isinstance(shape := args.get("shape"), syntax.ListValue):  # what has these axes
                found.append((formulas.try_expr(shape.items[0], context), set()))
            if node.op.kind == "flatten" and before[0] is not None and current is not None:
                sizes = [_spatial(t) for t in formulas.types(current, context)]
                if context.all_equal(sizes):
                    found.append((product(before[0], sizes[0]), before[1] | current.sizes))
            return found if node.op.kind in RESHAPING else [*found, before]
        case CallWhat():
            return [_called(step.what, current, formulas)]
        case KindWhat():
            return [before]
        case GroupWhat(_, result):
            return [(result.channels, result.given)]
        case JoinWhat(node, _, branches):
            each: list[Option] = [(b.value.channels, b.value.given) for b in branches]
            if node.op.kind == "concat":
                known = [expr for expr, _ in each if expr is not None]
                given = {name for _, names in each for name in names}
                return [(collected(total(known)) if len(known) == len(each) else None, given)]
            return each
        case ShareWhat(target):
            inner = target.what
            if isinstance(inner, CallWhat):
                return [_called(inner, current, formulas)]
            return [(target.result.channels, target.result.given)] if target.result else []
    return []


def _called(what: CallWhat, current: Val | None, formulas: Formulas) -> Option:
    """A block's channels in the caller's words."""
    made = _exported(what, current.channels if current is not None else None, formulas)
    given = through_call(what, what.routine.export_needs, current, formulas.routine)
    reads_input = what.routine.export is not None and IN_CHANNELS in through_lets(
        what.routine, names_of(what.routine.export)
    )
    if current is not None and reads_input:
        given |= current.given
    return made, given


def _exported(what: CallWhat, before: Expr | None, formulas: Formulas) -> Expr | None:
    """The expression for a block's channels with the arguments of a call."""
    routine = what.routine
    if routine.export is None:
        return None
    lets = {let.name: let.value for let in routine.lets}
    defaults = {p.name: p.default for p in routine.params}

    class Unknown(Exception):
        pass

    def name(found: Name) -> Expr:
        if found.name == IN_CHANNELS:
            if before is None:
                raise Unknown
            return before
        if found.name in what.args:
            return what.args[found.name]
        if found.name in lets:
            return substitute(raw_expr(lets[found.name]), name, shape)
        default = defaults.get(found.name)
        if default is None:
            raise Unknown
        return raw_expr(default)

    def shape(found: InputShape) -> Expr:
        if found.axis != "channels" or before is None:
            raise Unknown
        return before

    try:
        made = collected(folded(substitute(routine.export, name, shape)))
    except Unknown:
        return None
    return made if free(made) else constant(evaluate(made, {}, None, formulas.steps))


def _spatial(given: TensorType) -> int:
    return given.size // given.channels
