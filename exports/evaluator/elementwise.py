"""Operators that work on each element alone, and comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from netspec.exports.evaluator.registry import Array, NotEvaluatedError, f32, operator

UNARY: dict[str, Callable[[Array], Array]] = {
    "Abs": np.abs,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Exp": np.exp,
    "Floor": np.floor,
    "IsNaN": np.isnan,
    "Log": np.log,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": np.reciprocal,
    "Round": np.round,  # both round halves to even
    "Sign": np.sign,
    "Sin": np.sin,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "And": np.logical_and,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Mul": np.multiply,
    "Or": np.logical_or,
    "Sub": np.subtract,
    "Xor": np.logical_xor,
}

VARIADIC = {"Max": np.maximum, "Min": np.minimum, "Sum": np.add}


def _unary(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: function(x)


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda a, b: function(a, b)


def _variadic(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    return lambda *values: reduce(function, values)


for _name, _function in UNARY.items():
    operator(_name)(_unary(_function))
for _name, _two in BINARY.items():
    operator(_name)(_binary(_two))
for _name, _two in VARIADIC.items():
    operator(_name)(_variadic(_two))


@operator("Mean")
def mean(*values: Array) -> Array:
    total: Array = reduce(np.add, values)
    return total / total.dtype.type(len(values))


@operator("Div")
def div(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return a / b
    quotient = np.abs(a.astype(object)) // np.abs(b.astype(object))  # integers round toward zero
    return np.asarray(quotient * np.sign(a) * np.sign(b)).astype(a.dtype)


@operator("Mod")
def mod(a: Array, b: Array, *, fmod: int = 0) -> Array:
    return np.fmod(a, b) if fmod else np.mod(a, b)


@operator("Pow")
def power(a: Array, b: Array) -> Array:
    return np.power(a, b).astype(a.dtype)


@operator("Where")
def where(condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


@operator("Identity")
def identity(x: Array) -> Array:
    return x


@operator("Dropout")
def dropout(
    x: Array,
    share: Array | None = None,
    training: Array | None = None,
    *,
    ratio: float = 0.5,
    seed: int = 0,
    wanted: int = 1,
) -> Any:
    """At inference: the identity. `seed` and `ratio` matter only in training."""
    if training is not None and training.any() and (share is None or share != 0):
        raise NotEvaluatedError("Dropout in training is random and not evaluated")
    return (x, np.ones(x.shape, np.bool_)) if wanted > 1 else x


@operator("Clip")
def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


@operator("Relu")
def relu(x: Array) -> Array:
    return np.maximum(x, x.dtype.type(0))


@operator("LeakyRelu")
def leaky_relu(x: Array, *, alpha: float = f32(0.01)) -> Array:
    return np.where(x < 0, alpha * x, x)


@operator("PRelu")
def prelu(x: Array, slope: Array) -> Array:
    return np.where(x < 0, slope * x, x)


@operator("ThresholdedRelu")
def thresholded_relu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x > alpha, x, x.dtype.type(0))


@operator("Elu")
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


@operator("Celu")
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x)


@operator("Selu")
def selu(x: Array, *, alpha: float = f32(1.67326319), gamma: float = f32(1.05070102)) -> Array:
    return np.where(x < 0, gamma * alpha * np.expm1(np.minimum(x, 0)), gamma * x)


@operator("Sigmoid")
def sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x < 0, small, 1) / (1 + small)


@operator("Softplus")
def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@operator("Softsign")
def softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))


@operator("Mish")
def mish(x: Array) -> Array:
    return x * np.tanh(softplus(x))


@operator("Swish")
def swish(x: Array, *, alpha: float = 1.0) -> Array:
    return x * sigmoid(alpha * x)


@operator("HardSigmoid")
def hard_sigmoid(x: Array, *, alpha: float = f32(0.2), beta: float = 0.5) -> Array:
    # The function that everybody means has 1/6, which an attribute can hold only as a float32.
    slope = 1 / 6 if alpha == f32(1 / 6) else alpha
    return np.clip(slope * x + beta, 0, 1)


@operator("HardSwish")
def hard_swish(x: Array) -> Array:
    return x * np.clip(x / 6 + 0.5, 0, 1)


@operator("Erf")
def erf(x: Array) -> Array:
    return np.asarray(_erf(x)).astype(x.dtype)


@operator("Gelu")
def gelu(x: Array, *, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


@operator("IsInf")
def is_inf(x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    return np.isinf(x) & ((x < 0) & bool(detect_negative) | (x > 0) & bool(detect_positive))


_erf = np.frompyfunc(math.erf, 1, 1)
