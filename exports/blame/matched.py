"""A running network's values, matched with the reference's.

A node is *found* if what the reference makes of the values before it, as the network itself has
them, is there: errors do not add up along the way. One that is *near* was not folded away: it is
there, a little more off than it may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.blame.recorded import Values, largest
from netspec.exports.noise import THRESHOLD, Noise
from netspec.exports.same import BOUND
from netspec.graph import Graph, Node, Value
from netspec.reference import evaluate

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Matched:
    """The reference's value of every node, made of the network's own values before it.

    `bounds` is how far off each may be; `values` are the network's own where they were found, else
    the reference's; `found` are the paths of nodes whose values are there, `loose` those of them
    that are there in another shape or layout alone. `near` are paths of other nodes: of these a
    value is there that is no other node's, off by more than its bound, yet by little.
    """

    truth: dict[Value, Array]
    bounds: dict[Value, float]
    values: dict[Value, Array]
    found: set[str]
    loose: set[str]
    near: set[str]


def match(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[Value, Array],
    values: Values,
    noise: Noise | None = None,
) -> Matched:
    """Follow the network through its own values of one sample `(1, channels, *spatial)`.

    Where a node's value is found, the network's stands for the reference's from there on. It may be
    off by what rounding explains since the values found before it: by `noise`, or without it by
    what the order of sums does in float64.
    """
    matched = Matched({}, {}, dict(inputs), set(), set(), set())

    def after(node: Node, given: tuple[Array, ...], output: Array) -> Array:
        copies = noise.inject(node, given, output) if noise else output
        truth = copies[:1]
        bound = BOUND * largest(truth)
        if noise:
            bound = max(bound, THRESHOLD * largest(copies - truth))
        matched.truth[node.output], matched.bounds[node.output] = truth, bound
        found = values.find(truth, bound)
        matched.values[node.output] = truth if found is None else found
        if found is None:
            return copies
        matched.found.add(node.path)
        if not values.has_shape(truth, bound):
            matched.loose.add(node.path)
        return np.repeat(found.astype(np.float64), len(copies), axis=0)

    copies = noise.copies if noise else 1
    repeated = {value: np.repeat(x, copies, axis=0) for value, x in inputs.items()}
    evaluate(graph.inference_nodes, weights, repeated, after=after)
    matched.near.update(_near(graph, matched, values))
    return matched


def _near(graph: Graph, matched: Matched, values: Values) -> Iterator[str]:
    """The paths of nodes of which a value is there that is near, and is not another node's."""
    known = [n.output for n in graph.inference_nodes if n.path in matched.found]
    of_others = [(matched.truth[value], matched.bounds[value]) for value in known]
    for node in graph.inference_nodes:
        truth = matched.truth[node.output]
        if node.path not in matched.found and values.has_near(truth, of_others):
            yield node.path
