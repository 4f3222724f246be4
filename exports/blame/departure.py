"""The first node that departs, of those that were found or not.

A node is *explained* if it is found, or if all that read it are explained: then a value that an
exporter folded away was right. The first node that is not explained departs, since all before it
are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.blame.matched import Matched
from netspec.exports.blame.recorded import PROBES, Values, largest
from netspec.graph import Graph, Node, Value
from netspec.reference import node_weights

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Departure:
    """A node that is not explained, and the nodes folded into one with it, first to last."""

    node: Node
    folded: tuple[Node, ...]


def locate(
    graph: Graph,
    found: Collection[str],
    *,
    near: Collection[str] = (),
    folds: bool = False,
    kept: Collection[str] = (),
) -> Departure | None:
    """The first node in topological order that is not explained, or None.

    `found` are the paths of nodes whose values are there. One that is not is explained if all that
    read it are, since it is computed in one with them; but not if it is `near`. With `folds`, a
    batch norm after it counts as folded into one with it; nodes that are `kept` are in no fold.
    """
    nodes = graph.inference_nodes
    readers: dict[Value, list[Node]] = {}
    for node in nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    outputs = {output.value for output in graph.inference_outputs}
    explained: dict[str, bool] = {}
    for node in reversed(nodes):
        after = readers.get(node.output, [])
        passed = node.output not in outputs and all(explained[r.path] for r in after)
        explained[node.path] = node.path in found or (passed and node.path not in near)
    first = next((node for node in nodes if not explained[node.path]), None)
    if first is None:
        return None
    # What is folded elsewhere in this network is folded here: the last of the chain can be seen.
    hidden = {n.op.kind for n in nodes if explained[n.path] and n.path not in found}
    chain = [first]
    while len(after := readers.get(chain[-1].output, [])) == 1:
        node = chain[-1]
        folded = not node.inputs or (node.op.kind in hidden and node.path not in near)
        folded = folded or (folds and after[0].op.kind == "batch_norm")
        if not folded or node.path in kept:
            break
        chain.append(after[0])
    return Departure(chain[-1], tuple(chain[:-1]))


def laid_out(graph: Graph, departure: Departure, matched: Matched, values: Values) -> Departure:
    """Step back to a node whose numbers are right and whose layout is not.

    Such a node is there in no other shape than one that its last step should have changed, while
    what it reads is there as it should be, and so is the shape of what departs.
    """
    made = {node.output: node for node in graph.inference_nodes}
    if values.has_other_shape(matched.truth[departure.node.output]):
        return departure
    for node in (made[value] for value in departure.node.inputs if value in made):
        inner = {made[value].path for value in node.inputs if value in made}
        if node.path in matched.loose and inner and inner <= matched.found - matched.loose:
            return Departure(node, ())
    return departure


def between(
    graph: Graph,
    weights: Mapping[str, Array],
    departure: Departure,
    matched: Matched,
    values: Values,
) -> Departure:
    """Widen a departure to a neighbour where what is wrong may as well stand between the two.

    A node that was never made and is not simply left out: it, or its reader that reads another
    value. A node that is right for a value that nothing else explains: it, or what made that value.
    """
    node = departure.node
    bound = matched.bounds[node.output]
    if departure.folded:
        return departure
    if next(values.unclaimed(matched.truth[node.output]), None) is None:
        readers = [n for n in graph.inference_nodes if node.output in n.inputs]
        if len(readers) != 1:
            return departure
        reader = readers[0]
        left_out = {**matched.values, node.output: matched.values[node.inputs[0]]}
        wrong = next(values.unclaimed(matched.truth[reader.output]), None) is not None
        if wrong and not _makes(reader, left_out, weights, values, matched.bounds[reader.output]):
            return Departure(reader, (node,))
        return departure
    for value in node.inputs:
        makers = _makers(graph, value, matched)
        for other in islice(values.unclaimed(matched.values[value]), PROBES):
            changed = {**matched.values, value: other}
            if makers and _makes(node, changed, weights, values, bound, unless=other):
                return Departure(node, makers)
    return departure


def _makers(graph: Graph, value: Value, matched: Matched) -> tuple[Node, ...]:
    """The nodes that may have made a value, in order: its own, before it one that left it as it is.

    None makes an input of the network.
    """
    makers: list[Node] = []
    while made := next((n for n in graph.inference_nodes if n.output is value), None):
        makers.insert(0, made)
        same = made.inputs and made.inputs[0].type.shape == value.type.shape
        if not same or not np.array_equal(matched.truth[value], matched.values[made.inputs[0]]):
            break
        value = made.inputs[0]
    return tuple(makers)


def _makes(
    node: Node,
    given: Mapping[Value, Array],
    weights: Mapping[str, Array],
    values: Values,
    bound: float,
    unless: Array | None = None,
) -> bool:
    """Whether the network holds what a node makes of these values, and that is not `unless`."""
    inputs = [np.asarray(given[value], np.float64) for value in node.inputs]
    if tuple(x.shape[1:] for x in inputs) != tuple(t.shape for t in node.input_types):
        return False
    output = node.op.reference(*inputs, **node_weights(node, weights))
    if unless is not None and unless.shape == output.shape and largest(output - unless) <= bound:
        return False
    return values.find(output, bound) is not None
