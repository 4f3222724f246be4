"""What can still be seen in a finished file, whose stored numbers are rounded to float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.onnx_file import interface
from netspec.graph import Graph, Node, Value
from netspec.reference import evaluate, node_weights

if TYPE_CHECKING:
    from netspec.exports.blame import Matched

Array = NDArray[Any]

COUNTER = "num_batches_tracked"  # of batch norms; inference does not read it
TRIES = 16  # of weights, some of which read zeros alone on the sample
STEP = 1e-4  # of a weight's value, by which what it moves behind its node is measured


@dataclass(frozen=True, slots=True)
class Sight:
    """The least error of one ordinary weight of a node, over its value, that is seen there."""

    node: str
    relative: float

    def __str__(self) -> str:
        return (
            f"one weight may be off by {self.relative:.0e} of its value and not be seen "
            f"(in {self.node}; in other nodes less)"
        )


def kept_nodes(model: Path, graph: Graph, weights: Mapping[str, Array]) -> frozenset[str]:
    """The nodes of which a file holds every number as it is; their values have no rounding of it.

    A node's weights are held if the file has them in whatever layout. A node without weights has
    numbers of its own where it is composed (1/6, the square root of 2, a matrix of shares): none of
    them can be rounded where all that the file stores are weights and numbers of few digits.
    """
    try:
        interface(model)  # refuses what is more than can be run, functions in functions among it
        stored = list(_stored(model))
    except Exception:  # whatever is wrong with the file, its run tells
        return frozenset()
    read = {n: [w.key for w in n.weights if w.name != COUNTER] for n in graph.inference_nodes}
    ours = {key: _multiset(weights[key]) for keys in read.values() for key in keys}
    held, known = set(map(_multiset, stored)), set(ours.values())
    exact = all(_is_short(x) or _multiset(x) in known for x in stored)
    return frozenset(
        node.path
        for node, keys in read.items()
        if (all(ours[key] in held for key in keys) if keys else exact)
    )


def _stored(model: Path) -> Iterator[Array]:
    """What a file stores in floating point and reads on the way to an output."""
    import onnx
    from onnx import inliner, numpy_helper

    file = onnx.load(model)
    graph = (inliner.inline_local_functions(file) if file.functions else file).graph
    wanted = {output.name for output in graph.output}
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    tensors = []
    for node in reversed(graph.node):  # a file's nodes stand in topological order
        if wanted.isdisjoint(node.output):
            continue
        wanted.update(node.input)
        if node.op_type == "Constant":
            tensors += [a.t for a in node.attribute]
            yield from (np.array([a.f, *a.floats]) for a in node.attribute if a.f or a.floats)
    tensors += [t for t in graph.initializer if t.name in wanted]
    yield from (numpy_helper.to_array(t) for t in tensors if t.data_type in floats)


def _multiset(x: Array) -> bytes:
    return np.sort(np.asarray(x, np.float64), axis=None).tobytes()


def _is_short(x: Array) -> bool:
    """Whether float16 holds these numbers: then none of them was rounded to float32."""
    with np.errstate(over="ignore"):
        return bool((x == x.astype(np.float16)).all())


def worst_sight(graph: Graph, weights: Mapping[str, Array], matched: Matched) -> Sight | None:
    """The node of weighted sums in which errors are seen least; None if there is none.

    Of each node its median weight is meant. Its error is seen where it moves a value that the file
    has by more than that value's bound: the node's own, or where the file has none, those after it.
    """
    found = [
        Sight(node.path, least)
        for node in graph.inference_nodes
        if node.op.terms(*node.input_types) > 0
        and (least := _least(graph, weights, matched, node)) is not None
    ]
    return max(found, key=lambda sight: sight.relative, default=None)


def _least(
    graph: Graph, weights: Mapping[str, Array], matched: Matched, node: Node
) -> float | None:
    """The least error of a node's median weight that is seen; None if it moves nothing."""
    given = [matched.values[value] for value in node.inputs]
    moved = _moved(node, given, node_weights(node, weights))
    behind = {node.output: moved}
    if node.path not in matched.found:
        changed = matched.truth[node.output] + STEP * moved
        behind = _behind(graph, weights, matched, node, changed)
    seen = [
        matched.bounds[value] / largest
        for value, x in behind.items()
        if (largest := float(np.abs(x).max(initial=0.0))) > 0.0
    ]
    return min(seen, default=None)


def _moved(node: Node, given: list[Array], weights: Mapping[str, Array]) -> Array:
    """What one ordinary weight adds to a node's value: the median one, or the next that adds any.

    Where it reads nothing but zeros, none of its errors is seen, nor does any matter.
    """
    alone = {name: np.zeros_like(w) for name, w in weights.items()}
    order = np.argsort(np.abs(weights["weight"]), axis=None)
    for index in order[len(order) // 2 :][:TRIES]:
        alone["weight"].flat[index] = weights["weight"].flat[index]
        moved = node.op.reference(*given, **alone)
        if moved.any():
            break
        alone["weight"].flat[index] = 0.0
    return np.asarray(moved)


def _behind(
    graph: Graph, weights: Mapping[str, Array], matched: Matched, node: Node, changed: Array
) -> dict[Value, Array]:
    """How far the first values that a file has after a node move if the node's is changed.

    The result is per `STEP` of the change.
    """
    hidden, reached = {node.output}, []
    for after in graph.inference_nodes:
        if not hidden.isdisjoint(after.inputs):
            reached.append(after)
            if after.path not in matched.found:
                hidden.add(after.output)
    moved: dict[Value, Array] = {}

    def stop(node: Node, given: tuple[Array, ...], output: Array) -> Array:
        if node.path not in matched.found:
            return output
        moved[node.output] = (output - matched.truth[node.output]) / STEP
        return matched.values[node.output]

    evaluate(reached, weights, {**matched.values, node.output: changed}, after=stop)
    return moved
