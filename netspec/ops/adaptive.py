"""Average pooling to a given size, whatever the input's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Axes, Op, attr, case, require_map
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


LONG = 1024  # terms of a mean, above which the order of its sum outweighs other rounding


class AdaptiveAvgPool(Op, kind="adaptive_avg_pool"):
    """Average to `size` places: place i is the mean of floor(i n / m) to ceil((i + 1) n / m)."""

    size: Axes = attr(min=1, doc="output size")

    cases = (
        case((3, 8, 12), size=4),
        case((3, 7, 9), size=1),
        case((3, 7, 10), size=3),
        case((3, 5, 4), size=[7, 6]),
        case((3, 1, 1), size=7),
        case((3, 11), size=4),
        case((2, 5, 6, 7), size=[2, 6, 3]),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "`adaptive_avg_pool`")
        return TensorType((x.channels, *self.size))

    def reference(self, x: Array) -> Array:
        for axis, places in enumerate(self.size, start=2):
            size, lead = x.shape[axis], (slice(None),) * axis
            means = [
                x[*lead, i * size // places : -(-(i + 1) * size // places)].mean(axis)
                for i in range(places)
            ]
            x = np.stack(means, axis)
        return x


class GlobalAvgPool(Op, kind="global_avg_pool"):
    """The mean of each channel; the spatial axes stay, with size 1."""

    cases = (case((4, 5, 6)), case((3, 1, 1)), case((3, 7)), case((2, 3, 4, 5)))

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "`global_avg_pool`", hint="a vector has no positions to average")
        return TensorType((x.channels, *(1,) * x.rank))

    def reference(self, x: Array) -> Array:
        result: Array = x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)
        return result
