"""Values and formulas of one routine in all its lanes: what holds, and as what code says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netspec import syntax
from netspec.backends.source.plan import Context, Routine, Split, Val
from netspec.backends.source.symbols import (
    IN_CHANNELS,
    IN_SIZES,
    folded,
    names_of,
    opposite,
    same,
    substitute,
    symbol,
)
from netspec.evaluate import Steps, UnknownValue, evaluate
from netspec.formula import Choice, Expr, FormulaError, InputShape, ListOf, Literal, Name, free
from netspec.types import SPATIAL_NAMES, TensorType


class Formulas:
    """Asks formulas of a routine in the contexts of its code."""

    def __init__(self, routine: Routine) -> None:
        self.routine = routine
        self.steps = Steps(10**12)

    def types(self, value: Val, context: Context) -> list[TensorType]:
        return context.lift(value.context, value.types)

    def channels(self, value: Val, context: Context, *, note: bool = True) -> Expr:
        """An expression for a value's channels in this context; a number if there is no better.

        With `note`, code is going to mention it: the names that it takes as given are frozen.

        Raises:
            Split: lanes differ and no expression says how.
        """
        concrete = [t.channels for t in self.types(value, context)]
        if note:
            self.routine.frozen |= value.given
        if value.channels is not None and self.holds(value.channels, concrete, context):
            return _decided(value.channels, context)
        if not context.all_equal(concrete):
            raise Split(context, concrete)
        if note and value.channels is not None:  # a variable that has another value by now
            self.routine.frozen |= {*self.routine.visible, IN_CHANNELS}
        return Literal(concrete[0])

    def holds(self, expr: Expr, concrete: Sequence[Any], context: Context) -> bool:
        """Whether an expression has these values in all lanes."""
        try:
            return all(
                self.value_in(expr, context, lane) == value for lane, value in enumerate(concrete)
            )
        except (FormulaError, UnknownValue, LookupError):
            return False

    def value_in(self, expr: Expr, context: Context, lane: int) -> Any:
        env = context.envs[lane]
        extra = {
            n.name: self.special(n.name, context, lane)
            for n in free(expr)
            if isinstance(n, Name) and n.name.startswith("$")
        }
        return evaluate(expr, {**env, **extra} if extra else env, None, self.steps)

    def special(self, name: str, context: Context, lane: int) -> int:
        if name == IN_CHANNELS:
            return self.routine.received[context.instance(lane)].channels
        return context.variable(name)[lane]

    def freeze(self, value: syntax.Value | syntax.Template | None) -> None:
        """Note that the plan depends on what a formula's names are now."""
        if isinstance(value, syntax.Formula):
            self.routine.frozen |= names_of(value.expr)
        elif isinstance(value, syntax.ListValue):
            for item in value.items:
                self.freeze(item)
        elif isinstance(value, syntax.MapValue):
            for _, item in value.entries:
                self.freeze(item)
        elif isinstance(value, syntax.Template):
            for part in value.parts:
                if isinstance(part, syntax.Formula):
                    self.freeze(part)

    def expr(self, value: syntax.Value, context: Context, names: set[str]) -> Expr:
        """A value of the spec as an expression over the names that code has in scope.

        Names that it has not become their values.

        Raises:
            Split: such a name has another value in another lane.
        """
        return self.simplify(raw_expr(value), context, names)

    def simplify(self, expr: Expr, context: Context, names: set[str]) -> Expr:
        def name(found: Name) -> Expr:
            if found.name in names or found.name.startswith("$"):
                return found
            values = [env[found.name] for env in context.envs]
            if not context.all_equal(values):
                raise Split(context, [repr(v) for v in values])
            return constant(values[0])

        def shape(found: InputShape) -> Expr:
            if found.axis == "channels":
                received = self.routine.inputs[0].channels
                return received if self.routine.block is None and received else symbol(IN_CHANNELS)
            instances = [context.instance(lane) for lane in range(len(context.envs))]
            types = [self.routine.received[i] for i in instances]
            axes = [axis_size(t, found.axis) for t in types]
            self.routine.frozen.add(IN_SIZES)
            if not context.all_equal(axes):
                raise Split(context, axes)
            return Literal(axes[0])

        made = folded(substitute(expr, name, shape))
        if not free(made) and not isinstance(made, (Literal, ListOf)):
            return constant(evaluate(made, {}, None, self.steps))
        return made

    def try_expr(self, value: syntax.Value, context: Context) -> Expr | None:
        """The same with all names that code has here; None where that says nothing."""
        try:
            return self.expr(value, context, self.routine.visible | self.loop_names(context))
        except Split:
            return None

    def loop_names(self, context: Context) -> set[str]:
        """The names that the loops around a stretch of code give values to."""
        names: set[str] = set()
        at: Context | None = context
        while at is not None:
            if at.loop is not None and at.loop.repeat is not None:
                names |= {at.loop.repeat.index, *at.loop.repeat.names}
            at = at.outer
        return names


def _decided(expr: Expr, context: Context) -> Expr:
    """A choice as the end that conditions around the code leave of it."""
    at: Context | None = context
    while at is not None and isinstance(expr, Choice):
        if at.condition is not None and same(expr.condition, at.condition):
            expr = expr.yes
        elif at.condition is not None and opposite(expr.condition, at.condition):
            expr = expr.no
        at = at.outer
    return expr


def raw_expr(value: syntax.Value) -> Expr:
    """Data, formulas and lists of them as one expression."""
    match value:
        case syntax.Data(plain):
            return Literal(plain)
        case syntax.Formula(expr):
            return expr
        case syntax.ListValue(items):
            return ListOf(tuple(raw_expr(item) for item in items))
        case _:
            raise TypeError(f"no expression for {value!r}")


def names_in(value: syntax.Value) -> set[str]:
    """The names that formulas of a value read."""
    match value:
        case syntax.Formula(expr):
            return names_of(expr)
        case syntax.ListValue(items):
            return {name for item in items for name in names_in(item)}
        case syntax.MapValue(entries):
            return {name for _, item in entries for name in names_in(item)}
    return set()


def constant(value: Any) -> Expr:
    """A plain value as an expression."""
    if isinstance(value, list):
        return ListOf(tuple(constant(item) for item in value))
    return Literal(value)


def axis_size(given: TensorType, axis: str) -> int:
    return given.shape[("channels", *SPATIAL_NAMES[given.rank]).index(axis)]
