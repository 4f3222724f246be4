"""How much one op rounds in float32, said in float64: the deviation of its own error.

`U` is half a unit in the last place of a number just above 1. A rounding to nearest is taken as
uniform in +-U relative, so its deviation is U / sqrt(3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.graph import Graph, Node

Array = NDArray[np.float64]

U = 2.0**-24
SIGMA = U / math.sqrt(3.0)

LANES = 8
"""Sums at once of what adds with vectors of the processor: eight float32 fill one of AVX2."""

GLOBAL_MEAN = "global_avg_pool"

RESAMPLING = ("resize", "upsample")

EXACT = frozenset(
    {
        *("abs", "max_pool", "relu", "relu6"),
        *("channel_shuffle", "concat", "flatten", "pad", "shift", "slice", "unflatten"),
        *("dropout", "identity", "parameter", "stochastic_depth"),
    }
)
"""Ops that only select, move or clip values: nothing is rounded."""


def is_exact(node: Node) -> bool:
    """Whether the node's output holds its input's numbers, unrounded."""
    nearest = node.op.kind in RESAMPLING and node.op.values["mode"] == "nearest"
    return nearest or node.op.kind in EXACT


def longest_mean(graph: Graph) -> int:
    """The most terms of a mean over all positions."""
    means = [n for n in graph.inference_nodes if n.op.kind == GLOBAL_MEAN]
    return max((math.prod(n.input_types[0].shape[1:]) for n in means), default=0)


def deviation(
    node: Node,
    inputs: tuple[Array, ...],
    weights: Mapping[str, Array],
    output: Array,
    lanes: int = 1,
) -> Array | float:
    """The deviation of the error that the node's arithmetic adds, storing the result aside.

    Arrays are `(batch, channels, *spatial)`; `weights` are the op's by their own names. `lanes` is
    in how many sums at once means over all positions are made. The result broadcasts to `output`.
    """
    if node.op.kind == GLOBAL_MEAN:
        x = inputs[0]
        terms = math.prod(x.shape[2:])
        return _summation(terms, output, node.op.reference(x**2) / terms, lanes)
    if node.op.terms(*node.input_types) > 0:
        return _weighted_sum(node, inputs[0], weights, output)
    rule = _RULES.get(node.op.kind)
    return SIGMA * rule(node.op, inputs[0], output, weights) if rule else 0.0


def _weighted_sum(
    node: Node, x: Array, weights: Mapping[str, Array], output: Array
) -> Array | float:
    bias = weights.get("bias")
    total = output if bias is None else output - bias.reshape(-1, *(1,) * (output.ndim - 2))
    linear = {name: w**2 for name, w in weights.items() if name != "bias"}
    if bias is not None:
        linear["bias"] = np.zeros_like(bias)
    squares = node.op.reference(x**2, **linear)
    return _summation(node.op.terms(*node.input_types), total, squares)


def _summation(terms: int, total: Array, squares: Array, lanes: int = 1) -> Array:
    """The error of summing `terms` products, in any order, that give `total`.

    Every partial sum is rounded: the variance is SIGMA^2 times the sum of their squares. Terms in
    random order make a random walk that ends at `total`, whose squares sum to about
    K (total^2 / 3 + squares / 6). For terms of random sign total^2 is about `squares`, and this is
    K / 2 * squares; for terms of one sign it is K / 3 * total^2.

    In L lanes each walks K / L terms, to an end of about total / L that varies by squares / L: the
    squares of all their sums make K (total^2 / (3 L^2) + squares (1 / (2 L) - 1 / (3 L^2))). Then
    the L sums are added up, as so many terms. One lane is the case L = 1 without that.
    """
    squares = np.abs(squares)
    share = 1.0 / lanes
    variance = terms * (total**2 * share**2 / 3.0 + squares * (share / 2.0 - share**2 / 3.0))
    if lanes > 1:
        variance += lanes * (total**2 / 3.0 + squares / 6.0)
    return SIGMA * np.sqrt(variance)


Rule = Callable[[Any, Array, Array, Mapping[str, Array]], Array | float]


def _mean(terms: Callable[[Any, Array], int]) -> Rule:
    def rule(op: Any, x: Array, y: Array, _: Mapping[str, Array]) -> Array:
        k = terms(op, x)
        return _summation(k, y, op.reference(x**2) / k) / SIGMA

    return rule


def _adaptive_terms(op: Any, x: Array) -> int:
    return math.prod(-(-s // o) + 1 for s, o in zip(x.shape[2:], op.size, strict=True))


def _standardised(op: Any, x: Array, y: Array, weights: Mapping[str, Array]) -> Array:
    """(x - mean) / deviation over channels, or over the whole sample: the mean's error enters."""
    axes = (1,) if op.kind == "layer_norm" else tuple(range(1, x.ndim))
    count = math.prod(x.shape[a] for a in axes)
    mean = np.abs(x.mean(axes, keepdims=True))
    spread = np.sqrt(x.var(axes, keepdims=True) + op.values.get("eps", 1.0 / count))
    scale = np.abs(weights["weight"]).max() if "weight" in weights else 1.0
    of_mean = (2.0 + math.sqrt(count / 3.0)) * mean / spread
    return np.asarray(scale * (of_mean + 1.0) + 2.0 * np.abs(y))


def _resampled(op: Any, x: Array, _y: Array, _w: Mapping[str, Array]) -> Array | float:
    if op.mode == "nearest":
        return 0.0
    # Positions are computed in float32 too: their error grows with the size.
    return np.asarray((2.0 + max(x.shape[2:]) / 3.0) * op.reference(np.abs(x)))


def _softmax(_op: Any, x: Array, y: Array, _w: Mapping[str, Array]) -> Array:
    return np.asarray(y * (3.0 + (x.max(1, keepdims=True) - x)))


# An approximation of a smooth function is good to some units of its largest term, which for a
# function that cancels (gelu: x (1 + erf) / 2) or saturates is not the result.
_RULES: dict[str, Rule] = {
    "avg_pool": _mean(lambda op, x: math.prod(op.kernel)),
    "adaptive_avg_pool": _mean(_adaptive_terms),
    "layer_norm": _standardised,
    "standardize_image": _standardised,
    **dict.fromkeys(RESAMPLING, _resampled),
    "softmax": _softmax,
    "log_softmax": lambda op, x, y, w: 2.0 * (1.0 + np.abs(y)),
    "local_response_norm": lambda op, x, y, w: 4.0 * np.abs(y),
    "tanh": lambda op, x, y, w: 2.0 * np.abs(y),
    "hard_swish": lambda op, x, y, w: np.abs(x),
    "hard_sigmoid": lambda op, x, y, w: 1.0,
    "sigmoid": lambda op, x, y, w: 1.0,
    "elu": lambda op, x, y, w: 2.0,
    "softplus": lambda op, x, y, w: 2.0 * np.maximum(1.0, np.abs(y)),
    "silu": lambda op, x, y, w: np.abs(x) + np.abs(y),
    "gelu": lambda op, x, y, w: np.abs(x) + np.abs(y),
    "mish": lambda op, x, y, w: np.abs(x) + np.abs(y),
}
