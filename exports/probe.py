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
    # Far enough for values beyond 6, where a clipped variant or an approximation would differ.
    **dict.fromkeys(("relu", "leaky_relu", "prelu", "abs", "softplus"), 8.0),
    **dict.fromkeys(("elu", "gelu", "mish", "silu"), 3.0),
    "relu6": 4.0,
    "hard_sigmoid": 2.5,
    "hard_swish": 2.5,
    "local_response_norm": 20.0,  # squares large enough to move the divisor
}
"""The spread wanted of a value by the op that reads it; 1 for the others."""

KNEES = {
    **dict.fromkeys(("relu", "leaky_relu", "prelu", "elu", "abs"), (0.0,)),
    "relu6": (0.0, 6.0),
    **dict.fromkeys(("hard_sigmoid", "hard_swish"), (-3.0, 3.0)),
}
"""Where an op changes from one formula to another, by its kind."""

FLAT = {
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "hard_sigmoid": (-3.0, 3.0),
    "hard_swish": (-3.0, np.inf),
}
"""Up to where and from where an op's result does not change with its input."""

THROUGH = ("add", "avg_pool", "sub")  # whose results spread about as their inputs do
SILENT = 0.01  # of a node's channels may be cut off
FEW, MANY = 2, 7  # samples
FAINT = 1e-3  # times a sample's contrast and level
CHEAP = 10**9  # multiply-accumulates that `MANY` samples may cost


def probe_inputs(graph: Graph, seed: int, batch: int) -> Inputs:
    """Random samples with detail, coarse structure, and contrast and level of their own.

    White noise alone would look the same to a network that ends in an average. A network that
    scales its input first, as `normalize` does, gets samples scaled the other way: pixels from 0
    to 255 that differ by 1 would be all but constant to it. Where images are standardised, the
    last of many samples has so little contrast that the deviation's floor acts.
    The first samples are the same however many there are.
    """
    samples = {
        value.name: _before_scaling(
            graph,
            value,
            np.concatenate(
                [
                    _sample(np.random.Generator(np.random.Philox([seed, (index << 32) + n])), value)
                    for n in range(batch)
                ]
            ),
        )
        for index, value in enumerate(graph.inputs)
    }
    if batch >= MANY and any(node.op.kind == "standardize_image" for node in graph.nodes):
        for x in samples.values():
            x[MANY - 1] *= np.float32(FAINT)
    return samples


def probe_weights(graph: Graph, seed: int) -> Weights:
    """Every stored tensor by key, calibrated; heads that exist only in training as well."""
    calibration = _Calibration(graph, np.random.Generator(np.random.Philox([seed, 1 << 32])))
    # The samples that will be used are among these: where maps are small, statistics of others
    # would leave them far outside of what the network expects.
    inputs = probe_inputs(graph, seed, MANY if graph.macs * MANY <= CHEAP else CALIBRATION_BATCH)
    values = {value: inputs[value.name].astype(np.float64) for value in graph.inputs}
    evaluate(graph.nodes, calibration.weights, values, after=calibration.adjust)
    dtypes = {w.key: w.dtype for w in graph.weights}
    return {key: w.astype(dtypes[key]) for key, w in calibration.weights.items()}


def enough_inputs(graph: Graph, weights: Weights, seed: int) -> Inputs:
    """Two samples, or seven where they cost little or two leave something unseen."""
    if graph.macs * MANY > CHEAP:
        few = probe_inputs(graph, seed, FEW)
        if not unseen(graph, weights, few):
            return few
    return probe_inputs(graph, seed, MANY)


def unseen(graph: Graph, weights: Weights, inputs: Inputs) -> list[str]:
    """Where these inputs show little: no value beyond a knee, or channels that are cut off.

    A channel whose values all lie where an activation is flat hides what comes before it.
    """
    found = []

    def after(node: Node, given: tuple[Array, ...], output: Array) -> Array:
        for knee in KNEES.get(node.op.kind, ()):
            if given[0].min() >= knee:
                found.append(f"{node.path}: no value lies below {knee:g}")
            elif given[0].max() <= knee:
                found.append(f"{node.path}: no value lies above {knee:g}")
        if flat := FLAT.get(node.op.kind):
            x = given[0]
            within = ((x <= flat[0]) | (x >= flat[1])).all((0, *range(2, x.ndim)))
            if within.mean() > SILENT:
                found.append(f"{node.path}: {within.sum()} of {within.size} channels are cut off")
        return output

    values = {value: inputs[value.name].astype(np.float64) for value in graph.inputs}
    wanted = [output.value for output in graph.inference_outputs]
    evaluate(graph.inference_nodes, weights, values, wanted=wanted, after=after)
    return found


def insensitive(truth: Mapping[str, Array]) -> list[str]:
    """The outputs that two different samples leave within 1 % of their largest value.

    A comparison on these samples would say little about such an output.
    """
    return [
        name
        for name, y in truth.items()
        if len(y) > 1 and np.abs(y[0] - y[1]).max() <= SENSITIVITY * np.abs(y).max()
    ]


def _before_scaling(graph: Graph, value: Value, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the ops that scale an input first make `x` of."""
    scalings: list[tuple[Array, Array]] = []
    found = value
    while len(readers := [node for node in graph.nodes if found in node.inputs]) == 1:
        (node,) = readers
        if node.op.kind not in ("affine", "normalize"):
            break
        shape = (1, found.type.channels, *(1,) * found.type.rank)
        zero = node.op.reference(np.zeros(shape))
        scalings.append((node.op.reference(np.ones(shape)) - zero, zero))
        found = node.output
    for scale, shift in reversed(scalings):
        x = np.where(scale == 0.0, x, (x - shift) / np.where(scale == 0.0, 1.0, scale))
    return x.astype(np.float32)


def _sample(rng: np.random.Generator, value: Value) -> NDArray[np.float32]:
    channels, spatial = value.type.channels, value.type.spatial
    coarse = rng.standard_normal((1, channels, *(min(5, size) for size in spatial)))
    for axis, size in enumerate(spatial, start=2):
        coarse = np.take(coarse, np.arange(size) * coarse.shape[axis] // size, axis)
    each = (1, channels, *(1,) * len(spatial))
    contrast = rng.uniform(0.5, 1.5, each)
    level = rng.normal(0.0, 0.5, each)
    detail = rng.standard_normal((1, channels, *spatial))
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
        # Slopes, on both sides of 0 and 1, and scales; variances are calibrated.
        least, most = (-0.5, 1.5) if weight.name == "weight" else (0.1, 0.4)
        return _rounded(self.rng.uniform(least, most, shape))

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
        """Running statistics near the data's own, and scales about 1 in size, some negative."""
        own = {w.name: w.key for w in node.weights}
        axes = (0, *range(2, x.ndim))
        mean, variance = x.mean(axes), x.var(axes)
        # A channel that is all but constant would have its rounding enlarged without bound.
        variance = np.maximum(variance, 1e-4 * np.maximum(variance.mean(), mean**2)) + 1e-12
        shape = mean.shape
        off = self.rng.normal(0.0, 0.1, shape) * np.sqrt(variance)
        self.weights[own["running_mean"]] = _rounded(mean + off)
        self.weights[own["running_var"]] = _rounded(variance * self.rng.uniform(0.8, 1.25, shape))
        spread = self._wanted(node.output)
        if "weight" in own:
            sign = np.where(self.rng.random(shape) < 0.25, -1.0, 1.0)
            scales = sign * self.rng.uniform(0.6, 1.4, shape)
            self.weights[own["weight"]] = _rounded(spread * scales)
        self.weights[own["bias"]] = _rounded(0.3 * spread * self.rng.standard_normal(shape))

    def _wanted(self, value: Value) -> float:
        """The spread that the first demanding reader of a value wants, looking through others."""
        seen = {value}
        queue = [value]
        for current in queue:
            for reader in self.readers.get(current, ()):
                if reader.op.kind in SPREADS:
                    return SPREADS[reader.op.kind]
                through = reader.op.kind in EXACT or reader.op.kind in THROUGH
                if through and reader.output not in seen:
                    seen.add(reader.output)
                    queue.append(reader.output)
        return 1.0


def _rounded(x: Any) -> Array:
    """Float64 numbers that float32 holds exactly."""
    return np.asarray(x, np.float32).astype(np.float64)
