"""The meaning of a graph: its inference in NumPy float64."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from netspec.graph import Graph, Node, Value
from netspec.lazy import LazyModule
from netspec.ops.base import Array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = LazyModule("numpy")

After = Callable[[Node, tuple[Array, ...], Array], Array]


def run(
    graph: Graph, weights: Mapping[str, NDArray[Any]], inputs: Mapping[str, NDArray[Any]]
) -> dict[str, Array]:
    """The inference outputs by name, each `(batch, channels, *spatial)` in float64.

    `weights` are arrays by checkpoint key in torch's layout, `inputs` arrays by input name.

    Raises:
        ValueError: an input is missing, unknown or of another shape than the graph's.
        KeyError: a weight is missing.
    """
    batch = _require_inputs(graph, inputs)
    values = {value: np.asarray(inputs[value.name], np.float64) for value in graph.inputs}
    wanted = [output.value for output in graph.inference_outputs]
    found = evaluate(graph.inference_nodes, weights, values, wanted=wanted)
    return {
        output.name: np.broadcast_to(found[output.value], (batch, *output.value.type.shape))
        for output in graph.inference_outputs
    }


def evaluate(
    nodes: Iterable[Node],
    weights: Mapping[str, NDArray[Any]],
    values: Mapping[Value, Array],
    *,
    wanted: Iterable[Value] = (),
    keep: bool = False,
    after: After | None = None,
) -> dict[Value, Array]:
    """The values after evaluating `nodes`, which stand in topological order.

    A value is freed after its last reader unless it is `wanted` or `keep` is true; what no node
    reads stays. `after(node, inputs, output)` gives the array that takes the output's place.
    A `parameter` is a batch of one.
    """
    nodes, found = tuple(nodes), dict(values)
    readers = Counter(value for node in nodes for value in node.inputs)
    readers.update(wanted)
    for node in nodes:
        inputs = tuple(found[value] for value in node.inputs)
        output = node.op.reference(*inputs, **node_weights(node, weights))
        found[node.output] = after(node, inputs, output) if after else output
        if not keep:
            readers.subtract(node.inputs)
            for value in set(node.inputs):
                if not readers[value]:
                    del found[value]
    return found


def node_weights(node: Node, weights: Mapping[str, NDArray[Any]]) -> dict[str, Array]:
    """A node's floating-point tensors by the op's names for them, in float64."""
    return {
        weight.name: np.asarray(weights[weight.key], np.float64)
        for weight in node.weights
        if weight.dtype != "int64"
    }


def _require_inputs(graph: Graph, inputs: Mapping[str, NDArray[Any]]) -> int:
    """The batch size of inputs that fit the graph."""
    expected = {value.name: value.type.shape for value in graph.inputs}
    given = {name: np.shape(array)[1:] for name, array in inputs.items()}
    batches = {np.shape(array)[0] for array in inputs.values() if np.ndim(array)}
    if given != expected or len(batches) != 1:
        raise ValueError(
            f"inputs need, after one common batch axis, the shapes {expected}, not {given}"
        )
    return int(batches.pop())
