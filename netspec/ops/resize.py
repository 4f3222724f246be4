"""Resizing of maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Axes, Op, attr, case, require_map
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class Resize(Op, kind="resize"):
    """Resample a map at `size` places per axis."""

    size: Axes = attr(min=1, doc="output size")
    mode: str = attr(
        "nearest",
        choices=("nearest", "bilinear"),
        doc="nearest: element floor(i in / out); bilinear: half-pixel centres, no antialiasing",
    )

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
        if self.mode == "bilinear":
            require_map(x, "bilinear resizing", (2,), hint="`nearest` resizes other maps")
        require_map(x, "`resize`")
        return TensorType((x.channels, *self.size))

    def reference(self, x: Array) -> Array:
        resample = _linear if self.mode == "bilinear" else _nearest
        for axis, size in enumerate(self.size, start=2):
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
