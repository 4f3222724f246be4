"""Functions of values, for generated Keras source to copy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops


def local_response_norm(
    x: keras.KerasTensor,
    size: int,
    *,
    name: str,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> keras.KerasTensor:
    """x / (k + alpha * mean of x**2 over `size` channels) ** beta; an even window leans back."""
    *spatial, channels = x.shape[1:]
    before, after = size // 2, (size - 1) // 2
    squares = ops.reshape(ops.square(x), (-1, math.prod(spatial), channels, 1))
    squares = ops.pad(squares, ((0, 0), (0, 0), (before, after), (0, 0)))
    means = layers.AveragePooling2D((1, size), 1, name=f"{name}--means")(squares)
    means = ops.reshape(means, (-1, *spatial, channels))
    return layers.Identity(name=name)(x / (k + alpha * means) ** beta)


def normalize(
    x: keras.KerasTensor, mean: float | Sequence[float], std: float | Sequence[float], *, name: str
) -> keras.KerasTensor:
    """(x - mean) / std for each channel."""
    shape = (1,) * (len(x.shape) - 1) + (x.shape[-1],)
    means, deviations = (np.broadcast_to(v, shape).astype(x.dtype) for v in (mean, std))
    return layers.Identity(name=name)((x - means) / deviations)


def affine(
    x: keras.KerasTensor,
    scale: float | Sequence[float],
    shift: float | Sequence[float],
    *,
    name: str,
) -> keras.KerasTensor:
    """x * scale + shift for each channel."""
    shape = (1,) * (len(x.shape) - 1) + (x.shape[-1],)
    scales, shifts = (np.broadcast_to(v, shape).astype(x.dtype) for v in (scale, shift))
    return layers.Identity(name=name)(x * scales + shifts)


def standardize_image(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Each image with mean 0 and deviation 1, the deviation at least 1 / sqrt(elements)."""
    axes = tuple(range(1, len(x.shape)))
    centred = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
    floor = np.asarray(1 / math.prod(x.shape[1:]), x.dtype)
    return layers.Identity(name=name)(centred / ops.sqrt(ops.maximum(variance, floor)))


def leaky_relu(x: keras.KerasTensor, slope: float, *, name: str) -> keras.KerasTensor:
    """x where it is positive, slope * x elsewhere; unlike Keras's, of any slope."""
    return layers.Identity(name=name)(ops.where(x > 0, x, slope * x))


def gelu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """x times the normal distribution function of x, through erf (which ONNX has, not erfc)."""
    return layers.Identity(name=name)(0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5))))
