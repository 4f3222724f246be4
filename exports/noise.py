"""The rounding noise that float32 must cause in a network, predicted from float64 alone.

Each node's own rounding (`rounding.py`) is drawn at random and added to the float64 reference as
it runs; what arrives at the outputs is the prediction. A float32 result is judged in its units.
The same is done with the rounding of stored numbers alone: a finished float32 file that folded
batch norms into its weights is, evaluated in float64, that far from the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.rounding import SIGMA, U, deviation, is_exact
from netspec.graph import Graph, Node, Value
from netspec.reference import evaluate, node_weights

Array = NDArray[np.float64]

RUNS = 4
THRESHOLD = 4.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """An output's float64 truth `(batch, ...)` and draws of its error `(runs, batch, ...)`."""

    truth: Array
    noise: Array


@dataclass(frozen=True, slots=True)
class Figures:
    """A result's error, absolute and in units of the predicted noise."""

    rms: float
    max: float
    predicted_rms: float
    predicted_max: float

    @property
    def ratio_rms(self) -> float:
        return _ratio(self.rms, self.predicted_rms)

    @property
    def ratio_max(self) -> float:
        return _ratio(self.max, self.predicted_max)

    @property
    def agreed(self) -> bool:
        """Both errors within `THRESHOLD` predictions; where nothing rounds, no error at all."""
        return self.ratio_rms <= THRESHOLD and self.ratio_max <= THRESHOLD

    def to_dict(self) -> dict[str, float | None]:
        """For JSON; a ratio without bound is None."""
        ratios = {"ratio_rms": self.ratio_rms, "ratio_max": self.ratio_max}
        return {
            "rms": self.rms,
            "max": self.max,
            "predicted_rms": self.predicted_rms,
            "predicted_max": self.predicted_max,
            **{name: value if math.isfinite(value) else None for name, value in ratios.items()},
        }


class ComparisonError(Exception):
    """A result has no error to measure: it is missing, misshapen or not finite."""


def predict(
    graph: Graph,
    weights: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, NDArray[np.float32]],
    *,
    seed: int = 0,
    runs: int = RUNS,
    stored: bool = False,
    kept: Collection[str] = (),
    lanes: int = 1,
) -> dict[str, Prediction]:
    """Truth and noise of every inference output for `inputs` `(batch, channels, *spatial)`.

    A sample at a time, with its noisy copies beside it as a batch, so that memory stays bounded.
    With `stored`, nothing rounds but the numbers that a float32 file holds, of nodes that are not
    among the paths `kept`. `lanes` is in how many sums at once means over all positions are made.
    """
    noise = Noise.of(weights, seed, runs, stored=stored, kept=kept, lanes=lanes)
    batch = len(next(iter(inputs.values())))
    samples = [
        _sample(graph, noise, {name: x[i : i + 1] for name, x in inputs.items()})
        for i in range(batch)
    ]
    result = {}
    for output in graph.inference_outputs:
        truth = np.stack([sample[output.name][0] for sample in samples])
        copies = np.stack([sample[output.name][1:] for sample in samples], axis=1)
        result[output.name] = Prediction(truth, copies - truth)
    return result


def predictor(
    graph: Graph,
    weights: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, NDArray[np.float32]],
    *,
    seed: int = 0,
) -> Callable[[int], dict[str, Prediction]]:
    """`predict` by its `lanes`: each is computed once, whichever thread asks first."""
    lock = Lock()

    @cache
    def predicted(lanes: int) -> dict[str, Prediction]:
        return predict(graph, weights, inputs, seed=seed, lanes=lanes)

    def locked(lanes: int) -> dict[str, Prediction]:
        with lock:
            return predicted(lanes)

    return locked


def node_noise(
    graph: Graph,
    weights: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, NDArray[np.float32]],
    *,
    seed: int = 0,
    runs: int = RUNS,
    lanes: int = 1,
) -> dict[Value, float]:
    """The largest error predicted for every value that one sample's inference makes."""
    noise = Noise.of(weights, seed, runs, lanes=lanes)
    largest: dict[Value, float] = {}

    def after(node: Node, given: tuple[Array, ...], output: Array) -> Array:
        noisy = noise.inject(node, given, output)
        largest[node.output] = _max(noisy - noisy[:1])
        return noisy

    values = {v: np.repeat(np.float64(inputs[v.name]), noise.copies, 0) for v in graph.inputs}
    evaluate(graph.inference_nodes, noise.weights, values, after=after)
    return largest


def judge(prediction: Prediction, result: NDArray[Any] | None) -> Figures:
    """Measure a float32 result against its prediction.

    Raises:
        ComparisonError: the output is missing, has another shape, or holds NaN or infinity.
    """
    error = require_comparable(prediction, result) - prediction.truth
    noise = prediction.noise
    return Figures(_rms(error), _max(error), _rms(noise), _max(noise))


def require_comparable(prediction: Prediction, result: NDArray[Any] | None) -> Array:
    """The result in float64, if it has an error to measure.

    Raises:
        ComparisonError: the output is missing, has another shape, or holds NaN or infinity.
    """
    truth = prediction.truth
    if result is None:
        raise ComparisonError("the output is missing")
    if result.shape != truth.shape:
        raise ComparisonError(f"the output's shape is {result.shape}, not {truth.shape}")
    if not np.isfinite(truth).all():
        raise ComparisonError(
            "the float64 reference is not finite: these weights or inputs overflow"
        )
    for name, bad in (("NaN", np.isnan(result)), ("infinity", np.isinf(result))):
        if bad.any():
            raise ComparisonError(f"{int(bad.sum())} of {bad.size} output values are {name}")
    return np.asarray(result, np.float64)


def _sample(graph: Graph, noise: Noise, inputs: Mapping[str, NDArray[Any]]) -> dict[str, Array]:
    values = {
        value: np.repeat(np.asarray(inputs[value.name], np.float64), noise.copies, axis=0)
        for value in graph.inputs
    }
    wanted = [output.value for output in graph.inference_outputs]
    results = evaluate(
        graph.inference_nodes, noise.weights, values, wanted=wanted, after=noise.inject
    )
    return {
        output.name: _copies(results[output.value], noise.copies)
        for output in graph.inference_outputs
    }


@dataclass(frozen=True, slots=True)
class Noise:
    """Adds a node's rounding to every copy of the sample but the first, which stays the truth.

    With `stored`, that of the numbers which a float32 file holds; else that of the arithmetic.
    Of the nodes whose paths are `kept`, the file holds every number as it is.
    """

    rng: np.random.Generator
    runs: int
    weights: dict[str, Array]
    stored: bool = False
    kept: Collection[str] = ()
    lanes: int = 1

    @staticmethod
    def of(
        weights: Mapping[str, NDArray[Any]],
        seed: int,
        runs: int = RUNS,
        *,
        stored: bool = False,
        kept: Collection[str] = (),
        lanes: int = 1,
    ) -> Noise:
        """Noise drawn by a seed, for a network with these weights."""
        rng = np.random.Generator(np.random.Philox(seed))
        doubles = {key: np.asarray(w, np.float64) for key, w in weights.items()}
        return Noise(rng, runs, doubles, stored, kept, lanes)

    @property
    def copies(self) -> int:
        return 1 + self.runs

    def inject(self, node: Node, inputs: tuple[Array, ...], output: Array) -> Array:
        if not node.inputs or is_exact(node) or (self.stored and node.path in self.kept):
            return output
        output = _copies(output, self.copies)
        noisy, clean = output[1:], output[:1]
        weights = node_weights(node, self.weights)
        given = tuple(x[:1] for x in inputs)
        if node.op.kind in ("affine", "batch_norm", "normalize"):
            noisy += self._affine(node, given[0], weights, clean)
        elif self.stored and not node.op.join:
            noisy += self._of_numbers(node, given, weights, clean)
        if not self.stored:
            added = deviation(node, given, weights, clean, self.lanes)
            if not (isinstance(added, float) and added == 0.0):
                noisy += added * self.rng.standard_normal(noisy.shape, dtype=np.float32)
            noisy += noisy * (U * self._uniform(noisy.shape))
        return output

    def _affine(self, node: Node, x: Array, weights: dict[str, Array], output: Array) -> Array:
        """x a + b with a and b rounded once per channel, as runtimes and exporters fold them."""
        b = node.op.reference(np.zeros((1, x.shape[1], *(1,) * (x.ndim - 2))), **weights)
        shape = (self.runs, *b.shape[1:])
        return np.asarray(U * (self._uniform(shape) * (output - b) + self._uniform(shape) * b))

    def _of_numbers(
        self, node: Node, given: tuple[Array, ...], weights: dict[str, Array], output: Array
    ) -> Array:
        """The node's numbers rounded once: the same error at every place, so no mean removes it.

        A weighted sum is linear in its weights. Of any other op, the constants of whatever it was
        composed of are rounded, to the effect that its arithmetic would have.
        """
        if node.op.terms(*node.input_types) > 0:
            errors = [
                {name: w * (U * self._uniform(w.shape)) for name, w in weights.items()}
                for _ in range(self.runs)
            ]
            return np.concatenate([node.op.reference(*given, **error) for error in errors])
        each = (self.runs, *(1,) * (output.ndim - 1))
        added = deviation(node, given, weights, output) + SIGMA * np.abs(output)
        return np.asarray(added * self.rng.standard_normal(each))

    def _uniform(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return self.rng.random(shape, dtype=np.float32) * np.float32(2.0) - np.float32(1.0)


def _copies(output: Array, copies: int) -> Array:
    """A fresh array with one row per copy: a value that no input reaches has a batch of 1."""
    return np.array(np.broadcast_to(output, (copies, *output.shape[1:])))


def _ratio(error: float, predicted: float) -> float:
    if error == 0.0:
        return 0.0
    return error / predicted if predicted > 0.0 else float("inf")


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.square(x)))) if x.size else 0.0


def _max(x: Array) -> float:
    return float(np.abs(x).max(initial=0.0))
