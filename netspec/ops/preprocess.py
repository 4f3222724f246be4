"""Preprocessing that belongs to a model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Floats, Op, OpError, attr, case, f32, require_map
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


def per_channel(values: Floats | float, channels: int) -> tuple[float, ...]:
    """One float32 number for each channel."""
    return tuple(map(f32, values if isinstance(values, tuple) else (values,) * channels))


def require_per_channel(x: TensorType, **attributes: Floats | float) -> None:
    """Refuse lists that are not as long as `x` has channels.

    Raises:
        OpError: one is not.
    """
    for name, values in attributes.items():
        if isinstance(values, tuple) and len(values) != x.channels:
            raise OpError(
                f"`{name}` has {len(values)} numbers but the input has {x.channels} channels",
                attribute=name,
                hint="write one number for all channels, or one per channel",
            )


class Normalize(Op, kind="normalize"):
    """(x - mean) / std, per channel."""

    mean: Floats = attr(doc="subtracted: one number, or one per channel")
    std: Floats = attr(doc="divisor: one number, or one per channel")

    cases = (
        case((3, 4, 5), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        case((3, 4, 5), mean=0.5, std=[0.5, 0.25, 1]),
        case((1, 4, 5), mean=[0.1307], std=0.3081),
        case((4,), mean=[0, 1, 2, 3], std=2),
        case((2, 6), mean=0.3, std=0.7),
        case((2, 3, 4, 5), mean=[0.43, 0.39], std=[0.22, 0.21]),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_per_channel(x, mean=self.mean, std=self.std)
        if min(per_channel(self.std, x.channels)) <= 0:
            raise OpError("a standard deviation must be positive", attribute="std")
        return x

    def reference(self, x: Array) -> Array:
        shape = (-1, *(1,) * (x.ndim - 2))
        mean = np.reshape(per_channel(self.mean, x.shape[1]), shape)
        std = np.reshape(per_channel(self.std, x.shape[1]), shape)
        result: Array = (x - mean) / std
        return result


class Affine(Op, kind="affine"):
    """x * scale + shift, per channel, by fixed numbers: nothing is trained."""

    scale: Floats = attr(doc="factor: one number, or one per channel")
    shift: Floats = attr(0.0, doc="added after it: one number, or one per channel")

    cases = (
        case((3, 4, 5), scale=[0.458, 0.448, 0.45], shift=[-0.03, -0.088, -0.188]),
        case((3, 4, 5), scale=0.17),
        case((1, 4, 5), scale=[-2], shift=0.5),
        case((4,), scale=[0, 1, 2, 3], shift=2),
        case((2, 6), scale=0.3, shift=[0.7, -0.7]),
        case((2, 3, 4, 5), scale=[0.43, 0.39], shift=0.1),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_per_channel(x, scale=self.scale, shift=self.shift)
        return x

    def reference(self, x: Array) -> Array:
        shape = (-1, *(1,) * (x.ndim - 2))
        scale = np.reshape(per_channel(self.scale, x.shape[1]), shape)
        shift = np.reshape(per_channel(self.shift, x.shape[1]), shape)
        result: Array = x * scale + shift
        return result


class StandardizeImage(Op, kind="standardize_image"):
    """(x - mean) / max(deviation, 1 / sqrt(count)) over each image's elements.

    The deviation is the biased one; TensorFlow's `tf.image.per_image_standardization`.
    """

    cases = (case((3, 4, 5)), case((1, 6, 7)), case((3, 8)), case((2, 3, 4, 5)), case((1, 1, 1)))

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "`standardize_image`")
        return x

    def reference(self, x: Array) -> Array:
        axes = tuple(range(1, x.ndim))
        deviation = x.std(axis=axes, keepdims=True)
        least = 1 / math.sqrt(math.prod(x.shape[1:]))
        result: Array = (x - x.mean(axis=axes, keepdims=True)) / np.maximum(deviation, least)
        return result
