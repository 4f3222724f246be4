"""Weights and inputs that expose mistakes.

Fresh weights hide them: with some, a network gives the same logits for every input. Probe weights
are random without any symmetry, and calibrated on data in one pass through the float64 reference:
every layer's output gets a spread that its consumers react to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.rounding import EXACT
from netspec.graph import Graph, Node, Value, Weight
from netspec.reference import evaluate, node_weights

Array = NDArray[np.float64]
Inputs = dict[str, NDArray[np.float32]]
Weights = dict[str, NDArray[Any]]

CALIBRATION_BATCH = 4
SENSITIVITY = 0.01

SPREADS = {
    "batch_norm": 0.03,  # a variance of 1e-3, so that eps matters
    "relu6": 4.0,
    "hard_sigmoid": 2.5,
    "hard_swish": 2.5,
    "local_response_norm": 20.0,  # squares large enough to move the divisor
}
"""The spread wanted of a value by the op that reads it; 1 for the others."""


def probe_inputs(graph: Graph, seed: int, batch: int) -> Inputs:
    """Random samples with detail, coarse structure, and contrast and level of their own.

    White noise alone would look the same to a network that ends in an average.
    """
    return {
        value.name: _sample(np.random.Generator(np.random.Philox([seed, index])), value, batch)
        for index, value in enumerate(graph.inputs)
    }


def probe_weights(graph: Graph, seed: int) -> Weights:
    """Every stored tensor by key, calibrated; heads that exist only in training as well."""
    calibration = _Calibration(graph, np.random.Generator(np.random.Philox([seed, 1 << 32])))
    inputs = probe_inputs(graph, seed + 1, CALIBRATION_BATCH)
    values = {value: inputs[value.name].astype(np.float64) for value in graph.inputs}
    evaluate(graph.nodes, calibration.weights, values, after=calibration.adjust)
    dtypes = {w.key: w.dtype for w in graph.weights}
    return {key: w.astype(dtypes[key]) for key, w in calibration.weights.items()}


def insensitive(truth: Mapping[str, Array]) -> list[str]:
    """The outputs that two different samples leave within 1 % of their largest value.

    A comparison on these samples would say little about such an output.
    """
    return [
        name
        for name, y in truth.items()
        if len(y) > 1 and np.abs(y[0] - y[1]).max() <= SENSITIVITY * np.abs(y).max()
    ]


def _sample(rng: np.random.Generator, value: Value, batch: int) -> NDArray[np.float32]:
    channels, spatial = value.type.channels, value.type.spatial
    coarse = rng.standard_normal((batch, channels, *(min(5, size) for size in spatial)))
    for axis, size in enumerate(spatial, start=2):
        coarse = np.take(coarse, np.arange(size) * coarse.shape[axis] // size, axis)
    each = (batch, channels, *(1,) * len(spatial))
    contrast = rng.uniform(0.5, 1.5, each)
    level = rng.normal(0.0, 0.5, each)
    detail = rng.standard_normal((batch, channels, *spatial))
    return (contrast * (0.8 * coarse + 0.6 * detail) + level).astype(np.float32)


@dataclass(slots=True)
class _Calibration:
    """Sets each node's weights when the reference reaches it, from what flows into it."""

    graph: Graph
    rng: np.random.Generator
    weights: dict[str, Array]
    readers: dict[Value, list[Node]]

    def __init__(self, graph: Graph, rng: np.random.Generator) -> None:
        self.graph = graph
        self.rng = rng
        self.weights = {}
        self.readers = {}
        for node in graph.nodes:
            for value in node.inputs:
                self.readers.setdefault(value, []).append(node)
        for node in graph.declared:
            for weight in node.weights:
                self.weights[weight.key] = self._draw(weight)

    def adjust(self, node: Node, inputs: tuple[Array, ...], output: Array) -> Array:
        if not node.weights or node.shared:
            return output
        if node.op.terms(*node.input_types) > 0:
            return self._set_spread(node, output)
        if node.op.kind == "batch_norm":
            self._set_statistics(node, inputs[0])
            return node.op.reference(*inputs, **node_weights(node, self.weights))
        return output

    def _draw(self, weight: Weight) -> Array:
        shape, normal = weight.shape, self.rng.standard_normal(weight.shape)
        if weight.dtype != "float32":
            return np.zeros(shape)
        if weight.name == "bias":
            return _rounded(0.3 * normal)
        if weight.name == "" or len(shape) > 1:
            return _rounded(normal)
        return _rounded(self.rng.uniform(0.1, 0.4, shape))  # slopes, and scales until calibrated

    def _set_spread(self, node: Node, output: Array) -> Array:
        """Scale the weight, and move the bias, until each channel's values lie about its zero.

        The op is affine, so its new output is found without running it again.
        """
        own = {w.name: w.key for w in node.weights}
        spread = self._wanted(node.output)
        axes = (0, *range(2, output.ndim))
        deviation = float(np.sqrt(np.mean(output.var(axes)))) or 1.0
        scale = spread / deviation
        self.weights[own["weight"]] = _rounded(self.weights[own["weight"]] * scale)
        if "bias" not in own:
            return output * scale
        bias = self.weights[own["bias"]]
        centre = (output.mean(axes) - bias) * scale
        self.weights[own["bias"]] = _rounded(bias * spread - centre)
        shift = self.weights[own["bias"]] - bias * scale
        return output * scale + shift.reshape(-1, *(1,) * (output.ndim - 2))

    def _set_statistics(self, node: Node, x: Array) -> None:
        """Running statistics near the data's own, and scales of either size about 1."""
        own = {w.name: w.key for w in node.weights}
        axes = (0, *range(2, x.ndim))
        mean, variance = x.mean(axes), x.var(axes)
        variance = np.maximum(variance, 0.01 * variance.mean()) + 1e-12
        shape = mean.shape
        off = self.rng.normal(0.0, 0.1, shape) * np.sqrt(variance)
        self.weights[own["running_mean"]] = _rounded(mean + off)
        self.weights[own["running_var"]] = _rounded(variance * self.rng.uniform(0.8, 1.25, shape))
        spread = self._wanted(node.output)
        if "weight" in own:
            self.weights[own["weight"]] = _rounded(spread * self.rng.uniform(0.6, 1.4, shape))
        self.weights[own["bias"]] = _rounded(0.3 * spread * self.rng.standard_normal(shape))

    def _wanted(self, value: Value) -> float:
        """The spread that the first demanding reader of a value wants, looking through others."""
        seen = {value}
        queue = [value]
        for current in queue:
            for reader in self.readers.get(current, ()):
                if reader.op.kind in SPREADS:
                    return SPREADS[reader.op.kind]
                through = reader.op.kind in EXACT and reader.op.kind != "concat"
                if through and reader.output not in seen:
                    seen.add(reader.output)
                    queue.append(reader.output)
        return 1.0


def _rounded(x: Any) -> Array:
    """Float64 numbers that float32 holds exactly."""
    return np.asarray(x, np.float32).astype(np.float64)
