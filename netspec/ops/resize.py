"""Resizing of maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Axes, Op, Shape, attr, case, require_map
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


MODE = attr(
    "nearest",
    choices=("nearest", "bilinear"),
    doc="nearest: element floor(i in / out); bilinear: 2-D, half-pixel centres, no antialiasing",
)


class Resize(Op, kind="resize"):
    """Resample a map at `size` places per axis."""

    size: Axes = attr(min=1, doc="output size")
    mode: str = MODE

    cases = (
        case((3, 5, 4), size=[10, 8]),
        case((3, 5, 4), size=[7, 9]),
        case((3, 9, 10), size=4),
        case((3, 5), size=8),
        case((2, 3, 4, 5), size=[5, 4, 7]),
        case((3, 5, 4), size=[10, 8], mode="bilinear"),
        case((3, 5, 4), size=[7, 9], mode="bilinear"),
        case((3, 11, 10), size=[4, 13], mode="bilinear"),
        case((3, 1, 4), size=[3, 1], mode="bilinear"),
    )

    def infer(self, x: TensorType) -> TensorType:
        _require(x, "`resize`", self.mode)
        return TensorType((x.channels, *self.size))

    def reference(self, x: Array) -> Array:
        return _resampled(x, self.size, self.mode)


class Upsample(Op, kind="upsample"):
    """Resample a map at `scale` times as many places per axis."""

    # Up to 32, a float32 index i / scale never falls below the whole number that it should be.
    scale: Axes = attr(min=1, max=32, doc="output size over input size")
    mode: str = MODE

    cases = (
        case((3, 5, 4), scale=2),
        case((3, 5, 4), scale=[1, 3]),
        case((3, 5), scale=5),
        case((2, 3, 4, 5), scale=[2, 1, 3]),
        case((3, 5, 4), scale=2, mode="bilinear"),
        case((3, 7, 1), scale=[3, 4], mode="bilinear"),
    )

    def infer(self, x: TensorType) -> TensorType:
        _require(x, "`upsample`", self.mode)
        return TensorType((x.channels, *self._sizes(x.spatial)))

    def reference(self, x: Array) -> Array:
        return _resampled(x, self._sizes(x.shape[2:]), self.mode)

    def _sizes(self, spatial: Shape) -> Shape:
        return tuple(size * scale for size, scale in zip(spatial, self.scale, strict=True))


def _require(x: TensorType, what: str, mode: str) -> None:
    require_map(x, what)
    if mode == "bilinear":
        require_map(x, f"bilinear {what}", (2,), hint="`mode: nearest` takes other maps")


def _resampled(x: Array, sizes: Shape, mode: str) -> Array:
    resample = _linear if mode == "bilinear" else _nearest
    for axis, size in enumerate(sizes, start=2):
        x = resample(x, axis, size)
    return x


def _nearest(x: Array, axis: int, size: int) -> Array:
    result: Array = x.take(np.arange(size) * x.shape[axis] // size, axis)
    return result


def _linear(x: Array, axis: int, size: int) -> Array:
    """Interpolate along an axis; beyond the first and the last centre the edge goes on."""
    last = x.shape[axis] - 1
    centres = np.clip((np.arange(size) + 0.5) * x.shape[axis] / size - 0.5, 0.0, last)
    low = np.floor(centres).astype(np.int64)
    share = (centres - low).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    high = np.minimum(low + 1, last)
    result: Array = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
    return result
