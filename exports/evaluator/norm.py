"""Normalisation, and softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.exports.evaluator.registry import Array, f32, operator


@operator("BatchNormalization")
def batch_normalization(
    x: Array,
    scale: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = f32(1e-5),
    momentum: float = f32(0.9),
    training_mode: int = 0,
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, by channel."""
    if not training_mode:
        return _affine(x, mean, variance + epsilon, scale, bias)
    axes = (0, *range(2, x.ndim))
    own_mean, own_variance = x.mean(axes), x.var(axes)
    y = _affine(x, own_mean, own_variance + epsilon, scale, bias)
    running = (
        old * momentum + new * (1 - momentum)
        for old, new in ((mean, own_mean), (variance, own_variance))
    )
    return (y, *running)


def _affine(x: Array, mean: Array, square: Array, scale: Array, bias: Array) -> Array:
    slope = scale / np.sqrt(square)
    by_channel = (-1, *(1,) * (x.ndim - 2))
    return x * slope.reshape(by_channel) + (bias - mean * slope).reshape(by_channel)


@operator("InstanceNormalization")
def instance_normalization(
    x: Array, scale: Array, bias: Array, *, epsilon: float = f32(1e-5)
) -> Array:
    axes = tuple(range(2, x.ndim))
    by_channel = (-1, *(1,) * len(axes))
    return _standardised(x, axes, epsilon) * scale.reshape(by_channel) + bias.reshape(by_channel)


@operator("LayerNormalization")
def layer_normalization(
    x: Array,
    scale: Array,
    bias: Array | None = None,
    *,
    axis: int = -1,
    epsilon: float = f32(1e-5),
    stash_type: int = 1,
) -> Any:
    """Over the axes from `axis` on. `stash_type` only names the precision of the middle."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    y = _standardised(x, axes, epsilon) * scale
    deviation = np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return (y if bias is None else y + bias), x.mean(axes, keepdims=True), 1 / deviation


@operator("MeanVarianceNormalization")
def mean_variance_normalization(x: Array, *, axes: tuple[int, ...] = (0, 2, 3)) -> Array:
    return _standardised(x, tuple(axes), 0.0)


def _standardised(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    centred: Array = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axes, keepdims=True) + epsilon)


@operator("LRN")
def local_response_normalization(
    x: Array,
    *,
    size: int,
    alpha: float = f32(1e-4),
    beta: float = 0.75,
    bias: float = 1.0,
) -> Array:
    """x / (bias + alpha / size * sum of squares)^beta over `size` channels about each one."""
    before, after = (size - 1) // 2, size // 2
    margins = ((0, 0), (before, after), *((0, 0),) * (x.ndim - 2))
    sums = np.cumsum(np.pad(np.square(x), margins), axis=1)
    sums = np.pad(sums, ((0, 0), (1, 0), *((0, 0),) * (x.ndim - 2)))
    total = sums[:, size:] - sums[:, :-size]
    return np.asarray(x / (bias + alpha / size * total) ** beta)


@operator("Softmax")
def softmax(x: Array, *, axis: int = -1) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


@operator("LogSoftmax")
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    shifted = x - x.max(axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)))
