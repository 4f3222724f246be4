"""How far each node is off inside each run, in units of its own predicted noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.bench import Bench, Outcome
from netspec.exports.blame.recorded import Values
from netspec.exports.noise import THRESHOLD, node_noise
from netspec.exports.report import NodeError, NodeRow
from netspec.graph import Graph, Value
from netspec.reference import evaluate

Array = NDArray[Any]
SAMPLE = 0


def node_rows(bench: Bench, outcomes: Sequence[Outcome]) -> tuple[NodeRow, ...]:
    """Every node of inference, held against the reference on one sample in every run.

    A run whose runtime records no values has no errors.
    """
    graph = bench.graph
    given = {v: bench.inputs[v.name][SAMPLE : SAMPLE + 1] for v in graph.inputs}
    doubles = {value: x.astype(np.float64) for value, x in given.items()}
    truth = evaluate(graph.inference_nodes, bench.tensors, doubles, keep=True)
    single = {value.name: x for value, x in given.items()}
    noise = cache(
        lambda lanes: node_noise(graph, bench.tensors, single, seed=bench.seed, lanes=lanes)
    )
    found = {}
    for outcome in outcomes:
        if outcome.task is None or outcome.arguments is None:
            continue
        bench.say(f"recording every value of the {outcome.row.name}")
        if values := bench.record(outcome, SAMPLE):
            found[outcome.row.name] = _errors(
                graph, truth, noise(bench.lanes(outcome.task, outcome.row)), Values(values)
            )
    return tuple(
        NodeRow(
            path=node.path,
            op=repr(node.op),
            inputs=tuple(value.name for value in node.inputs),
            shape=str(node.output.type),
            where=str(node.span),
            errors={name: errors[node.output] for name, errors in found.items()},
        )
        for node in graph.inference_nodes
    )


def _errors(
    graph: Graph, truth: Mapping[Value, Array], noise: Mapping[Value, float], values: Values
) -> dict[Value, NodeError | None]:
    """The error of the nearest value; None where none is near, yet all that read it are right.

    Then the node was computed in one with its readers, and what is nearest is another's value.
    """
    result: dict[Value, NodeError | None] = {}
    outputs = {output.value for output in graph.inference_outputs}
    wrong = set(outputs)  # values that a node after them, or the end of the network, needs right
    for node in reversed(graph.inference_nodes):
        value = node.output
        error = _error(values.nearest(truth[value]), truth[value], noise[value])
        near = error.ratio <= THRESHOLD
        result[value] = error if near or value in wrong else None
        if not near and value in wrong:
            wrong.update(node.inputs)
    return result


def _error(found: Array | None, truth: Array, predicted: float) -> NodeError:
    largest = math.inf if found is None else float(np.abs(found - truth).max(initial=0.0))
    return NodeError(largest if math.isfinite(largest) else math.inf, predicted)
