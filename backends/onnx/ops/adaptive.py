"""Averages to a given size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.layout import along_axes
from netspec.backends.onnx.registry import lowers
from netspec.ops.adaptive import LONG, AdaptiveAvgPool, GlobalAvgPool


@lowers("global_avg_pool")
def global_avg_pool(b: Builder, op: GlobalAvgPool, x: str) -> str:
    return _global(b, x)


@lowers("adaptive_avg_pool")
def adaptive_avg_pool(b: Builder, op: AdaptiveAvgPool, x: str) -> str:
    """A plain average where the windows are equal, else a product with one matrix per axis."""
    if op.size == b.x.spatial:
        return x
    if math.prod(op.size) == 1:
        return _global(b, x)
    if all(size % out == 0 for size, out in zip(b.x.spatial, op.size, strict=True)):
        window = tuple(size // out for size, out in zip(b.x.spatial, op.size, strict=True))
        return b.add("AveragePool", x, kernel_shape=window, strides=window)
    matrices = [_averages(*axis) for axis in zip(b.x.spatial, op.size, strict=True)]
    return along_axes(b, x, matrices)


def _global(b: Builder, x: str) -> str:
    """The mean over all positions; both ops keep the axes, with size 1.

    ONNX Runtime adds the terms of a `GlobalAveragePool` one after the other, those of a
    `ReduceMean` in vectors, which over many is more accurate by far.
    """
    if math.prod(b.x.spatial) <= LONG:
        return b.add("GlobalAveragePool", x)
    return b.add("ReduceMean", x, b.ints(range(2, 2 + b.x.rank)), keepdims=1)


def _averages(size: int, out: int) -> np.ndarray[Any, Any]:
    """Row i averages the elements from floor(i * size / out) to ceil((i + 1) * size / out)."""
    matrix = np.zeros((out, size))
    for i in range(out):
        start, stop = i * size // out, -(-(i + 1) * size // out)
        matrix[i, start:stop] = 1.0 / (stop - start)
    return matrix
