"""Build one routine's plan from all copies of its block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netspec import syntax, trace
from netspec.backends.lowering import NotLowered
from netspec.backends.source.formulas import Formulas
from netspec.backends.source.kinds import called_name, kind_argument, note_maker
from netspec.backends.source.loops import plan_loop
from netspec.backends.source.plan import (
    Branch,
    CallWhat,
    Context,
    GroupWhat,
    Item,
    JoinWhat,
    Key,
    KindWhat,
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
from netspec.backends.source.results import by_chance, channels_of
from netspec.backends.source.sizes import after_some, sizes_of
from netspec.backends.source.symbols import names_of, substitute
from netspec.evaluate import evaluate
from netspec.formula import Choice, Expr, Literal
from netspec.graph import Node
from netspec.types import TensorType

RoutineOf = Callable[[trace.BlockRun], Routine]


class Builder:
    """Walks the bodies of all copies of a block side by side.

    `unrolled` are repeats to write out, `carrying` ones that need a variable for their channels,
    `reads` counts how often each value was read when the plan was made before (by serial),
    `routine_of` gives the routine that serves a block's copy and `inference` the ids of values
    that inference computes.
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
        self.formulas = Formulas(routine)
        self.serial = 0
        self.variables = 0
        self.lookups: list[int] = []
        self.values: list[Val] = []
        self.finals: dict[str, Expr] = {}  # what running variables are after their loops

    # -- values -----------------------------------------------------------------------------

    def val(
        self,
        context: Context,
        types: list[TensorType],
        channels: Expr | None,
        label: str = "",
        *,
        given: set[str] | None = None,
        sizes: set[str] | None = None,
    ) -> Val:
        self.serial += 1
        export = channels
        if channels is not None:
            export = substitute(channels, lambda name: self.finals.get(name.name, name))
        made = Val(self.serial, context, types, channels, export, None, label)
        made.given, made.sizes = given or set(), sizes or set()
        self.values.append(made)
        return made

    def read(self, value: Val) -> Val:
        self.reads[value.serial] = self.reads.get(value.serial, 0) + 1
        return value

    def reads_once(self, value: Val) -> bool:
        """Whether a value is known to be read once."""
        return self.old_reads.get(value.serial) == 1

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
            return plan_loop(self, node, runs, context, scope, current, names, items)
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
        self.formulas.freeze(repeat.times)
        self.formulas.freeze(repeat.each)

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
        self.formulas.freeze(ref)
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
            part
            if isinstance(part, str)
            else str(evaluate(part.expr, env, received, self.formulas.steps))
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
            self.formulas.freeze(node.when)
        if not present:
            if node.key is not None and current is not None:
                scope.names[self.agreed_name(copies, context)] = (current, None, None)
            return current
        condition = None
        inner = context
        if mixed:
            assert node.when is not None
            condition = self.formulas.expr(node.when, context, names)
            envs = [context.envs[lane] for lane in present]
            inner = Context(envs, context, present, condition=condition)
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
            own = isinstance(what, GroupWhat) and what.inline and what.named and result.label
            if not own:  # the children of an inline group keep their names beside its own
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
            made = part if isinstance(part, str) else self.formulas.expr(part, context, names)
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
            return self.choice(node, calls, kinds, context), None
        call = calls[0]
        match call:
            case trace.OpRun():
                assert isinstance(node.call, syntax.KindCall)
                if isinstance(node.call.kind, syntax.Formula):
                    self.formulas.freeze(node.call.kind)
                return self.op(node.call, [c.node for c in calls]), None  # type: ignore[union-attr] # all one kind
            case trace.BlockRun():
                assert isinstance(node.call, syntax.KindCall)
                if isinstance(node.call.kind, syntax.Formula):
                    self.formulas.freeze(node.call.kind)
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

    def choice(
        self,
        node: syntax.Node,
        calls: Sequence[trace.CallRun | None],
        kinds: Sequence[object],
        context: Context,
    ) -> KindWhat:
        """A call of a parameter or a column that names ops, which stays one in code.

        Raises:
            Split: it is another kind of call, or what some copies name is no op of one input.
        """
        runs = [call for call in calls if isinstance(call, trace.OpRun)]
        call = node.call
        kind = call.kind if isinstance(call, syntax.KindCall) else ""
        param = called_name(self.routine, kind, context)
        ops = [run.node.op for run in runs if run.node.op.arity == (1, 1)]
        if param is None or len(ops) < len(calls):
            raise Split(context, list(map(str, kinds)))
        assert isinstance(call, syntax.KindCall)
        assert isinstance(call.kind, syntax.Formula)
        self.formulas.freeze(call.kind)
        names = [op.kind for op in ops]
        note_maker(self.routine, param, names, context)
        made = {}
        for kind in dict.fromkeys(names):
            lanes = [lane for lane, name in enumerate(names) if name == kind]
            inner = Context([context.envs[lane] for lane in lanes], context, lanes)
            made[kind] = (self.op(call, [runs[lane].node for lane in lanes]), inner)
        return KindWhat(param, made, names)

    def argument(
        self, callee: Routine, name: str, value: syntax.Value, context: Context, names: set[str]
    ) -> Expr:
        """What a block is given for a parameter."""
        if name in callee.open:
            return kind_argument(self.formulas, value, callee.open[name], context, names)
        return self.formulas.expr(value, context, names)

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
        args = {
            name: self.argument(routine, name, value, context, names)
            for name, value in values.items()
        }
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
        made, given = channels_of(step, inner_types, current, self.formulas)
        sizes = sizes_of(step.what, current, self.routine)
        if step.condition is None:
            if isinstance(step.what, GroupWhat):
                return step.what.result
            return self.val(context, types, made, given=given, sizes=sizes)
        options = [made] if made is not None else []
        if current is not None and current.channels is not None:
            options.append(current.channels)
            if made is not None:
                options.append(Choice(step.condition, made, current.channels))
        concrete = [t.channels for t in types]
        chosen = next((e for e in options if self.formulas.holds(e, concrete, context)), None)
        if current is not None:
            given = given | current.given
            if not isinstance(chosen, Choice):
                given = given | by_chance(made, current, step.condition, self.routine)
            before = self.formulas.types(current, context)
            sizes = after_some(current, sizes, names_of(step.condition), before, types)
        return self.val(context, types, chosen, given=given, sizes=sizes)


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
