"""Preprocessing that belongs to the model."""

from __future__ import annotations

import numpy as np

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.preprocess import Affine, Normalize, StandardizeImage, per_channel


@lowers("normalize")
def normalize(b: Builder, op: Normalize, x: str) -> str:
    """(x - mean) / std per channel."""
    shape = (-1, *(1,) * b.x.rank)
    mean, std = (np.reshape(per_channel(v, b.x.channels), shape) for v in (op.mean, op.std))
    return b.add("Div", b.add("Sub", x, b.floats(mean)), b.floats(std))


@lowers("affine")
def affine(b: Builder, op: Affine, x: str) -> str:
    """x * scale + shift per channel."""
    shape = (-1, *(1,) * b.x.rank)
    scale, shift = (np.reshape(per_channel(v, b.x.channels), shape) for v in (op.scale, op.shift))
    return b.add("Add", b.add("Mul", x, b.floats(scale)), b.floats(shift))


@lowers("standardize_image")
def standardize_image(b: Builder, op: StandardizeImage, x: str) -> str:
    """Each image less its mean, over the larger of its deviation and 1 / sqrt(count)."""
    axes = tuple(range(1, b.x.rank + 2))
    centred = b.add("Sub", x, b.mean(x, axes))
    variance = b.mean(b.add("Mul", centred, centred), axes)
    floor = b.floats(b.x.size**-0.5)
    return b.add("Div", centred, b.add("Max", b.add("Sqrt", variance), floor))
