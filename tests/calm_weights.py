"""Weights that matter, of a network that enlarges rounding little: for comparing coarse numbers.

Probe weights make mistakes show, and so rounding too: a deep network of theirs keeps no digit of
bfloat16's eight bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.graph import Graph, Node
from netspec.reference import evaluate, node_weights

Array = NDArray[Any]


def calm_weights(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Random kernels, and statistics of these inputs; no channel varies less than the average."""
    generator = np.random.default_rng(0)
    weights: dict[str, Array] = {}
    for weight in graph.weights:
        if weight.dtype == "int64":
            weights[weight.key] = np.zeros(weight.shape, np.int64)
        elif len(weight.shape) > 1:
            deviation = (2 / np.prod(weight.shape[1:])) ** 0.5
            drawn = generator.standard_normal(weight.shape) * deviation
            weights[weight.key] = drawn.astype(np.float32)
        else:
            weights[weight.key] = generator.uniform(0.1, 1.0, weight.shape).astype(np.float32)

    def after(node: Node, given: tuple[Array, ...], output: Array) -> Array:
        if node.op.kind != "batch_norm":
            return output
        keys = {weight.name: weight.key for weight in node.weights}
        axes = (0, *range(2, given[0].ndim))
        variance = given[0].var(axes)
        weights[keys["running_mean"]] = given[0].mean(axes).astype(np.float32)
        weights[keys["running_var"]] = np.maximum(variance, variance.mean()).astype(np.float32)
        return node.op.reference(*given, **node_weights(node, weights))

    values = {value: np.asarray(inputs[value.name], np.float64) for value in graph.inputs}
    evaluate(graph.inference_nodes, weights, values, after=after)
    return weights
