"""Resizing by repetition and by interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.layout import along_axes
from netspec.backends.onnx.registry import lowers
from netspec.ops.base import Shape
from netspec.ops.resize import Resize, Upsample


@lowers("resize")
def resize(b: Builder, op: Resize, x: str) -> str:
    return _resampled(b, x, op.size, op.mode)


@lowers("upsample")
def upsample(b: Builder, op: Upsample, x: str) -> str:
    return _resampled(b, x, op.infer(b.x).spatial, op.mode)


def _resampled(b: Builder, x: str, sizes: Shape, mode: str) -> str:
    """Resize where runtimes compute its coordinates without rounding, else exact equivalents.

    Runtimes divide by out/in in float32. That is exact for whole scales (nearest) and for powers
    of two (bilinear); otherwise a position may fall to the neighbour, or its weights be off by
    the rounding of a coordinate, which is far more than the rounding of a weight.
    """
    if sizes == b.x.spatial:
        return x
    scales = [out / size for size, out in zip(b.x.spatial, sizes, strict=True)]
    if mode == "nearest":
        if all(scale.is_integer() for scale in scales):
            return _resize(b, x, scales, "nearest", "asymmetric", nearest_mode="floor")
        return _gather(b, x, sizes)
    if all(np.frexp(scale)[0] == 0.5 for scale in scales):
        return _resize(b, x, scales, "linear", "half_pixel")
    return along_axes(b, x, [_weights(*axis) for axis in zip(b.x.spatial, sizes, strict=True)])


def _resize(
    b: Builder, x: str, scales: list[float], mode: str, coordinates: str, **attributes: str
) -> str:
    # Scales are float32 in ONNX whatever the type of the data.
    factors = b.scales([1.0, 1.0, *scales])
    return b.add(
        "Resize",
        x,
        "",
        factors,
        mode=mode,
        coordinate_transformation_mode=coordinates,
        **attributes,
    )


def _gather(b: Builder, x: str, sizes: Shape) -> str:
    for axis, (size, out) in enumerate(zip(b.x.spatial, sizes, strict=True), 2):
        if size != out:
            x = b.add("Gather", x, b.ints([i * size // out for i in range(out)]), axis=axis)
    return x


def _weights(size: int, out: int) -> np.ndarray[Any, Any]:
    """Linear interpolation between pixel centres, the border repeated: one row per output."""
    centres = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    below = np.minimum(np.floor(centres).astype(int), max(size - 2, 0))
    above = np.minimum(below + 1, size - 1)
    matrix = np.zeros((out, size))
    np.add.at(matrix, (np.arange(out), below), 1 - (centres - below))
    np.add.at(matrix, (np.arange(out), above), centres - below)
    return matrix
