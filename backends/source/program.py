"""Plan a whole graph: one routine per block, split and planned again until every lane agrees."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from netspec import syntax, trace
from netspec.backends.source.builder import Builder
from netspec.backends.source.formulas import names_in
from netspec.backends.source.plan import (
    CallWhat,
    Carry,
    Context,
    Item,
    Loop,
    Routine,
    Scope,
    Split,
    Step,
    Unroll,
    all_items,
)
from netspec.backends.source.sizes import over, through_call, turn_of
from netspec.backends.source.symbols import IN_CHANNELS, IN_SIZES, names_of, symbol
from netspec.formula import Literal, Name, free
from netspec.graph import Graph

T = TypeVar("T")
Label = tuple[Hashable, ...]


@dataclass(slots=True)
class Program:
    """The routines that a model reaches, blocks before what uses them, the model last.

    `reads` counts how often each value of a routine is read, by routine and serial.
    """

    graph: Graph
    routines: list[Routine]
    reads: dict[int, dict[int, int]]

    @property
    def model(self) -> Routine:
        return self.routines[-1]


@dataclass(slots=True)
class _Decisions:
    unrolled: set[int] = field(default_factory=set)
    carrying: set[int] = field(default_factory=set)
    labels: dict[int, Label] = field(default_factory=dict)  # by copy of a block
    frozen: set[str] = field(default_factory=set)
    reads: dict[Label, dict[int, int]] = field(default_factory=dict)


def planned(graph: Graph, emit: Callable[[Program], T]) -> T:
    """Plan the graph and emit it, again for each `Split` and `Unroll` that comes up."""
    runs = _block_runs(graph.trace.body)
    decisions = _Decisions()
    for run in runs:
        decisions.labels[id(run)] = (id(run.block),)
    while True:
        planner = _Planner(graph, runs, decisions)
        try:
            program = planner.program()
            if planner.reads != decisions.reads:
                decisions.reads = planner.reads
                planner = _Planner(graph, runs, decisions)
                program = planner.program()
            emitted = emit(program)
        except Unroll as unroll:
            decisions.unrolled.add(id(unroll.loop))
            continue
        except Carry as carry:
            decisions.carrying.add(id(carry.loop))
            continue
        except Split as split:
            planner.decide(split)
            continue
        frozen = _frozen(program)
        if frozen <= decisions.frozen:
            return emitted
        decisions.frozen |= frozen


class _Planner:
    def __init__(self, graph: Graph, runs: list[trace.BlockRun], decisions: _Decisions) -> None:
        self.graph = graph
        self.decisions = decisions
        self.routines: dict[Label, Routine] = {}
        self.members: dict[Label, list[trace.BlockRun]] = {}
        self.owners: dict[int, Label] = {}
        self.reads: dict[Label, dict[int, int]] = {}
        self.inference: set[int] | None = None
        if any(output.training for output in graph.outputs):
            self.inference = {id(node.output) for node in graph.inference_nodes}
        for run in runs:
            self.members.setdefault(decisions.labels[id(run)], []).append(run)

    def program(self) -> Program:
        model = self.model()
        routines = [*self.routines.values(), model]
        reads = {id(self.routines[label]): r for label, r in self.reads.items() if label}
        reads[id(model)] = self.reads[()]
        return Program(self.graph, routines, reads)

    def decide(self, split: Split) -> None:
        """Write the block twice if its copies differ as wholes, else write out a loop."""
        context = split.context
        by_instance: dict[int, set[Hashable]] = {}
        for lane, value in enumerate(split.values):
            by_instance.setdefault(context.instance(lane), set()).add(value)
        root: Context = context
        while root.outer is not None:
            root = root.outer
        distinct = {next(iter(values)) for values in by_instance.values()}
        uniform = all(len(values) == 1 for values in by_instance.values())
        if uniform and len(distinct) > 1:
            label = self.owners[id(root)]
            order: dict[Hashable, int] = {}
            for instance, run in enumerate(self.members[label]):
                value = next(iter(by_instance.get(instance, {"absent"})))
                number = order.setdefault(value, len(order))
                self.decisions.labels[id(run)] = (*label, number)
            return
        loop = _loop_of(split)
        if loop is None:
            raise AssertionError("one copy of a block differs from itself")
        self.decisions.unrolled.add(id(loop))

    def routine_of(self, run: trace.BlockRun) -> Routine:
        label = self.decisions.labels[id(run)]
        if label not in self.routines:
            made = self.block(label)
            self.routines[label] = made
        return self.routines[label]

    def block(self, label: Label) -> Routine:
        runs = self.members[label]
        block = runs[0].block
        context = Context([run.env for run in runs])
        visible = _visible(block.params, block.lets)
        received = [run.received.type for run in runs]
        routine = _routine(block.name, block, block.params, block.lets, context, visible)
        routine.received = received
        builder = self.builder(routine, label)
        start = builder.val(context, received, symbol(IN_CHANNELS), "input", sizes={IN_SIZES})
        routine.inputs.append(start)
        bodies = [run.body for run in runs]
        routine.items, routine.result = builder.body(
            bodies, context, routine.scope, start, set(visible)
        )
        builder.read(routine.result)
        for param, kinds in routine.open.items():
            # A copy that makes no op there has no code for the argument.
            given = [env[param] for env in context.envs]
            if not kinds.issuperset(given):
                raise Split(context, given)
        routine.export = routine.result.export
        if routine.export is not None and _has_loop_names(routine):
            routine.export = None
        routine.export_needs |= routine.result.given
        self.reads[label] = builder.reads
        return routine

    def builder(self, routine: Routine, label: Label) -> Builder:
        self.owners[id(routine.context)] = label
        made = Builder(
            routine,
            self.decisions.unrolled,
            self.decisions.carrying,
            self.decisions.reads.get(label, {}),
            self.routine_of,
            self.inference,
        )
        routine.formulas = made.formulas
        return made

    def model(self) -> Routine:
        run: trace.ModelRun = self.graph.trace
        model = run.model
        context = Context([run.env])
        visible = _visible(model.params, model.lets) - self.decisions.frozen
        for let in model.lets:  # a number that no parameter can change any more needs no name
            names = names_in(let.value)
            if names and not names & visible and not isinstance(run.env[let.name], list):
                visible.discard(let.name)
        routine = _routine(model.name, None, model.params, model.lets, context, visible)
        routine.received = [run.inputs[0][1]]
        builder = self.builder(routine, ())
        sizes: list[syntax.Value] = []
        for declared, (name, given) in zip(model.inputs, run.inputs, strict=True):
            channels, *spatial = declared.shape
            made = builder.formulas.try_expr(channels, context)
            if made is None or not builder.formulas.holds(made, [given.channels], context):
                made = Literal(given.channels)  # the shape was given from outside
                spatial = [channels, *spatial]
            sizes += spatial
            value = builder.val(context, [given], made, name)
            routine.inputs.append(value)
            routine.scope.names[name] = (value, None, None)
        start = routine.inputs[0] if len(run.inputs) == 1 else None
        routine.items, routine.result = builder.body(
            [run.body], context, routine.scope, start, set(visible)
        )
        # Defaults of ops and sizes of inputs stand in the source as they are now.
        for fixed in (*(a.value for d in model.defaults for a in d.args), *sizes):
            builder.formulas.freeze(fixed)
        self.outputs(routine, builder, run)
        self.reads[()] = builder.reads
        return routine

    def outputs(self, routine: Routine, builder: Builder, run: trace.ModelRun) -> None:
        declared = {output.name: output for output in run.model.outputs}
        for output in self.graph.outputs:
            if output.name in declared:
                builder.formulas.freeze(declared[output.name].when)
                ref = declared[output.name].ref
                value = builder.lookup(ref, routine.context, routine.scope)
            else:
                value = builder.read(routine.result)
            routine.outputs.append((output.name, value, output.training))
        for out in run.model.outputs:
            builder.formulas.freeze(out.when)


def _routine(
    name: str,
    block: syntax.Block | None,
    params: tuple[syntax.ParamDecl, ...],
    lets: tuple[syntax.Let, ...],
    context: Context,
    visible: set[str],
) -> Routine:
    nothing: list[Item] = []
    placeholder = None
    return Routine(
        name,
        block,
        params,
        lets,
        context,
        [],
        nothing,
        placeholder,  # type: ignore[arg-type] # set as soon as the body is planned
        Scope(None),
        visible,
    )


def _visible(params: tuple[syntax.ParamDecl, ...], lets: tuple[syntax.Let, ...]) -> set[str]:
    names = {p.name for p in params if p.type != "kind"}
    return names | {let.name for let in lets if not _has_mapping(let.value)}


def _has_mapping(value: syntax.Value) -> bool:
    if isinstance(value, syntax.ListValue):
        return any(_has_mapping(item) for item in value.items)
    return isinstance(value, syntax.MapValue)


def _has_loop_names(routine: Routine) -> bool:
    assert routine.export is not None
    names = {n.name for n in free(routine.export) if isinstance(n, Name)}
    known = {p.name for p in routine.params} | {let.name for let in routine.lets}
    return not all(name in known or name == "$in" for name in names)


def _loop_of(split: Split) -> syntax.Node | None:
    """The innermost loop whose turns differ: what differs between turns of one around it stays in
    a loop when that one is written out."""
    at: Context = split.context
    values = dict(enumerate(split.values))
    while at.outer is not None:
        outer: dict[int, Hashable] = {}
        for lane, value in values.items():
            if outer.setdefault(at.up[lane], value) != value:
                return at.loop
        values, at = outer, at.outer
    return None


def _block_runs(body: trace.BodyRun) -> list[trace.BlockRun]:
    """Every copy of every block, in the order of the network."""
    found: list[trace.BlockRun] = []
    for run in body.nodes:
        for copy in run.copies:
            call = copy.call.again.call if isinstance(copy.call, trace.ShareRun) else copy.call
            match call:
                case trace.BlockRun():
                    found += _block_runs(call.body)
                    found.append(call)
                case trace.GroupRun(inner, _):
                    found += _block_runs(inner)
                case trace.JoinRun(_, branches):
                    for branch in branches:
                        if branch.body is not None:
                            found += _block_runs(branch.body)
    return found


def _frozen(program: Program) -> set[str]:
    """The model's parameters on whose present values the plan depends."""
    for routine in program.routines:  # blocks come before what uses them
        standing: dict[str, set[str]] = {}  # what decides names that are no parameters
        if routine is program.model and (channels := routine.inputs[0].channels) is not None:
            standing[IN_CHANNELS] = names_of(channels)
        for item in all_items(routine.items):
            if isinstance(item, Loop):
                assert item.syntax.repeat is not None
                for name in (item.index, *item.names):  # loops one after the other may share names
                    standing[name] = standing.get(name, set()) | over(item.syntax.repeat)
                standing[turn_of(item.carried, "given")] = item.last.given
                standing[turn_of(item.carried, "sizes")] = item.last.sizes
            elif isinstance(item.what, CallWhat):
                through = item.what.routine.frozen
                routine.frozen |= through_call(item.what, through, item.read, routine)
        lets = {let.name: names_in(let.value) for let in routine.lets}
        pending = list(routine.frozen)
        while pending:
            name = pending.pop()
            more = lets.get(name) or standing.get(name, set())
            pending += more - routine.frozen
            routine.frozen |= more
    params = {p.name for p in program.model.params}
    return program.model.frozen & params


__all__ = ["Program", "Step", "all_items", "planned"]
