"""What can still be seen in a finished file, whose stored numbers are rounded to float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.noise import THRESHOLD, Noise
from netspec.graph import Graph, Node
from netspec.reference import evaluate, node_weights

Array = NDArray[Any]

COUNTER = "num_batches_tracked"  # of batch norms; inference does not read it


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


def keeps_weights(model: Path, graph: Graph, weights: Mapping[str, Array]) -> bool:
    """Whether a file holds every weight that inference reads as it is, in whatever layout.

    Then no rounding of weights, as exporters cause that fold, explains what the file computes.
    """
    try:
        held = {_multiset(array) for array in _float_tensors(model)}
    except Exception:  # whatever is wrong with the file, its run tells
        return False
    read = (w for node in graph.inference_nodes for w in node.weights)
    return all(_multiset(weights[w.key]) in held for w in read if w.name != COUNTER)


def _float_tensors(model: Path) -> list[Array]:
    """What a file stores in floating point, in its initializers and constants."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(model).graph
    tensors = [*graph.initializer]
    tensors += [a.t for node in graph.node if node.op_type == "Constant" for a in node.attribute]
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    return [numpy_helper.to_array(t) for t in tensors if t.data_type in floats]


def _multiset(x: NDArray[Any]) -> bytes:
    return np.sort(np.asarray(x, np.float64), axis=None).tobytes()


def worst_sight(
    graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array], seed: int
) -> Sight | None:
    """The node of weighted sums in which errors are seen least; None if there is none.

    A weight that is off by a share d moves the node's output by d |w x| where x is largest. It is
    seen if that is more than `THRESHOLD` times what the rounding of all the node's weights does.
    Of each node its median weight and the median of its input's channels are meant.
    """
    noise = Noise.of(weights, seed, stored=True)
    found: list[Sight] = []

    def after(node: Node, given: tuple[Array, ...], output: Array) -> Array:
        if node.op.terms(*node.input_types) > 0:
            x = given[0]
            largest = np.abs(x).max((0, *range(2, x.ndim)))
            weight = np.abs(node_weights(node, noise.weights)["weight"])
            moved = float(np.median(weight) * np.median(largest))
            bound = THRESHOLD * float(np.abs(noise.inject(node, given, output)[1:] - output).max())
            if moved > 0.0:
                found.append(Sight(node.path, bound / moved))
        return output

    values = {v: np.asarray(inputs[v.name][:1], np.float64) for v in graph.inputs}
    evaluate(graph.inference_nodes, weights, values, after=after)
    return max(found, key=lambda sight: sight.relative, default=None)
