"""Apply parameters to a spec: expand blocks and repeats, infer every shape, build the graph.

What was already reported flows on as `UNKNOWN`, so that one mistake is one message. Recursion
follows the nesting of the text, which is bounded; the depth of the network is a loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec import trace
from netspec.diagnostics import Findings, Note, Span
from netspec.evaluate import UNKNOWN, Steps, Unknown, UnknownValue, evaluate
from netspec.explain import show, suggestion
from netspec.formula import FormulaError
from netspec.graph import Graph, Node, Output, Value, Weight
from netspec.initialisers import INITIALISERS, InitialiserError, fans
from netspec.ops import Op, OpError, Param
from netspec.ops.base import DIMENSION_LIMIT
from netspec.record import value_record
from netspec.syntax import (
    Arg,
    Block,
    Body,
    Data,
    Formula,
    Group,
    Join,
    KindCall,
    ListValue,
    MapValue,
    Model,
    ParamDecl,
    Repeat,
    Share,
    Template,
)
from netspec.syntax import Node as NodeSyntax
from netspec.syntax import Value as ValueSyntax
from netspec.types import TensorType
from netspec.values import KindName, ValueProblem, attribute_value, param_value

NODE_LIMIT = 200_000
NEST_LIMIT = 48
SIZE_LIMIT = 2**40  # elements of one tensor


@dataclass(slots=True)
class Binding:
    """What a name of a value stands for."""

    value: Value | Unknown
    copy: trace.CopyRun | None = None  # what `share` applies again
    group: Scope | None = None  # what `name.inner` reaches into


@dataclass(slots=True)
class Scope:
    """Names of values in one body; groups look outwards, blocks do not."""

    outer: Scope | None
    names: dict[str, Binding] = field(default_factory=dict)
    numbers: int = 0
    body: Body | None = None  # where its names are written


@value_record
class Frame:
    """One application of a block (or the model): what its formulas and nodes can see."""

    env: dict[str, Any]
    received: Value | Unknown | None  # None: a model with several inputs
    blocks: Mapping[str, Block]
    depth: int
    trail: tuple[Note, ...] = ()

    @property
    def input_type(self) -> TensorType | Unknown | None:
        return self.received.type if isinstance(self.received, Value) else self.received

    def with_names(self, names: dict[str, Any]) -> Frame:
        env = {**self.env, **names}
        return Frame(env, self.received, self.blocks, self.depth, self.trail)


class Failed(Exception):
    """This node cannot be resolved; the reason is reported."""


def resolve(
    model: Model,
    sets: Mapping[str, tuple[Any, Span | None]],
    variant: str | None,
    shapes: Mapping[str, tuple[int, ...]],
    findings: Findings,
) -> Graph | None:
    """Build the graph of a model.

    `sets` are values for parameters (each with where it was given), on top of the variant's;
    `shapes` replace the inputs' shapes. None, with reasons in `findings`, if that is impossible.
    """
    resolver = _Resolver(model, findings)
    return resolver.run(sets, variant, shapes)


class _Resolver:
    def __init__(self, model: Model, findings: Findings) -> None:
        self.model = model
        self.findings = findings
        self.steps = Steps()
        self.nodes: list[Node] = []
        self.defaults: dict[str, dict[str, tuple[Any, Arg]]] = {}
        self.copies = 0
        self.full = False
        self.keys: dict[str, Span] = {}

    # -- the model --------------------------------------------------------------------------

    def run(
        self,
        sets: Mapping[str, tuple[Any, Span | None]],
        variant: str | None,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> Graph | None:
        model = self.model
        given: dict[str, tuple[Any, Span | None]] = {}
        plain = Frame({}, None, model.blocks, 0)
        for declared in model.variants:
            if declared.name == variant:
                for arg in declared.sets:
                    given[arg.name] = (self.value(arg.value, plain), arg.span)
        given |= sets
        env = self.params(model.params, given, plain, self.model.span, self.model)
        self.lets(model, env)
        frame = Frame(env, None, model.blocks, 0)
        inputs = self.inputs(frame, shapes)
        scope = Scope(None)
        for value in inputs:
            scope.names[value.name] = Binding(value)
        if len(inputs) == 1:
            frame = Frame(env, inputs[0], model.blocks, 0)
        elif len(inputs) < max(len(model.inputs), 1):
            frame = Frame(env, UNKNOWN, model.blocks, 0)
        for default in model.defaults:
            known = Op.registry[default.kind].attributes  # the schema reports others
            values = {a.name: (self.argument(a, frame), a) for a in default.args if a.name in known}
            self.defaults[default.kind] = values
        start = frame.received
        body = self.body(model.body, scope, frame, start, "")
        if self.findings.failed or body is None:
            return None
        outputs = self.outputs(scope, frame, body)
        if self.findings.failed:
            return None
        run = trace.ModelRun(
            model,
            env,
            tuple((v.name, v.type) for v in inputs),
            body,
            {kind: {n: v for n, (v, _) in d.items()} for kind, d in self.defaults.items()},
            variant,
        )
        params = {p.name: env[p.name] for p in model.params}
        name = variant or model.name
        graph = Graph(name, params, tuple(inputs), outputs, tuple(self.nodes), run)
        self.dead_values(graph)
        return None if self.findings.failed else graph

    def params(
        self,
        declared: tuple[ParamDecl, ...],
        given: Mapping[str, tuple[Any, Span | None]],
        frame: Frame,
        span: Span,
        owner: Model | Block,
    ) -> dict[str, Any]:
        """Values of parameters: as given, or their defaults, checked."""
        env: dict[str, Any] = {}
        for param in declared:
            where: Span | None = span
            if param.name in given:
                value, where = given[param.name]
            elif param.default is not None:
                value = self.value(param.default, frame)
                where = param.default.span
            else:
                hint = f"add `{param.name}: ...`"
                if owner is self.model:
                    span, hint = param.span, self._how_to_set(param)
                message = f"`{owner.name}` needs `{param.name}`"
                self.error("missing-argument", message, span, frame, hint)
                value = UNKNOWN
            if not isinstance(value, Unknown):
                try:
                    value = param_value(param, value, frame.blocks)
                except ValueProblem as problem:
                    self.error("wrong-type", problem.message, where, frame, problem.hint)
                    value = UNKNOWN
            env[param.name] = value
        return env

    def _how_to_set(self, param: ParamDecl) -> str:
        setters = [v for v in self.model.variants if any(a.name == param.name for a in v.sets)]
        if setters:
            return f"a variant sets it: {', '.join(v.name for v in setters[:12])}"
        return f"set it (`--set {param.name}=...`), or give it a default"

    def lets(self, owner: Model | Block, env: dict[str, Any], frame: Frame | None = None) -> None:
        """Evaluate `let`, in order, into `env`."""
        received = frame.received if frame else None
        blocks = frame.blocks if frame else self.model.blocks
        trail = frame.trail if frame else ()
        for let in owner.lets:
            scope = Frame(env, received, blocks, 0, trail)
            env[let.name] = self.value(let.value, scope)

    def inputs(self, frame: Frame, shapes: Mapping[str, tuple[int, ...]]) -> list[Value]:
        found = []
        for declared in self.model.inputs:
            shape: list[Any] = []
            for item in declared.shape:
                size = self.value(item, frame)
                good = isinstance(size, int) and not isinstance(size, bool)
                if not isinstance(size, Unknown) and not (good and 1 <= size <= DIMENSION_LIMIT):
                    message = f"a size must be an int of at least 1, not {show(size)}"
                    self.error("wrong-type", message, item.span, frame)
                    size = UNKNOWN
                shape.append(size)
            if declared.name in shapes:
                shape = list(shapes[declared.name])
            if not any(isinstance(size, Unknown) for size in shape):
                found.append(Value(declared.name, TensorType(tuple(shape))))
                self._channels_last(declared.name, shape, declared.span)
        return found

    def _channels_last(self, name: str, shape: list[int], span: Span) -> None:
        if len(shape) == 3 and shape[2] in (1, 3, 4) and shape[0] >= 8 * shape[2]:
            message = f"`{name}` has {shape[0]} channels and a width of {shape[2]}"
            hint = "shapes are [channels, height, width]"
            self.findings.warning("channels-last", message, span, hint)

    def outputs(self, scope: Scope, frame: Frame, body: trace.BodyRun) -> tuple[Output, ...]:
        if not self.model.outputs:
            return (Output("output", body.result),)
        found = []
        for declared in self.model.outputs:
            if declared.when is not None and not self.condition(declared.when, frame):
                continue
            try:
                value = self.lookup(declared.ref, scope, frame).value
            except Failed:
                continue
            if isinstance(value, Value):
                found.append(Output(declared.name, value, declared.training))
        if not self.findings.failed and all(output.training for output in found):
            message = "no output is left for inference"
            self.error("no-output", message, self.model.outputs[0].span, frame)
        return tuple(found)

    def dead_values(self, graph: Graph) -> None:
        """Nothing is computed in vain: whatever reaches no output is an error."""
        needed = {id(node) for node in graph.needed_for(graph.outputs)}
        dead = [node for node in graph.nodes if id(node) not in needed]
        read_by_dead = {id(value) for node in dead for value in node.inputs}
        for node in dead:
            if id(node.output) not in read_by_dead:
                self.findings.error(
                    "unused-value",
                    f"the result of `{node.op.kind}` at `{node.path}` reaches no output",
                    node.span,
                    "a later node reads something else: check its `from:` and `when:`",
                )
        read = {id(v) for node in graph.nodes for v in node.inputs}
        read |= {id(output.value) for output in graph.outputs}
        for value, declared in zip(graph.inputs, self.model.inputs, strict=True):
            if id(value) not in read:
                message = f"input `{value.name}` is never read"
                self.findings.error("unused-value", message, declared.span)

    # -- values -----------------------------------------------------------------------------

    def error(
        self, code: str, message: str, span: Span | None, frame: Frame, hint: str | None = None
    ) -> None:
        self.findings.error(code, message, span, hint, frame.trail)

    def value(self, value: ValueSyntax, frame: Frame) -> Any:
        """The plain value of data or a formula; UNKNOWN after a report."""
        match value:
            case Data(plain):
                return plain
            case Formula():
                if self.steps.left < 0:
                    return UNKNOWN  # reported
                try:
                    return evaluate(value.expr, frame.env, frame.input_type, self.steps)
                except UnknownValue:
                    return UNKNOWN
                except FormulaError as problem:
                    hint = problem.hint
                    if problem.message.startswith("unknown name"):
                        hint = suggestion(problem.message.split("`")[1], frame.env, "there are")
                    where = value.at(problem.start, problem.end)
                    code = "too-large" if self.steps.left < 0 else "bad-formula"
                    self.error(code, problem.message, where, frame, hint)
                    return UNKNOWN
            case ListValue(items):
                if not self.affordable(len(items), value.span, frame):
                    return UNKNOWN
                values = [self.value(item, frame) for item in items]
                return UNKNOWN if any(isinstance(v, Unknown) for v in values) else values
            case MapValue(entries):
                found = {name: self.value(item, frame) for name, item in entries}
                unknown = any(isinstance(v, Unknown) for v in found.values())
                return UNKNOWN if unknown else found
            case _:
                return UNKNOWN

    def affordable(self, steps: int, span: Span, frame: Frame) -> bool:
        """Whether there are steps left for a piece of work; reports it once if not."""
        if self.steps.left >= 0:
            try:
                self.steps.take(steps)
            except FormulaError as problem:
                self.error("too-large", problem.message, span, frame)
        return self.steps.left >= 0

    def argument(self, arg: Arg, frame: Frame) -> Any:
        """An argument's value; a key with nothing after it takes the value of its own name."""
        if arg.same and isinstance(arg.value, Formula) and arg.name not in frame.env:
            hint = f"write `{arg.name}: VALUE`" + (
                f"; names here are {', '.join(frame.env)}" if frame.env else ""
            )
            message = f"there is no `{arg.name}` here to pass on"
            self.error("bad-formula", message, arg.span, frame, hint)
            return UNKNOWN
        return self.value(arg.value, frame)

    def condition(self, value: ValueSyntax, frame: Frame) -> bool:
        result = self.value(value, frame)
        if isinstance(result, Unknown):
            raise Failed
        if not isinstance(result, bool):
            message = f"`when` must be true or false, not {show(result)}"
            self.error("wrong-type", message, value.span, frame)
            raise Failed
        return result

    def expand(self, template: Template, frame: Frame) -> str:
        """A name with its formula parts filled in."""
        texts = []
        for part in template.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value = self.value(part, frame)
            if isinstance(value, Unknown):
                raise Failed
            good = isinstance(value, (int, str)) and not isinstance(value, bool)
            text = str(value)
            if not good or not text.isascii() or not text.replace("_", "0").isalnum():
                message = f"a name's part must be an int from 0 or a word, not {show(value)}"
                self.error("bad-name", message, part.span, frame)
                raise Failed
            texts.append(text)
        return "".join(texts)

    def lookup(self, ref: Template, scope: Scope, frame: Frame) -> Binding:
        """What a reference stands for: earlier siblings, then outwards to the block's edge."""
        text = self.expand(ref, frame)
        first, *rest = text.split(".")
        if first == "input":
            return self._input(ref, rest, frame)
        at: Scope | None = scope
        while at is not None and first not in at.names:
            at = at.outer
        if at is None:
            self._unknown_reference(first, ref, scope, frame)
            raise Failed
        binding = at.names[first]
        for depth, name in enumerate(rest, start=1):
            if isinstance(binding.value, Unknown) and binding.group is None:
                raise Failed
            group = binding.group
            if group is None or name not in group.names:
                where = ".".join(text.split(".")[:depth])
                message = f"group `{where}` has no `{name}` before this"
                hint = suggestion(name, group.names, "it has") if group else None
                if binding.copy is not None and binding.copy.call is None:
                    message = f"`{where}` is left out here by its `when`, so it has no `{name}`"
                elif group is None:
                    message = f"`{where}` is not a group, so it has no `{name}`"
                self.error("unknown-reference", message, ref.span, frame, hint)
                raise Failed
            binding = group.names[name]
        if isinstance(binding.value, Unknown):
            raise Failed
        return binding

    def _input(self, ref: Template, rest: list[str], frame: Frame) -> Binding:
        if rest:
            message = "`input` is a value and has no parts here"
            self.error("unknown-reference", message, ref.span, frame)
            raise Failed
        if frame.received is None:
            names = ", ".join(i.name for i in self.model.inputs)
            message = "a model with several inputs has no single `input`"
            self.error("unknown-reference", message, ref.span, frame, f"its inputs are {names}")
            raise Failed
        if isinstance(frame.received, Unknown):
            raise Failed
        return Binding(frame.received)

    def _unknown_reference(self, name: str, ref: Template, scope: Scope, frame: Frame) -> None:
        known: list[str] = []
        at: Scope | None = scope
        while at is not None:
            known += at.names
            at = at.outer
        if name in Op.registry:
            hint: str | None = f"`{name}` is an op; as a branch write {{name: {name}}}"
        else:
            hint = suggestion(name, [*known, "input"], "values before it are")
        message = f"no value named `{name}` before this"
        if self._comes_later(name, scope):
            message = f"`{name}` comes after this, and a node reads only what is before it"
            hint = "write it earlier, or read another value"
        self.error("unknown-reference", message, ref.span, frame, hint)

    def _comes_later(self, name: str, scope: Scope) -> bool:
        at: Scope | None = scope
        while at is not None:
            if at.body and any(n.key is not None and n.key.plain == name for n in at.body.nodes):
                return True
            at = at.outer
        return False

    # -- bodies -----------------------------------------------------------------------------

    def body(
        self,
        body: Body,
        scope: Scope,
        frame: Frame,
        received: Value | Unknown | None,
        prefix: str,
    ) -> trace.BodyRun | None:
        """Resolve children one after the other; None if a part of them is unknown."""
        if frame.depth > NEST_LIMIT:
            message = f"blocks and groups are nested deeper than {NEST_LIMIT}"
            self.error("too-deep", message, body.span, frame)
            return None
        scope.body = scope.body or body
        current = received
        runs: list[trace.NodeRun] = []
        whole = True
        for node in body.nodes:
            copies = self.node(node, body.named, scope, frame, current, prefix)
            if copies is None:
                whole, current = False, UNKNOWN
            elif copies:
                runs.append(trace.NodeRun(node, tuple(copies)))
                current = copies[-1].result
            else:
                runs.append(trace.NodeRun(node, ()))
        if not whole or not isinstance(current, Value):
            return None
        start = received if isinstance(received, Value) else None
        return trace.BodyRun(body, start, tuple(runs), current)

    def node(
        self,
        node: NodeSyntax,
        named: bool,
        scope: Scope,
        frame: Frame,
        current: Value | Unknown | None,
        prefix: str,
    ) -> list[trace.CopyRun] | None:
        """All copies of a node; None after a report. The name it leaves is bound either way."""
        try:
            if node.from_ is not None:
                value = self.lookup(node.from_, scope, frame).value
                current = value
            turns = self.turns(node.repeat, frame)
            copies = []
            for index, names in enumerate(turns):
                inner = frame.with_names(names) if names else frame
                copy = self.copy(node, named, scope, inner, current, prefix, index)
                copies.append(copy)
                current = copy.result
            if (
                not copies
                and node.key is not None
                and node.key.plain
                and isinstance(current, Value)
            ):
                scope.names[node.key.plain] = Binding(current)
            return copies
        except Failed:
            if node.key is not None:
                self._bind_unknown(node, scope, frame)
            if not named:
                scope.numbers += 1
            return None

    def _bind_unknown(self, node: NodeSyntax, scope: Scope, frame: Frame) -> None:
        """Names that a failed node would have left, so that reading them is no second mistake."""
        assert node.key is not None
        if node.key.plain:
            scope.names.setdefault(node.key.plain, Binding(UNKNOWN, group=None))
        call = node.call
        bodies = []
        if isinstance(call, Join):
            bodies = [b for b in call.branches if isinstance(b, Body)]
        elif isinstance(call, Group) and call.inline:
            bodies = [call.body]
        for body in bodies:
            for child in body.nodes:
                if child.key is not None:
                    self._bind_unknown(child, scope, frame)

    def turns(self, repeat: Repeat | None, frame: Frame) -> list[dict[str, Any]]:
        """The loop names of each copy."""
        if repeat is None:
            return [{}]
        for name in (repeat.index, *repeat.names):
            self._shadows(name, repeat, frame)
        if repeat.times is not None:
            times = self.value(repeat.times, frame)
            if isinstance(times, Unknown):
                raise Failed
            if not isinstance(times, int) or isinstance(times, bool) or times < 0:
                message = f"`repeat` must be a count, not {show(times)}"
                self.error("wrong-type", message, repeat.times.span, frame)
                raise Failed
            self._room(times, repeat.span, frame)
            return [{repeat.index: i} for i in range(times)]
        assert repeat.each is not None
        rows = self.value(repeat.each, frame)
        if isinstance(rows, Unknown):
            raise Failed
        if not isinstance(rows, list):
            message = f"`each` must be a list, not {show(rows)}"
            self.error("wrong-type", message, repeat.each.span, frame)
            raise Failed
        self._room(len(rows), repeat.span, frame)
        return [{repeat.index: i, **self.row(repeat, r, i, frame)} for i, r in enumerate(rows)]

    def _shadows(self, name: str, repeat: Repeat, frame: Frame) -> None:
        if name in frame.env:
            hint = "name another with `index:`" if name == repeat.index else "choose another name"
            message = f"the loop name `{name}` already stands for something here"
            self.error("bad-name", message, repeat.span, frame, hint)
            raise Failed

    def _row_span(self, repeat: Repeat, index: int) -> Span:
        """Where a row is written, if the table is not a formula."""
        assert repeat.each is not None
        rows = repeat.each
        return rows.items[index].span if isinstance(rows, ListValue) else rows.span

    def row(self, repeat: Repeat, row: Any, index: int, frame: Frame) -> dict[str, Any]:
        assert repeat.each is not None
        if not repeat.names:
            if not isinstance(row, dict):
                message = f"rows need names: this one is {show(row)}"
                where = self._row_span(repeat, index)
                self.error("wrong-type", message, where, frame, "add `as: NAME`")
                raise Failed
            for name in row:
                self._shadows(name, repeat, frame)
            return row
        if not repeat.unpack:
            return {repeat.names[0]: row}
        if not isinstance(row, list) or len(row) != len(repeat.names):
            message = f"`as` names {len(repeat.names)} values of each row, but this is {show(row)}"
            self.error("wrong-type", message, self._row_span(repeat, index), frame)
            raise Failed
        return dict(zip(repeat.names, row, strict=True))

    def _room(self, copies: int, span: Span, frame: Frame) -> None:
        """Refuse a number of copies before the first is made."""
        if copies > NODE_LIMIT:
            self._count(copies, span, frame)

    def _count(self, copies: int, span: Span, frame: Frame) -> None:
        self.copies += copies
        if self.copies > NODE_LIMIT:
            if not self.full:
                message = f"the model has more than {NODE_LIMIT:,} nodes"
                self.error("too-large", message, span, frame)
            self.full = True
            raise Failed

    def copy(
        self,
        node: NodeSyntax,
        named: bool,
        scope: Scope,
        frame: Frame,
        current: Value | Unknown | None,
        prefix: str,
        index: int,
    ) -> trace.CopyRun:
        """Resolve one copy and bind its name."""
        self._count(1, node.span, frame)
        if not self.affordable(len(frame.env) // 16, node.span, frame):
            raise Failed
        if node.when is not None and not self.condition(node.when, frame):
            return self._absent(node, scope, frame, current, prefix, index)
        name = self.name(node, named, scope, frame)
        if name:
            self.free(name, node, scope, frame, index)
        path = f"{prefix}{name}"
        group: Scope | None = None
        call: trace.CallRun
        match node.call:
            case KindCall():
                call, result = self.kind_call(node, node.call, frame, current, path)
            case Group(body, inline):
                group = scope if inline else Scope(scope)
                inner = Frame(frame.env, frame.received, frame.blocks, frame.depth + 1, frame.trail)
                run = self.body(body, group, inner, current, prefix if inline else f"{path}.")
                if run is None:
                    if name and not inline:
                        scope.names[name] = Binding(UNKNOWN, group=group)
                    raise Failed
                call, result = trace.GroupRun(run, inline), run.result
            case Join():
                call, result = self.join(node, node.call, scope, frame, current, prefix, path)
                if name and index == 0:  # a child of a branch may have taken it
                    self.free(name, node, scope, frame, index)
            case Share(ref):
                call, result = self.share(ref, scope, frame, current, path)
            case _:
                raise Failed
        done = trace.CopyRun(
            node,
            name,
            path,
            frame.env,
            index,
            current if isinstance(current, Value) else None,
            result,
            call,
        )
        if name:
            scope.names[name] = Binding(result, done, group)
        return done

    def _absent(
        self,
        node: NodeSyntax,
        scope: Scope,
        frame: Frame,
        current: Value | Unknown | None,
        prefix: str,
        index: int,
    ) -> trace.CopyRun:
        """`when` is false: the node stands for the value that it would have read."""
        if not isinstance(current, Value):
            if current is None:
                self._no_current(node.span, frame)
            raise Failed
        name = self.expand(node.key, frame) if node.key is not None else ""
        done = trace.CopyRun(
            node, name, f"{prefix}{name}", frame.env, index, current, current, None
        )
        if name:
            self.free(name, node, scope, frame, index)
            scope.names[name] = Binding(current, done)
        return done

    def name(self, node: NodeSyntax, named: bool, scope: Scope, frame: Frame) -> str:
        """The expanded key, or the next number in a list; inline children count for themselves."""
        if node.key is not None:
            return self.expand(node.key, frame)
        if named or (isinstance(node.call, Group) and node.call.inline):
            return ""
        number = scope.numbers
        scope.numbers += 1
        return str(number)

    def free(self, name: str, node: NodeSyntax, scope: Scope, frame: Frame, index: int) -> None:
        """Refuse a name that is taken; copies of what adds no path may name one value anew."""
        adds_path = isinstance(node.call, KindCall) or (
            isinstance(node.call, Group) and not node.call.inline
        )
        if name in scope.names and (adds_path or index == 0):
            span = node.key.span if node.key else node.span
            if index > 0:
                message = f"copies of this node are all named `{name}`"
                hint = f"make the name a template, such as `{name}{{i + 1}}`, or write a list"
            else:
                message, hint = f"`{name}` is already the name of a value here", None
            self.error("duplicate-name", message, span, frame, hint)
            raise Failed

    # -- calls ------------------------------------------------------------------------------

    def kind_call(
        self,
        node: NodeSyntax,
        call: KindCall,
        frame: Frame,
        current: Value | Unknown | None,
        path: str,
    ) -> tuple[trace.CallRun, Value]:
        kind = self.kind(call, frame)
        block = kind.block if isinstance(kind, KindName) else None
        block = block or frame.blocks.get(kind)
        if block is not None:
            return self.block_call(block, call, frame, current, path)
        op = Op.registry.get(kind)
        if op is None or op.join:
            self.unknown_kind(kind, call, frame)
            raise Failed
        return self.op_call(op, call, frame, current, path)

    def kind(self, call: KindCall, frame: Frame) -> str:
        if isinstance(call.kind, str):
            return call.kind
        kind = self.value(call.kind, frame)
        if isinstance(kind, Unknown):
            raise Failed
        if not isinstance(kind, str):
            message = f"an op or a block must be named here, not {show(kind)}"
            self.error("wrong-type", message, call.span, frame)
            raise Failed
        return kind

    def unknown_kind(self, kind: str, call: KindCall, frame: Frame) -> None:
        op = Op.registry.get(kind)
        if op is not None and op.join:
            message = f"`{kind}` joins branches"
            self.error("wrong-type", message, call.span, frame, f"write `{kind}: [a, b]`")
            return
        known = [*frame.blocks, *Op.registry]
        hint = suggestion(kind, known) if len(kind) < 60 else None
        if hint and not hint.startswith("did"):
            hint = "`netspec schema` lists the ops; blocks are defined under `blocks:`"
        self.error("unknown-op", f"unknown op or block `{kind}`", call.span, frame, hint)

    def _no_current(self, span: Span, frame: Frame) -> None:
        names = ", ".join(f"`{i.name}`" for i in self.model.inputs)
        message = "this node has nothing to read: the model has several inputs"
        self.error("no-input", message, span, frame, f"say `from:` one of {names}")

    def block_call(
        self,
        block: Block,
        call: KindCall,
        frame: Frame,
        current: Value | Unknown | None,
        path: str,
    ) -> tuple[trace.CallRun, Value]:
        if current is None:
            self._no_current(call.span, frame)
        named = self.block_args(block, call, frame)
        given = {a.name: (self.argument(a, frame), a.value.span) for a in named}
        trail = (*frame.trail[-6:], Note(f"in block `{block.name}`, used here", call.span))
        inner = Frame({}, current, block.scope, frame.depth + 1, trail)
        callers = Frame({}, None, {**block.scope, **frame.blocks}, 0, frame.trail)
        env = self.params(block.params, given, callers, call.span, block)
        unknown = any(isinstance(v, Unknown) for v in env.values())
        if unknown or not isinstance(current, Value) or self.findings.is_poisoned(block):
            raise Failed
        self.lets(block, env, inner)
        inner = Frame(env, current, block.scope, frame.depth + 1, trail)
        body = self.body(block.body, Scope(None), inner, current, f"{path}.")
        if body is None:
            raise Failed
        names = tuple(a.name for a in named)
        return trace.BlockRun(block, env, names, current, body), body.result

    def block_args(self, block: Block, call: KindCall, frame: Frame) -> list[Arg]:
        """The call's arguments by name; a scalar belongs to the one required parameter."""
        known = [p.name for p in block.params]
        required = [p.name for p in block.params if p.default is None]
        named = []
        for arg in call.args:
            if not arg.name and isinstance(arg.value, ListValue):
                raise Failed  # reported by the check
            if not arg.name and len(required) != 1:
                needs = ", ".join(f"`{r}`" for r in required) or "nothing"
                message = f"`{block.name}` takes arguments by name: it needs {needs}"
                self.error("wrong-type", message, arg.span, frame)
                raise Failed
            if arg.name and arg.name not in known:
                message = f"block `{block.name}` has no parameter `{arg.name}`"
                hint = suggestion(arg.name, known, "it has")
                self.error("unknown-attribute", message, arg.span, frame, hint)
                raise Failed
            named.append(arg if arg.name else Arg(required[0], arg.value, arg.span))
        return named

    def op_call(
        self,
        op: type[Op],
        call: KindCall,
        frame: Frame,
        current: Value | Unknown | None,
        path: str,
    ) -> tuple[trace.CallRun, Value]:
        values, places = self.op_args(op, call, frame)
        if op.arity[1] == 0:
            inputs: tuple[Value, ...] = ()
        elif isinstance(current, Value):
            inputs = (current,)
        else:
            if current is None:
                self._no_current(call.span, frame)
            raise Failed
        written = {a.name for a in call.args if a.name} or {n for n in values if n in places}
        node = self.apply(op, values, places, inputs, call.span, frame, path)
        return trace.OpRun(node, {n: v for n, v in values.items() if n in written}), node.output

    def op_args(
        self, op: type[Op], call: KindCall, frame: Frame
    ) -> tuple[dict[str, Any], dict[str, Span]]:
        """Attribute values from the model's defaults and the node, checked, and their places."""
        required = [n for n, a in op.attributes.items() if a.required]
        values: dict[str, Any] = {}
        places: dict[str, Span] = {}
        bad = False
        for name, (value, arg) in self.defaults.get(op.kind, {}).items():
            values[name], places[name] = value, arg.value.span
        for arg in call.args:
            name = arg.name or (required[0] if len(required) == 1 else "")
            if name not in op.attributes:
                if name:
                    message = f"`{op.kind}` has no attribute `{name}`"
                    hint = suggestion(name, op.attributes, "it has")
                    self.error("unknown-attribute", message, arg.span, frame, hint)
                elif not isinstance(arg.value, ListValue):  # reported by the check
                    message = f"`{op.kind}` takes arguments by name"
                    self.error("wrong-type", message, arg.span, frame)
                bad = True
                continue
            values[name], places[name] = self.argument(arg, frame), arg.value.span
        missing = [f"`{n}`" for n in required if n not in values]
        if missing and not bad:
            message = f"`{op.kind}` needs {' and '.join(missing)}"
            first = next(n for n in required if n not in values)
            self.error("missing-argument", message, call.span, frame, f"add `{first}: ...`")
            bad = True
        for name, value in values.items():
            if isinstance(value, Unknown):
                bad = True
                continue
            try:
                values[name] = attribute_value(op.attributes[name], value)
            except ValueProblem as problem:
                self.error("wrong-type", problem.message, places[name], frame, problem.hint)
                bad = True
        if bad:
            raise Failed
        return values, places

    def apply(
        self,
        op: type[Op],
        values: dict[str, Any],
        places: dict[str, Span],
        inputs: tuple[Value, ...],
        span: Span,
        frame: Frame,
        path: str,
    ) -> Node:
        """Make the node: shape rule, parameters and their keys."""
        types = tuple(value.type for value in inputs)
        least, most = op.arity
        if not least <= len(inputs) <= (len(inputs) if most is None else most):
            count = f"{least}" if most == least else f"at least {least}"
            self.error("wrong-type", f"`{op.kind}` needs {count} branches", span, frame)
            raise Failed
        try:
            made = op(values, types)
            output = made.infer(*types)
            params = made.params(*types)
        except OpError as problem:
            where = places.get(problem.attribute or "", span)
            code = "shape-mismatch" if op.join else "bad-shape"
            message = problem.message
            if f"`{op.kind}`" not in message:
                message = f"`{op.kind}`: {message}"
            self.error(code, message, where, frame, problem.hint)
            raise Failed from None
        if output.size > SIZE_LIMIT or any(_size(p.shape) > SIZE_LIMIT for p in params):
            message = f"`{op.kind}` makes a tensor of more than 2^40 elements"
            self.error("too-large", message, span, frame)
            raise Failed
        weights = tuple(
            Weight(
                f"{path}.{p.name}" if p.name else path,
                p.name,
                p.shape,
                p.init,
                p.trainable,
                p.dtype,
            )
            for p in params
        )
        self._fans(op, params, places, span, frame)
        for weight in weights:
            self._key(weight.key, span, frame)
        node = Node(path, made, inputs, Value(path, output), weights, span)
        self.nodes.append(node)
        return node

    def _fans(
        self,
        op: type[Op],
        params: tuple[Param, ...],
        places: dict[str, Span],
        span: Span,
        frame: Frame,
    ) -> None:
        """Refuse an initialiser that scales by fans which its tensor does not have."""
        weight = next((p.shape for p in params if p.name == "weight"), None)
        for param in params:
            (name,) = param.init
            if not INITIALISERS[name].fans:
                continue
            try:
                fans(param.shape, weight)
            except InitialiserError as problem:
                where = places.get(f"{param.name}_init" if param.name else "init", span)
                message = f"`{op.kind}`: `{name}` for `{param.name or 'the value'}`: {problem}"
                self.error("bad-shape", message, where, frame, problem.hint)
                raise Failed from None

    def _key(self, key: str, span: Span, frame: Frame) -> None:
        if key in self.keys:
            note = Note("the other is here", self.keys[key])
            message = f"two parameters are named `{key}`"
            self.findings.error("duplicate-name", message, span, None, (note, *frame.trail))
            raise Failed
        self.keys[key] = span

    def join(
        self,
        node: NodeSyntax,
        call: Join,
        scope: Scope,
        frame: Frame,
        current: Value | Unknown | None,
        prefix: str,
        path: str,
    ) -> tuple[trace.CallRun, Value]:
        branches = []
        failed = False
        for branch in call.branches:
            try:
                branches.append(self.branch(branch, scope, frame, current, prefix))
            except Failed:
                failed = True
        if failed:
            raise Failed
        inputs = tuple(branch.value for branch in branches)
        name = path if path != prefix else f"{prefix}{call.kind}@{len(self.nodes)}"
        made = self.apply(Op.registry[call.kind], {}, {}, inputs, call.span, frame, name)
        return trace.JoinRun(made, tuple(branches)), made.output

    def branch(
        self,
        branch: Template | Body,
        scope: Scope,
        frame: Frame,
        current: Value | Unknown | None,
        prefix: str,
    ) -> trace.BranchRun:
        if isinstance(branch, Template):
            value = self.lookup(branch, scope, frame).value
            if not isinstance(value, Value):
                raise Failed
            return trace.BranchRun(value, None)
        inner = Frame(frame.env, frame.received, frame.blocks, frame.depth + 1, frame.trail)
        run = self.body(branch, scope, inner, current, prefix)
        if run is None:
            raise Failed
        return trace.BranchRun(run.result, run)

    def share(
        self,
        ref: Template,
        scope: Scope,
        frame: Frame,
        current: Value | Unknown | None,
        path: str,
    ) -> tuple[trace.CallRun, Value]:
        """Apply an earlier node again, to another value, with the same parameters."""
        binding = self.lookup(ref, scope, frame)
        target = binding.copy
        if not isinstance(current, Value):
            if current is None:
                self._no_current(ref.span, frame)
            raise Failed
        if target is None or not isinstance(
            target.call, (trace.OpRun, trace.BlockRun, trace.GroupRun)
        ):
            message = "only an op, a block or a group that is there can be shared"
            self.error("unknown-reference", message, ref.span, frame)
            raise Failed
        again = self._again(target, current, ref, scope, frame, path)
        return trace.ShareRun(target, again), again.result

    def _again(
        self,
        target: trace.CopyRun,
        current: Value,
        ref: Template,
        scope: Scope,
        frame: Frame,
        path: str,
    ) -> trace.CopyRun:
        """Resolve the target's call once more, then give its nodes the weights of the first."""
        first, keys = len(self.nodes), self.keys
        self.keys = {}
        node = NodeSyntax(None, target.syntax.call, None, None, None, ref.span)
        blocks = frame.blocks
        inner = Frame(target.env, frame.received, blocks, frame.depth + 1, frame.trail)
        call, result = self._repeat_call(node, inner, scope, current, path)
        self.keys = keys
        own = {weight.key: weight for made in self.nodes[:first] for weight in made.weights}
        for at in range(first, len(self.nodes)):
            made = self.nodes[at]
            weights = []
            for weight in made.weights:
                key = target.path + weight.key[len(path) :]
                twin = own.get(key)
                if twin is None or twin.shape != weight.shape:
                    was = "x".join(map(str, twin.shape)) if twin else "nothing"
                    needs = "x".join(map(str, weight.shape))
                    message = f"`{key}` is {was}, but on this input it would be {needs}"
                    self.error("shape-mismatch", message, ref.span, frame)
                    raise Failed
                weights.append(twin)
            self.nodes[at] = Node(
                made.path, made.op, made.inputs, made.output, tuple(weights), made.span, shared=True
            )
        return trace.CopyRun(target.syntax, target.name, path, target.env, 0, current, result, call)

    def _repeat_call(
        self,
        node: NodeSyntax,
        frame: Frame,
        scope: Scope,
        current: Value,
        path: str,
    ) -> tuple[trace.CallRun, Value]:
        match node.call:
            case KindCall():
                return self.kind_call(node, node.call, frame, current, path)
            case Group(body):
                run = self.body(body, Scope(scope), frame, current, f"{path}.")
                if run is None:
                    raise Failed
                return trace.GroupRun(run, False), run.result
            case _:
                raise Failed


def _size(shape: tuple[int, ...]) -> int:
    result = 1
    for axis in shape:
        result *= axis
    return result
