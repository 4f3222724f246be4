"""Pooling by windows: the largest element, or the mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import (
    Array,
    Axes,
    Op,
    OpError,
    Padding,
    attr,
    case,
    padding_in_elements,
    require_map,
    taps,
)
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class Pool(Op):
    """What the pools share: windows with torch's rules for `ceil_mode`.

    Windows start every `stride` elements from the start of the padding. With `ceil_mode` the
    last one may reach past the padding, but one that would start in the end padding is dropped.
    """

    kernel: Axes = attr(min=1, doc="window size")
    stride: Axes = attr("=kernel", min=1, doc="step of the window; the kernel if not given")
    padding: Padding = attr(0, min=0, doc="border around the input, or `same` (TensorFlow's)")
    ceil_mode: bool = attr(False, doc="keep a last window that is only partly inside")

    @property
    def spread(self) -> Axes:
        """Distance between the window's elements per spatial axis."""
        return (1,) * len(self.kernel)

    def pads(self, x: TensorType) -> tuple[tuple[int, int], ...]:
        """The padding in elements, (before, after) per spatial axis."""
        return padding_in_elements(self.padding, x.spatial, self.kernel, self.stride, self.spread)

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, f"`{self.kind}`")
        axes = zip(x.spatial, self.kernel, self.stride, self.pads(x), self.spread, strict=True)
        return TensorType((x.channels, *(self._outputs(*axis) for axis in axes)))

    def _outputs(
        self, size: int, kernel: int, stride: int, pads: tuple[int, int], spread: int
    ) -> int:
        """Windows along one axis, each of which holds an element of the input."""
        before, after = pads
        extent = spread * (kernel - 1) + 1
        if max(pads) >= extent:
            raise OpError(
                f"a window of {extent} would lie wholly in the padding of {max(pads)}",
                attribute="padding",
                hint="make the padding smaller than the window",
            )
        room = size + before + after - extent
        outputs = (room + (stride - 1 if self.ceil_mode else 0)) // stride + 1
        if self.ceil_mode and (outputs - 1) * stride >= size + before:
            outputs -= 1
        if outputs < 1:
            raise OpError(
                f"the window ({extent}) is larger than its padded input ({size + before + after})",
                attribute="kernel",
            )
        # Before the input, a spread window can step over it; residues repeat after `spread` steps.
        starts = range(-before, min(0, (outputs - 1) * stride - before + 1), stride)[:spread]
        if spread > size and any(start % spread >= size for start in starts):
            raise OpError(
                f"with a dilation of {spread} a window steps over the input ({size})",
                attribute="dilation",
            )
        return outputs

    def _reduce(self, x: Array, border: float, combine: np.ufunc) -> Array:
        """Combine the elements of each window, one axis after the other."""
        value = TensorType(x.shape[1:])
        sizes, pads = self.infer(value).spatial, self.pads(value)
        axes = zip(sizes, self.kernel, self.stride, self.spread, pads, strict=True)
        for axis, (outputs, kernel, stride, spread, (before, _)) in enumerate(axes, start=2):
            reach = (outputs - 1) * stride + spread * (kernel - 1) + 1
            after = max(0, reach - before - x.shape[axis])
            if before or after:
                widths = [(0, 0)] * x.ndim
                widths[axis] = (before, after)
                x = np.pad(x, widths, constant_values=border)
            lead = (slice(None),) * axis
            result = x[*lead, taps(0, outputs, stride, spread)].copy()
            for offset in range(1, kernel):
                combine(result, x[*lead, taps(offset, outputs, stride, spread)], out=result)
            x = result
        return x


class MaxPool(Pool, kind="max_pool"):
    """The largest element of each window; the padding never counts."""

    dilation: Axes = attr(1, min=1, doc="distance between the window's elements")

    cases = (
        case((3, 8, 9), kernel=2),
        case((3, 9, 8), kernel=3, stride=2, padding=1),
        case((3, 9, 10), kernel=3, stride=2, ceil_mode=True),
        case((3, 2, 5), kernel=3, stride=2, ceil_mode=True),
        case((3, 7, 6), kernel=2, stride=2, padding=1, ceil_mode=True),
        case((3, 6, 7), kernel=1, stride=3, ceil_mode=True),
        case((3, 10, 11), kernel=3, stride=2, padding="same"),
        case((3, 9, 8), kernel=[3, 2], stride=[1, 2], padding=[[2, 0], [0, 1]]),
        case((3, 6, 7), kernel=[3, 4], stride=[2, 3], padding=[[0, 2], [3, 1]], ceil_mode=True),
        case((3, 9, 10), kernel=3, dilation=2, stride=2, padding=1),
        case((3, 9, 10), kernel=2, dilation=[3, 2], stride=1, ceil_mode=True),
        case((3, 11), kernel=3, stride=2, padding=1, ceil_mode=True),
        case((2, 5, 6, 7), kernel=[3, 2, 2], stride=[1, 2, 2], padding=[1, 0, 1]),
    )

    @property
    def spread(self) -> Axes:
        return self.dilation

    def reference(self, x: Array) -> Array:
        return self._reduce(x, -math.inf, np.maximum)


class AvgPool(Pool, kind="avg_pool"):
    """The mean of each window. With `padding: same` the padding is never counted."""

    count_include_pad: bool = attr(
        True, doc="whether padding counts in the mean; never with `same`, as in TensorFlow"
    )

    cases = (
        case((3, 8, 9), kernel=2),
        case((3, 9, 8), kernel=3, stride=2, padding=1),
        case((3, 9, 8), kernel=3, stride=2, padding=1, count_include_pad=False),
        case((3, 9, 10), kernel=3, stride=2, ceil_mode=True),
        case((3, 8, 10), kernel=3, stride=2, padding=1, ceil_mode=True),
        case((3, 8, 10), kernel=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        case((3, 2, 5), kernel=3, stride=2, ceil_mode=True),
        case((3, 7, 6), kernel=2, stride=2, padding=1, ceil_mode=True),
        case((3, 10, 11), kernel=3, stride=2, padding="same"),
        case((3, 9, 8), kernel=[3, 2], stride=[1, 2], padding=[[2, 0], [0, 1]]),
        case((3, 6, 7), kernel=[3, 4], stride=[2, 3], padding=[[0, 2], [3, 1]], ceil_mode=True),
        case((3, 9, 8), kernel=3, padding=[[2, 0], [0, 1]], count_include_pad=False),
        case((3, 11), kernel=4, stride=3, padding=1, ceil_mode=True),
        case((2, 5, 6, 7), kernel=[3, 2, 2], stride=[1, 2, 2], padding=[1, 0, 1]),
    )

    def reference(self, x: Array) -> Array:
        value = TensorType(x.shape[1:])
        result = self._reduce(x, 0.0, np.add)
        for axis, count in enumerate(self.counts(value), start=2):
            result /= np.reshape(count, (-1, *(1,) * (x.ndim - 1 - axis)))
        return result

    def counts(self, x: TensorType) -> tuple[tuple[int, ...], ...]:
        """Elements counted by each window per spatial axis; the divisor is their product.

        What lies past the padding (`ceil_mode`) never counts.
        """
        counted = self.count_include_pad and self.padding != "same"
        sizes = self.infer(x).spatial
        axes = zip(x.spatial, sizes, self.kernel, self.stride, self.pads(x), strict=True)
        return tuple(
            tuple(
                min(start + kernel, size + (after if counted else 0))
                - max(start, -before if counted else 0)
                for start in range(-before, -before + outputs * stride, stride)
            )
            for size, outputs, kernel, stride, (before, after) in axes
        )
