"""The channels of what a step computes, as an expression in the routine's words."""

from __future__ import annotations

from netspec.backends.source.formulas import Formulas, constant, raw_expr
from netspec.backends.source.plan import (
    CallWhat,
    GroupWhat,
    JoinWhat,
    KindWhat,
    OpWhat,
    ShareWhat,
    Step,
    Val,
)
from netspec.backends.source.symbols import (
    IN_CHANNELS,
    difference,
    folded,
    product,
    same,
    substitute,
    total,
)
from netspec.evaluate import evaluate
from netspec.formula import Binary, Expr, InputShape, Literal, Name, free
from netspec.types import TensorType


def channels_of(
    step: Step, types: list[TensorType], current: Val | None, formulas: Formulas
) -> Expr | None:
    """An expression for the channels of what a step computes, tried on every lane."""
    concrete = [t.channels for t in types]
    for option in _options(step, current, formulas):
        if option is not None and formulas.holds(option, concrete, step.inner):
            return option
    if concrete and all(c == concrete[0] for c in concrete):
        return Literal(concrete[0])
    return None


def _options(step: Step, current: Val | None, formulas: Formulas) -> list[Expr | None]:
    context = step.inner
    before = current.channels if current is not None else None
    match step.what:
        case OpWhat(node, _, args):
            found: list[Expr | None] = []
            if "out" in args:
                found.append(formulas.try_expr(args["out"], context))
            if node.op.kind == "slice":
                stop = formulas.try_expr(args["stop"], context)
                start = formulas.try_expr(args["start"], context) if "start" in args else Literal(0)
                found.append(None if not stop or not start else difference(stop, start))
            if node.op.kind == "flatten" and before is not None and current is not None:
                sizes = [_spatial(t) for t in formulas.types(current, context)]
                if context.all_equal(sizes):
                    found.append(product(before, sizes[0]))
            return [*found, before]
        case CallWhat():
            return [_exported(step.what, before, formulas), before]
        case KindWhat():
            return [before]
        case GroupWhat(_, result):
            return [result.channels]
        case JoinWhat(node, _, branches):
            each = [b.value.channels for b in branches]
            if node.op.kind == "concat":
                known = [e for e in each if e is not None]
                return [total(known) if len(known) == len(each) else None]
            return list(each)
        case ShareWhat(target):
            inner = target.what
            if isinstance(inner, CallWhat):
                return [_exported(inner, before, formulas), before]
            return [target.result.channels if target.result else None, before]
    return []


def _exported(what: CallWhat, before: Expr | None, formulas: Formulas) -> Expr | None:
    """A block's channels in the caller's words."""
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
        made = _cancelled(folded(substitute(routine.export, name, shape)))
    except Unknown:
        return None
    return made if free(made) else constant(evaluate(made, {}, None, formulas.steps))


def _spatial(given: TensorType) -> int:
    return given.size // given.channels


def _cancelled(expr: Expr) -> Expr:
    """`a - b + b` as `a`."""
    match expr:
        case Binary("+", Binary("-", first, taken), added) if same(taken, added):
            return first
    return expr
