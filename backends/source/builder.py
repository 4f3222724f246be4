"""Build one routine's plan from all copies of its block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netspec import syntax, trace
from netspec.backends.lowering import NotLowered
from netspec.backends.source.plan import (
    Branch,
    CallWhat,
    Carry,
    Context,
    GroupWhat,
    Item,
    JoinWhat,
    Key,
    Loop,
    OpWhat,
    Routine,
    Scope,
    ShareWhat,
    Split,
    Step,
    Unroll,
    Val,
    What,
)
from netspec.backends.source.symbols import (
    IN_CHANNELS,
    difference,
    folded,
    names_of,
    product,
    same,
    substitute,
    symbol,
    total,
)
from netspec.evaluate import Steps, UnknownValue, evaluate
from netspec.formula import Choice, Expr, FormulaError, InputShape, ListOf, Literal, Name, free
from netspec.graph import Node
from netspec.types import SPATIAL_NAMES, TensorType

RoutineOf = Callable[[trace.BlockRun], Routine]


class Builder:
    """Walks the bodies of all copies of a block side by side.

    `unrolled` are repeats to write out, `carrying` ones that need a variable for their channels,
    `reads` counts how often each value was read when the plan
    was made before (by serial), `routine_of` gives the routine that serves a block's copy and
    `inference` the ids of values that inference computes.
    """

    def __init__(
        self,
        routine: Routine,
        unrolled: set[int],
        carrying: set[int],
        reads: dict[int, int],
        routine_of: RoutineOf,
        inference: set[int] | None,
    ) -> None:
        self.routine = routine
        self.unrolled = unrolled
        self.carrying = carrying
        self.old_reads = reads
        self.reads: dict[int, int] = {}
        self.routine_of = routine_of
        self.inference = inference
        self.steps = Steps(10**12)
        self.serial = 0
        self.variables = 0
        self.lookups: list[int] = []

    # -- values -----------------------------------------------------------------------------

    def val(
        self,
        context: Context,
        types: list[TensorType],
        channels: Expr | None,
        label: str = "",
        export: Expr | None = None,
    ) -> Val:
        self.serial += 1
        made = Val(self.serial, context, types, channels, export or channels, None, label)
        return made

    def read(self, value: Val) -> Val:
        self.reads[value.serial] = self.reads.get(value.serial, 0) + 1
        return value

    def types(self, value: Val, context: Context) -> list[TensorType]:
        return context.lift(value.context, value.types)

    def channels(self, value: Val, context: Context) -> Expr:
        """An expression for a value's channels in this context; a number if there is no better.

        Raises:
            Split: lanes differ and no expression says how.
        """
        concrete = [t.channels for t in self.types(value, context)]
        if value.channels is not None and self.holds(value.channels, concrete, context):
            return value.channels
        if not context.all_equal(concrete):
            raise Split(context, concrete)
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

    # -- formulas ---------------------------------------------------------------------------

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
            if found.axis == "channels" and self.routine.block is not None:
                return symbol(IN_CHANNELS)
            instances = [context.instance(lane) for lane in range(len(context.envs))]
            types = [self.routine.received[i] for i in instances]
            axes = [axis_size(t, found.axis) for t in types]
            if not context.all_equal(axes):
                raise Split(context, axes)
            return Literal(axes[0])

        made = folded(substitute(expr, name, shape))
        if not free(made) and not isinstance(made, (Literal, ListOf)):
            return constant(evaluate(made, {}, None, self.steps))
        return made

    # -- bodies -----------------------------------------------------------------------------

    def body(
        self,
        bodies: Sequence[trace.BodyRun],
        context: Context,
        scope: Scope,
        current: Val | None,
        names: set[str],
    ) -> tuple[list[Item], Val]:
        """The items of a body that all lanes have, and the value that it results in."""
        items: list[Item] = []
        for at, node in enumerate(bodies[0].syntax.nodes):
            runs = [body.nodes[at] for body in bodies]
            current = self.node(node, runs, context, scope, current, names, items)
        assert current is not None
        return items, current

    def node(
        self,
        node: syntax.Node,
        runs: Sequence[trace.NodeRun],
        context: Context,
        scope: Scope,
        current: Val | None,
        names: set[str],
        items: list[Item],
    ) -> Val | None:
        if node.from_ is not None:
            current = self.lookup(node.from_, context, scope)
        if node.repeat is None:
            copies = [run.copies[0] for run in runs]
            return self.step(node, copies, context, scope, current, names, items)
        counts = [len(run.copies) for run in runs]
        if max(counts) == 0:
            self.freeze_repeat(node.repeat)
            if node.key is not None and node.key.plain and current is not None:
                scope.names[node.key.plain] = (current, None, None)
            return current
        # A short literal count reads better written out, if one line says it.
        few = isinstance(node.repeat.times, syntax.Data) and max(counts) <= 3
        simple = isinstance(node.call, syntax.KindCall) and node.when is None
        if id(node) not in self.unrolled and not (few and simple) and current is not None:
            return self.loop(node, runs, context, scope, current, names, items)
        if not context.all_equal(counts):
            raise Split(context, counts)
        self.freeze_repeat(node.repeat)
        for turn in range(counts[0]):
            copies = [run.copies[turn] for run in runs]
            same_lanes = list(range(len(copies)))
            lanes = Context([c.env for c in copies], context, same_lanes, turn=True)
            current = self.step(node, copies, lanes, scope, current, names, items)
        return current

    def freeze_repeat(self, repeat: syntax.Repeat) -> None:
        self.freeze(repeat.times)
        self.freeze(repeat.each)

    def lookup(self, ref: syntax.Template, context: Context, scope: Scope) -> Val:
        found = self.read(self.entry(ref, context, scope)[0])
        self.routine.referenced.add(found.serial)
        self.lookups.append(found.serial)
        return found

    def entry(
        self, ref: syntax.Template, context: Context, scope: Scope
    ) -> tuple[Val, Step | None, Scope | None]:
        texts = [self.expand(ref, context, lane) for lane in range(len(context.envs))]
        if not context.all_equal(texts):
            raise Split(context, texts)
        self.freeze(ref)
        first, *rest = texts[0].split(".")
        if first == "input":
            return self.routine.inputs[0], None, None
        at: Scope | None = scope
        while at is not None and first not in at.names:
            if first in at.hidden:
                raise Unroll(at.hidden[first])
            at = at.outer
        if at is None:
            raise LookupError(f"no value {texts[0]!r}")
        found = at.names[first]
        for name in rest:
            inner = found[2]
            assert inner is not None
            if name not in inner.names:
                raise Unroll(inner.hidden[name])
            found = inner.names[name]
        return found

    def expand(self, template: syntax.Template, context: Context, lane: int) -> str:
        env, received = context.envs[lane], self.routine.received[context.instance(lane)]
        return "".join(
            part if isinstance(part, str) else str(evaluate(part.expr, env, received, self.steps))
            for part in template.parts
        )

    # -- one node ---------------------------------------------------------------------------

    def step(
        self,
        node: syntax.Node,
        copies: Sequence[trace.CopyRun],
        context: Context,
        scope: Scope,
        current: Val | None,
        names: set[str],
        items: list[Item],
    ) -> Val | None:
        present = [lane for lane, copy in enumerate(copies) if copy.call is not None]
        mixed = 0 < len(present) < len(copies)
        if not mixed:
            self.freeze(node.when)
        if not present:
            if node.key is not None and current is not None:
                scope.names[self.agreed_name(copies, context)] = (current, None, None)
            return current
        condition = None
        inner = context
        if mixed:
            assert node.when is not None
            condition = self.expr(node.when, context, names)
            inner = Context([context.envs[lane] for lane in present], context, present)
        there = [copies[lane] for lane in present]
        key = self.key(node, context, names)
        what, group = self.what(node, there, inner, scope, current, names)
        reads = not isinstance(what, (JoinWhat, GroupWhat)) and not _reads_nothing(what)
        read = self.read(current) if current is not None and (reads or mixed) else current
        training = self.training(there)
        step = Step(node, key, [c.name for c in copies], condition, inner, read, what, training)
        result = self.result(step, there, copies, context, current)
        step.result = result
        if result.step is None:
            result.step = step
        step.names = [c.name for c in copies]
        items.append(step)
        if node.key is not None:
            result.label = (key.text if key is not None else None) or ""
            texts = {c.name for c in copies}
            if len(texts) == 1:
                scope.names[copies[0].name] = (result, step, group)
            else:
                scope.hidden |= dict.fromkeys(texts, self.loop_of(context))
        elif copies[0].name:
            scope.names[copies[0].name] = (result, step, group)
        return result

    def loop_of(self, context: Context) -> syntax.Node:
        """The innermost loop that a context belongs to."""
        at: Context | None = context
        while at is not None:
            if at.loop is not None:
                return at.loop
            at = at.outer
        raise Split(context, list(range(len(context.envs))))

    def agreed_name(self, copies: Sequence[trace.CopyRun], context: Context) -> str:
        texts = [c.name for c in copies]
        return texts[0] if context.all_equal(texts) else ""

    def key(self, node: syntax.Node, context: Context, names: set[str]) -> Key | None:
        if node.key is None:
            return None
        parts: list[str | Expr] = []
        for part in node.key.parts:
            made = part if isinstance(part, str) else self.expr(part, context, names)
            if isinstance(made, Literal):
                made = str(made.value)
            if isinstance(made, str) and parts and isinstance(parts[-1], str):
                parts[-1] += made
            else:
                parts.append(made)
        return Key(tuple(parts))

    def training(self, copies: Sequence[trace.CopyRun]) -> bool:
        """Whether inference needs nothing of this; asked of the model's own children only."""
        if self.inference is None or self.routine.block is not None:
            return False
        found = list(nodes_of(copies[0].call))
        return bool(found) and not any(id(n.output) in self.inference for n in found)

    def what(
        self,
        node: syntax.Node,
        copies: Sequence[trace.CopyRun],
        context: Context,
        scope: Scope,
        current: Val | None,
        names: set[str],
    ) -> tuple[What, Scope | None]:
        calls = [copy.call for copy in copies]
        kinds = [self._kind(call) for call in calls]
        if not context.all_equal(kinds):
            raise Split(context, kinds)
        call = calls[0]
        match call:
            case trace.OpRun():
                assert isinstance(node.call, syntax.KindCall)
                if isinstance(node.call.kind, syntax.Formula):
                    self.freeze(node.call.kind)
                return self.op(node.call, [c.node for c in calls]), None  # type: ignore[union-attr] # all one kind
            case trace.BlockRun():
                assert isinstance(node.call, syntax.KindCall)
                if isinstance(node.call.kind, syntax.Formula):
                    self.freeze(node.call.kind)
                return self.call(node.call, call, context, names), None
            case trace.GroupRun(_, inline):
                inside = scope if inline else Scope(scope)
                bodies = [c.body for c in calls]  # type: ignore[union-attr] # all one kind
                before = len(self.lookups)
                items, result = self.body(bodies, context, inside, current, names)
                named, by_name = bodies[0].syntax.named, set(self.lookups[before:])
                return GroupWhat(items, result, inline, named, inside, by_name), inside
            case trace.JoinRun():
                return self.join(node, calls, context, scope, current, names), None  # type: ignore[arg-type] # all one kind
            case trace.ShareRun():
                assert isinstance(node.call, syntax.Share)
                _, target, _ = self.entry(node.call.ref, context, scope)
                if target is None:
                    raise LookupError("a shared node that is not there")
                self.routine.shared.add(id(target))
                _refuse_ambiguous(target)
                return ShareWhat(target, [c.path for c in copies]), None
        raise AssertionError(call)

    def _kind(self, call: trace.CallRun | None) -> object:
        match call:
            case trace.OpRun(node):
                return ("op", node.op.kind)
            case trace.BlockRun():
                return ("block", id(self.routine_of(call)))
            case _:
                return type(call).__name__

    def op(self, call: syntax.KindCall, nodes: list[Node]) -> OpWhat:
        required = [n for n, a in nodes[0].op.attributes.items() if a.required]
        args = {arg.name or required[0]: arg.value for arg in call.args}
        return OpWhat(nodes[0], nodes, args)

    def call(
        self,
        call: syntax.KindCall,
        run: trace.BlockRun,
        context: Context,
        names: set[str],
    ) -> CallWhat:
        routine = self.routine_of(run)
        required = [p.name for p in run.block.params if p.default is None]
        values = {arg.name or required[0]: arg.value for arg in call.args}
        args = {name: self.expr(value, context, names) for name, value in values.items()}
        return CallWhat(routine, args, values)

    def join(
        self,
        node: syntax.Node,
        calls: Sequence[trace.JoinRun],
        context: Context,
        scope: Scope,
        current: Val | None,
        names: set[str],
    ) -> JoinWhat:
        branches = []
        for at, run in enumerate(calls[0].branches):
            if run.body is None:
                assert isinstance(node.call, syntax.Join)
                ref = node.call.branches[at]
                assert isinstance(ref, syntax.Template)
                branches.append(Branch(self.lookup(ref, context, scope), []))
                continue
            if current is not None:
                self.read(current)
            bodies = [call.branches[at].body for call in calls]
            items, result = self.body(bodies, context, scope, current, names)  # type: ignore[arg-type] # all have one
            self.read(result)
            branches.append(Branch(result, items))
        return JoinWhat(calls[0].node, [call.node for call in calls], branches)

    # -- results ----------------------------------------------------------------------------

    def result(
        self,
        step: Step,
        there: Sequence[trace.CopyRun],
        copies: Sequence[trace.CopyRun],
        context: Context,
        current: Val | None,
    ) -> Val:
        """The value that a step leaves, with an expression for its channels."""
        types = [copy.result.type for copy in copies]
        inner_types = [copy.result.type for copy in there]
        made = self.channels_of(step, inner_types, current)
        if step.condition is None:
            if isinstance(step.what, GroupWhat):
                return step.what.result
            return self.val(context, types, made)
        options = [made] if made is not None else []
        if current is not None and current.channels is not None:
            options.append(current.channels)
            if made is not None:
                options.append(Choice(step.condition, made, current.channels))
        concrete = [t.channels for t in types]
        chosen = next((e for e in options if self.holds(e, concrete, context)), None)
        return self.val(context, types, chosen)

    def channels_of(self, step: Step, types: list[TensorType], current: Val | None) -> Expr | None:
        """An expression for the channels of what a step computes, tried on every lane."""
        concrete = [t.channels for t in types]
        for option in self.options(step, current):
            if option is not None and self.holds(option, concrete, step.inner):
                return option
        if concrete and all(c == concrete[0] for c in concrete):
            return Literal(concrete[0])
        return None

    def options(self, step: Step, current: Val | None) -> list[Expr | None]:
        context = step.inner
        before = current.channels if current is not None else None
        match step.what:
            case OpWhat(node, _, args):
                found: list[Expr | None] = []
                if "out" in args:
                    found.append(self.try_expr(args["out"], context))
                if node.op.kind == "slice":
                    stop = self.try_expr(args["stop"], context)
                    start = self.try_expr(args["start"], context) if "start" in args else Literal(0)
                    found.append(None if not stop or not start else difference(stop, start))
                if node.op.kind == "flatten" and before is not None and current is not None:
                    sizes = [_spatial(t) for t in self.types(current, context)]
                    if context.all_equal(sizes):
                        found.append(product(before, sizes[0]))
                return [*found, before]
            case CallWhat():
                return [self.exported(step.what, before), before]
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
                    return [self.exported(inner, before), before]
                return [target.result.channels if target.result else None, before]
        return []

    def try_expr(self, value: syntax.Value, context: Context) -> Expr | None:
        try:
            return self.expr(value, context, self.routine.visible | self.loop_names(context))
        except Split:
            return None

    def loop_names(self, context: Context) -> set[str]:
        names: set[str] = set()
        at: Context | None = context
        while at is not None:
            if at.loop is not None and at.loop.repeat is not None:
                names |= {at.loop.repeat.index, *at.loop.repeat.names}
            at = at.outer
        return names

    def exported(self, what: CallWhat, before: Expr | None) -> Expr | None:
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
            made = substitute(routine.export, name, shape)
        except Unknown:
            return None
        return made if free(made) else constant(evaluate(made, {}, None, self.steps))

    # -- loops ------------------------------------------------------------------------------

    def loop(
        self,
        node: syntax.Node,
        runs: Sequence[trace.NodeRun],
        context: Context,
        scope: Scope,
        start: Val,
        names: set[str],
        items: list[Item],
    ) -> Val:
        repeat = node.repeat
        assert repeat is not None
        if repeat.each is not None and not repeat.names:
            raise Unroll(node)
        up = [lane for lane, run in enumerate(runs) for _ in run.copies]
        copies = [copy for run in runs for copy in run.copies]
        inner = Context([copy.env for copy in copies], context, up, node)
        times = None if repeat.times is None else self.expr(repeat.times, context, names)
        each = None if repeat.each is None else self.expr(repeat.each, context, names)
        carried_types = [copy.read.type for copy in copies if copy.read is not None]
        if len(carried_types) != len(copies):
            raise Unroll(node)
        self.read(start)
        concrete = [t.channels for t in carried_types]
        begin = self.channels(start, context)
        steady = id(node) not in self.carrying and self.holds(begin, concrete, inner)
        variable, fresh = None, False
        carried_channels: Expr = begin
        if not steady:
            reuse = isinstance(begin, Name) and begin.name.startswith("$c")
            alone = self.old_reads.get(start.serial, 2) == 1
            if reuse and alone:
                assert isinstance(begin, Name)
                variable = begin.name
            else:
                self.variables += 1
                variable, fresh = f"$c{self.variables}", True
            inner.running[variable] = concrete
            carried_channels = symbol(variable)
        carried = self.val(inner, carried_types, carried_channels)
        inside: list[Item] = []
        loop_scope = Scope(scope)
        visible = names | {repeat.index, *repeat.names}
        last = self.step(node, copies, inner, loop_scope, carried, visible, inside)
        assert last is not None
        update = None
        if variable is not None:
            update = self.channels(last, inner)
        elif last.channels is not None and not same(last.channels, begin):
            raise Carry(node)
        for copy in copies:
            self.hide(copy, scope, node)
        for hidden in (*loop_scope.names, *loop_scope.hidden):
            scope.hidden[hidden] = node
        types = self._final_types(runs, start, context)
        if variable is not None:
            context.home().running[variable] = [t.channels for t in types]
        after = symbol(variable) if variable else begin
        export = self._outside(update, repeat, types, context) if update else None
        result = self.val(context, types, after, export=export)
        if variable and not export:
            result.export = None
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
        self.read(last)
        made.result = result
        made.training = any(isinstance(i, Step) and i.training for i in inside)
        result.step = made
        if node.key is not None and node.key.plain:
            scope.names[node.key.plain] = (result, None, None)
            scope.hidden.pop(node.key.plain, None)
        items.append(made)
        return result

    def hide(self, copy: trace.CopyRun, scope: Scope, node: syntax.Node) -> None:
        if copy.name:
            scope.hidden[copy.name] = node

    def _final_types(
        self, runs: Sequence[trace.NodeRun], start: Val, context: Context
    ) -> list[TensorType]:
        before = self.types(start, context)
        return [
            run.copies[-1].result.type if run.copies else before[lane]
            for lane, run in enumerate(runs)
        ]

    def _outside(
        self,
        update: Expr,
        repeat: syntax.Repeat,
        types: list[TensorType],
        context: Context,
    ) -> Expr | None:
        """The loop's last update where it also holds after the loop."""
        inside = {repeat.index, *repeat.names}
        if any(isinstance(n, Name) and n.name in inside for n in free(update)):
            return None
        if any(isinstance(n, Name) and n.name.startswith("$c") for n in free(update)):
            return None
        return update if self.holds(update, [t.channels for t in types], context) else None


def _refuse_ambiguous(target: Step) -> None:
    """Refuse to share a group whose body names the very value that the group reads.

    Applied again, the one changes and the other stays, and a plan has one value for both.

    Raises:
        NotLowered: the group does so.
    """
    group, read = target.what, target.read
    if isinstance(group, GroupWhat) and read is not None and read.serial in group.names:
        what = "share of a group that names the value it reads"
        raise NotLowered(what, "source")


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


def constant(value: Any) -> Expr:
    """A plain value as an expression."""
    if isinstance(value, list):
        return ListOf(tuple(constant(item) for item in value))
    return Literal(value)


def axis_size(given: TensorType, axis: str) -> int:
    return given.shape[("channels", *SPATIAL_NAMES[given.rank]).index(axis)]


def nodes_of(call: trace.CallRun | None) -> list[Node]:
    """Every graph node inside a call."""
    match call:
        case trace.OpRun(node):
            return [node]
        case trace.BlockRun(body=body) | trace.GroupRun(body=body):
            return _nodes_in(body)
        case trace.JoinRun(node, branches):
            inside = [n for b in branches if b.body is not None for n in _nodes_in(b.body)]
            return [*inside, node]
        case trace.ShareRun(_, again):
            return nodes_of(again.call)
    return []


def _nodes_in(body: trace.BodyRun) -> list[Node]:
    return [n for run in body.nodes for copy in run.copies for n in nodes_of(copy.call)]


def _reads_nothing(what: What) -> bool:
    return isinstance(what, OpWhat) and what.node.op.arity[1] == 0


def _spatial(given: TensorType) -> int:
    return given.size // given.channels


__all__ = ["Builder", "constant", "nodes_of", "raw_expr", "same"]
