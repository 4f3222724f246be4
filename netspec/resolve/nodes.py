"""Nodes of the graph: an op on values, its shape, its parameters and their keys."""

from __future__ import annotations

import math
from typing import Any

from netspec.diagnostics import Note, Span
from netspec.graph import Node, Value, Weight
from netspec.initialisers import INITIALISERS, InitialiserError, fans
from netspec.lazy import hints
from netspec.ops import Op, OpError, Param
from netspec.resolve.frames import SIZE_LIMIT, Failed, Frame


def add_node(
    op: type[Op],
    values: dict[str, Any],
    places: dict[str, Span],
    inputs: tuple[Value, ...],
    span: Span,
    frame: Frame,
    path: str,
) -> Node:
    """Apply an op: shape rule, parameters and their keys. `places` are where values are written."""
    least, most = op.arity
    if not least <= len(inputs) <= (len(inputs) if most is None else most):
        count = f"{least}" if most == least else f"at least {least}"
        frame.error("wrong-type", f"`{op.kind}` needs {count} branches", span)
        raise Failed
    types = tuple(value.type for value in inputs)
    try:
        made = op(values, types)
        output, params = made.infer(*types), made.params(*types)
    except OpError as problem:
        _report(problem, op, places.get(problem.attribute or "", span), inputs, frame, path)
        raise Failed from None
    if output.size > SIZE_LIMIT or any(math.prod(p.shape) > SIZE_LIMIT for p in params):
        message = f"`{op.kind}` makes a tensor of more than 2^40 elements"
        frame.error("too-large", message, span)
        raise Failed
    _refuse_missing_fans(op, params, places, span, frame)
    weights = tuple(_weight(path, param) for param in params)
    for weight in weights:
        _take_key(weight.key, span, frame)
    node = Node(path, made, inputs, Value(path, output), weights, span)
    frame.state.nodes.append(node)
    return node


def _report(
    problem: OpError,
    op: type[Op],
    span: Span,
    inputs: tuple[Value, ...],
    frame: Frame,
    path: str,
) -> None:
    code = "shape-mismatch" if op.join else "bad-shape"
    message = problem.message
    if f"`{op.kind}`" not in message:
        message = f"`{op.kind}`: {message}"
    # A vector or an image with a batch of one is a map with one channel.
    notes = [
        Note(f"`{value.name}` begins with 1, and shapes are written without the batch")
        for value in inputs
        if value in frame.state.inputs and value.type.shape[0] == 1 and value.type.rank in (1, 3)
    ]
    if (frame.turn or frame.trail) and "@" not in path:  # the text alone does not say which copy
        notes.append(Note(f"this is `{path}`"))
    if op.join:
        written = {node.output.name: node.span for node in frame.state.nodes}
        few = inputs[: hints.LISTED]
        notes += [Note(f"{_label(v)} is {v.type}", written.get(v.name)) for v in few]
    frame.error(code, message, span, problem.hint, *notes)


def _label(value: Value) -> str:
    return "this branch" if "@" in value.name else f"`{value.name}`"  # a join without a name


def _weight(path: str, param: Param) -> Weight:
    key = f"{path}.{param.name}" if param.name else path
    return Weight(key, param.name, param.shape, param.init, param.trainable, param.dtype)


def _refuse_missing_fans(
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
            frame.error("bad-shape", message, where, problem.hint)
            raise Failed from None


def _take_key(key: str, span: Span, frame: Frame) -> None:
    state = frame.state
    if key in state.keys:
        note = Note("the other is here", state.keys[key])
        message = f"two parameters are named `{key}`"
        state.findings.error("duplicate-name", message, span, None, (note, *frame.trail))
        raise Failed
    state.keys[key] = span


def share_weights(first: int, path: str, original: str, span: Span, frame: Frame) -> None:
    """Give the nodes from `first` on, at `path`, the weights of those at the path `original`."""
    nodes = frame.state.nodes
    own = {weight.key: weight for node in nodes[:first] for weight in node.weights}
    for at in range(first, len(nodes)):
        made = nodes[at]
        weights = []
        for weight in made.weights:
            key = original + weight.key[len(path) :]
            twin = own.get(key)
            if twin is None or twin.shape != weight.shape:
                was = "x".join(map(str, twin.shape)) if twin else "nothing"
                needs = "x".join(map(str, weight.shape))
                message = f"`{key}` is {was}, but on this input it would be {needs}"
                frame.error("shape-mismatch", message, span)
                raise Failed
            weights.append(twin)
        nodes[at] = Node(
            made.path, made.op, made.inputs, made.output, tuple(weights), made.span, shared=True
        )
