"""What can still be seen in a finished file, whose stored numbers are rounded to float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.blame.matched import Matched
from netspec.graph import Graph, Node, Value
from netspec.reference import evaluate, node_weights

Array = NDArray[Any]

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
