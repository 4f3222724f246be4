"""The model as a whole: parameters and inputs, its body, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec import trace
from netspec.diagnostics import Findings, Span
from netspec.evaluate import UNKNOWN, Unknown
from netspec.graph import Graph, Output, Value
from netspec.lazy import hints
from netspec.ops import Op
from netspec.ops.base import DIMENSION_LIMIT
from netspec.resolve.bodies import resolve_body
from netspec.resolve.calls import add_lets, param_values
from netspec.resolve.frames import Binding, Failed, Frame, Place, Resolution, Scope
from netspec.resolve.references import lookup
from netspec.resolve.values import argument, condition, plain_value
from netspec.syntax import Model
from netspec.types import TensorType

_FEW = (1, 3, 4)  # channels of images
Given = Mapping[str, tuple[Any, Span | None]]


def resolve(
    model: Model,
    sets: Given,
    variant: str | None,
    shapes: Mapping[str, tuple[int, ...]],
    findings: Findings,
) -> Graph | None:
    """Build the graph of a model.

    `sets` are values for parameters (each with where it was given), on top of the variant's;
    `shapes` replace the inputs' shapes. None, with reasons in `findings`, if that is impossible.
    """
    state = Resolution(model, findings)
    env = _params(state, sets, variant)
    inputs = _inputs(Frame(state, env, None, model.blocks), shapes)
    received: Value | Unknown | None = None
    if len(inputs) == 1:
        received = inputs[0]
    elif len(inputs) < max(len(model.inputs), 1):
        received = UNKNOWN
    frame = Frame(state, env, received, model.blocks)
    scope = Scope(None, {declared.name: Binding(UNKNOWN) for declared in model.inputs})
    scope.names.update((value.name, Binding(value)) for value in inputs)
    place = Place(frame, scope, received, "")
    _add_defaults(frame)
    try:
        body = resolve_body(model.body, place)
    except Failed:
        return None
    if findings.failed:
        return None
    outputs = _outputs(body, place)
    if findings.failed:
        return None
    types = tuple((value.name, value.type) for value in inputs)
    defaults = {k: {n: v for n, (v, _) in d.items()} for k, d in state.defaults.items()}
    run = trace.ModelRun(model, env, types, body, defaults, variant)
    params = {p.name: env[p.name] for p in model.params}
    name = variant or model.name
    graph = Graph(name, params, tuple(inputs), outputs, tuple(state.nodes), run)
    _refuse_unused(graph, model, findings)
    if not findings.failed:
        _warn_of_chains(state)
    return None if findings.failed else graph


def _params(state: Resolution, sets: Given, variant: str | None) -> dict[str, Any]:
    """Parameters and lets of the model, by name."""
    model = state.model
    plain = Frame(state, {}, None, model.blocks)
    given: dict[str, tuple[Any, Span | None]] = {}
    for declared in model.variants:
        if declared.name == variant:
            for arg in declared.sets:
                given[arg.name] = (plain_value(arg.value, plain), arg.value.span)
    env = param_values(model, {**given, **sets}, plain, model.span)
    add_lets(model, Frame(state, env, None, model.blocks))
    return env


def _add_defaults(frame: Frame) -> None:
    """Evaluate the model's defaults of attributes."""
    for default in frame.state.model.defaults:
        known = Op.registry[default.kind].attributes  # the schema reports others
        values = {a.name: (argument(a, frame), a) for a in default.args if a.name in known}
        frame.state.defaults[default.kind] = values


def _inputs(frame: Frame, shapes: Mapping[str, tuple[int, ...]]) -> list[Value]:
    """The inputs whose shapes are known."""
    found = []
    for declared in frame.state.model.inputs:
        shape: list[Any] = []
        for item in declared.shape:
            size = plain_value(item, frame)
            good = isinstance(size, int) and not isinstance(size, bool)
            if not isinstance(size, Unknown) and not (good and 1 <= size <= DIMENSION_LIMIT):
                message = f"a size is an int from 1 to {DIMENSION_LIMIT}, not {hints.show(size)}"
                hint = "use // or round()" if isinstance(size, float) else None
                frame.error("wrong-type", message, item.span, hint)
                size = UNKNOWN
            shape.append(size)
        if declared.name in shapes:
            shape = list(shapes[declared.name])
        if not any(isinstance(size, Unknown) for size in shape):
            found.append(Value(declared.name, TensorType(tuple(shape))))
            _warn_of_order(declared.name, shape, declared.span, frame.state.findings)
    frame.state.inputs = tuple(found)
    return found


def _warn_of_order(name: str, shape: list[int], span: Span, findings: Findings) -> None:
    """Warn of shapes whose few channels stand where other frameworks have them."""
    first, last = shape[0], shape[-1]
    channels = "1 channel" if first == 1 else f"{first} channels"
    few = shape[1] if len(shape) == 4 and shape[1] in _FEW else 0
    if few and last >= 8 * few and (first == 1 or first not in _FEW):  # else frames of a video
        message = f"`{name}` has {channels} and a depth of {few}"
        hint = f"shapes are written without the batch: [{', '.join(map(str, shape[1:]))}]"
        findings.warning("batch-axis", message, span, hint)
    elif len(shape) in (3, 4) and last in _FEW and shape[-3] >= 8 * last:
        message = f"`{name}` has {channels} and a width of {last}"
        hint = "shapes are [channels, height, width], without the batch"
        findings.warning("channels-last", message, span, hint)


def _outputs(body: trace.BodyRun, place: Place) -> tuple[Output, ...]:
    frame = place.frame
    model, findings = frame.state.model, frame.state.findings
    if not model.outputs:
        return (Output("output", body.result),)
    found = []
    for declared in model.outputs:
        try:
            if declared.when is not None and not condition(declared.when, frame):
                continue
            value = lookup(declared.ref, place).value
        except Failed:
            continue
        if isinstance(value, Value):
            found.append(Output(declared.name, value, declared.training))
    if not findings.failed and all(output.training for output in found):
        message = "no output is left for inference"
        frame.error("no-output", message, model.outputs[0].span)
    return tuple(found)


def _warn_of_chains(state: Resolution) -> None:
    """Warn of copies that a join reads side by side, but that read one another."""
    chain_of = {id(value): chain for chain in state.chains for value in chain.results}
    for node in state.nodes if chain_of else ():
        chains = [chain_of[id(value)] for value in node.inputs if id(value) in chain_of]
        for chain in chains:
            if chains.count(chain) > 1:
                message = f"`{node.op.kind}` joins copies of this `repeat`, which read one another"
                each = f"`inline: {{NAME: {{from: {chain.read}, ...}}}}`"
                hint = f"`from:` is for the first copy; write {each} where each is to read it,"
                hint += " or give it to an `inline:` around the `repeat`"
                state.findings.warning("chained-copies", message, chain.span, hint)


def _refuse_unused(graph: Graph, model: Model, findings: Findings) -> None:
    """Nothing is computed in vain: whatever reaches no output is an error."""
    needed = {id(node) for node in graph.needed_for(graph.outputs)}
    dead = [node for node in graph.nodes if id(node) not in needed]
    read_by_dead = {id(value) for node in dead for value in node.inputs}
    hint = "a later node reads something else: check its `from:` and `when:`"
    if model.outputs:
        hint += ", or name it under `outputs:`"
    for node in dead:
        if id(node.output) not in read_by_dead:
            message = f"the result of `{node.op.kind}` at `{node.path}` reaches no output"
            findings.error("unused-value", message, node.span, hint)
    read = {id(v) for node in graph.nodes for v in node.inputs}
    read |= {id(output.value) for output in graph.outputs}
    for value, declared in zip(graph.inputs, model.inputs, strict=True):
        if id(value) not in read:
            findings.error("unused-value", f"input `{value.name}` is never read", declared.span)
