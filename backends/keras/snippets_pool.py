"""Pools, for generated Keras source to copy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from netspec.backends.keras.snippets_windows import (
    pad_pairs,
    pad_spatial,
    per_axis,
    window_pads,
)


def pool(
    x: keras.KerasTensor,
    pools: tuple[type[layers.Layer], type[layers.Layer]],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    name: str,
) -> keras.KerasTensor:
    """Pool without padding; `pools` are the layers for one and two spatial axes.

    Three axes are pooled along the first, then along the others: TensorFlow has no pools of
    three axes in float64.
    """
    if len(kernel) < 3:
        return pools[len(kernel) - 1](kernel, stride, name=name)(x)
    depth, height, width, channels = x.shape[1:]
    x = ops.reshape(x, (-1, depth, height * width, channels))
    x = pools[1]((kernel[0], 1), (stride[0], 1), name=f"{name}--depth")(x)
    depth = x.shape[1]
    x = ops.reshape(x, (-1, height, width, channels))
    x = pools[1](kernel[1:], stride[1:], name=f"{name}--planes")(x)
    return layers.Identity(name=name)(ops.reshape(x, (-1, depth, *x.shape[1:])))


def max_pool(
    x: keras.KerasTensor,
    kernel: int | Sequence[int],
    *,
    name: str,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> keras.KerasTensor:
    """The largest element of each window; what pads is never the largest."""
    rank = len(x.shape) - 2
    stride = kernel if stride is None else stride
    kernel, stride, dilation = (per_axis(v, rank) for v in (kernel, stride, dilation))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = window_pads(x.shape[1:-1], extents, stride, padding, ceil_mode)
    x = pad_spatial(x, pads, -math.inf, f"{name}--pad")
    if max(dilation) == 1:
        return pool(x, (layers.MaxPooling1D, layers.MaxPooling2D), kernel, stride, name)
    counts = [(n - e) // s + 1 for n, e, s in zip(x.shape[1:-1], extents, stride, strict=True)]
    shifted = []
    for offsets in itertools.product(*map(range, kernel)):
        starts = [i * d for i, d in zip(offsets, dilation, strict=True)]
        window = tuple(
            slice(a, a + (m - 1) * s + 1, s) for a, m, s in zip(starts, counts, stride, strict=True)
        )
        shifted.append(x[(slice(None), *window)])
    if len(shifted) == 1:
        return layers.Identity(name=name)(shifted[0])
    return layers.Maximum(name=name)(shifted)


def ceil_pool(x: keras.KerasTensor, kernel: int, stride: int, *, name: str) -> keras.KerasTensor:
    """The largest element of each window, of which the last may reach beyond the end."""
    ends = [(0, (kernel - n) % stride) for n in x.shape[1:-1]]
    if ends != [(0, 0), (0, 0)]:
        x = ops.pad(x, ((0, 0), *ends, (0, 0)), constant_values=-math.inf)
    return layers.MaxPooling2D(kernel, stride, name=name)(x)


def avg_pool(
    x: keras.KerasTensor,
    kernel: int | Sequence[int],
    *,
    name: str,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> keras.KerasTensor:
    """The mean of each window.

    Padding counts as elements if `count_include_pad`, unless it comes from `same` or `ceil_mode`.
    """
    rank = len(x.shape) - 2
    kernel = per_axis(kernel, rank)
    stride = kernel if stride is None else per_axis(stride, rank)
    sizes = x.shape[1:-1]
    pads = window_pads(sizes, kernel, stride, padding, ceil_mode)
    if count_include_pad and padding != "same":
        counted = pad_pairs(padding, rank)
    else:
        counted = ((0, 0),) * rank
    scale = np.ones(())
    for n, k, s, (before, after), (low, high) in zip(
        sizes, kernel, stride, pads, counted, strict=True
    ):
        starts = np.arange((n + before + after - k) // s + 1) * s - before
        counts = np.minimum(starts + k, n + high) - np.maximum(starts, -low)
        scale = scale[..., None] * (k / counts)

    pools = (layers.AveragePooling1D, layers.AveragePooling2D)
    x = pad_spatial(x, pads, 0.0, f"{name}--pad")
    if (scale == 1).all():
        return pool(x, pools, kernel, stride, name)
    mean = pool(x, pools, kernel, stride, f"{name}--whole")
    return layers.Identity(name=name)(mean * scale[..., None].astype(x.dtype))


def along_axes(x: keras.KerasTensor, matrices: Sequence[np.ndarray]) -> keras.KerasTensor:
    """`x` with each spatial axis multiplied by its matrix, (new size, old size)."""
    for axis, matrix in enumerate(matrices, start=1):
        rows = ops.matmul(ops.moveaxis(x, axis, -1), matrix.T.astype(x.dtype))
        x = ops.moveaxis(rows, -1, axis)
    return x


def adaptive_avg_pool(
    x: keras.KerasTensor, size: int | Sequence[int], *, name: str
) -> keras.KerasTensor:
    """Means of `size` windows per axis, from floor(i * n / size) to ceil((i + 1) * n / size)."""
    sizes = x.shape[1:-1]
    size = per_axis(size, len(sizes))
    if len(sizes) < 3 and all(n % m == 0 for n, m in zip(sizes, size, strict=True)):
        kernel = [n // m for n, m in zip(sizes, size, strict=True)]
        average = (layers.AveragePooling1D, layers.AveragePooling2D)[len(sizes) - 1]
        return average(kernel, name=name)(x)
    matrices = []
    for n, m in zip(sizes, size, strict=True):
        places, windows = np.arange(n), np.arange(m)[:, None]
        inside = (places >= windows * n // m) & (places < -(-(windows + 1) * n // m))
        matrices.append(inside / inside.sum(axis=1, keepdims=True))
    return layers.Identity(name=name)(along_axes(x, matrices))
