"""Convolution in one, two or three dimensions, by the rank of its input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import (
    Array,
    Axes,
    Init,
    Op,
    OpError,
    Padding,
    Param,
    attr,
    case,
    padding_in_elements,
    require_groups,
    require_map,
    taps,
    window_outputs,
)
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class Conv(Op, kind="conv"):
    """Convolve (cross-correlate) with `out` kernels, as every framework's convolution does."""

    out: int = attr(min=1, doc="output channels")
    kernel: Axes = attr(min=1, doc="window size")
    stride: Axes = attr(1, min=1, doc="step of the window")
    padding: Padding = attr(0, min=0, doc="zeros around the input, or `same` (TensorFlow's)")
    dilation: Axes = attr(1, min=1, doc="distance between the window's elements")
    groups: int = attr(1, min=1, doc="channel groups convolved apart")
    bias: bool = attr(True, doc="whether to add a bias per output channel")
    weight_init: Init = attr({"fan_in_uniform": {}}, doc="initialiser of the weight")
    bias_init: Init = attr({"fan_in_uniform": {}}, doc="initialiser of the bias")

    cases = (
        case((3, 9, 8), out=4, kernel=3),
        case((3, 9, 8), out=4, kernel=3, stride=2, padding=1, bias=False),
        case((3, 10, 11), out=4, kernel=3, stride=2, padding="same"),
        case((3, 9, 8), out=4, kernel=[1, 7], padding=[0, 3]),
        case((3, 9, 8), out=4, kernel=2, padding=[[1, 0], [0, 2]]),
        case((4, 9, 8), out=8, kernel=3, groups=4, padding=1),
        case((4, 9, 8), out=6, kernel=3, groups=2, stride=2, padding=1),
        case((4, 9, 8), out=4, kernel=3, groups=4, stride=2, padding="same"),
        case((3, 9, 10), out=4, kernel=3, dilation=2, padding=2),
        case((3, 11, 10), out=4, kernel=3, dilation=2, stride=2, padding=1),
        case((3, 12), out=4, kernel=5, stride=2, padding=2),
        case((2, 5, 6, 7), out=3, kernel=[3, 1, 2], stride=[1, 2, 1], padding=[1, 0, 1]),
    )

    def pads(self, x: TensorType) -> tuple[tuple[int, int], ...]:
        """The padding in elements, (before, after) per spatial axis."""
        return padding_in_elements(self.padding, x.spatial, self.kernel, self.stride, self.dilation)

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "a convolution", hint="`linear` maps vectors")
        require_groups(x.channels, self.groups, "input channels")
        require_groups(self.out, self.groups, "output channels")
        sizes = tuple(
            window_outputs(*axis)
            for axis in zip(
                x.spatial, self.kernel, self.stride, self.pads(x), self.dilation, strict=True
            )
        )
        if min(sizes) < 1:
            raise OpError(
                f"the window ({'x'.join(map(str, self.kernel))}) is larger than its padded input "
                f"({'x'.join(map(str, x.spatial))})",
                attribute="kernel",
            )
        return TensorType((self.out, *sizes))

    def params(self, x: TensorType) -> tuple[Param, ...]:
        shape = (self.out, x.channels // self.groups, *self.kernel)
        weight = Param("weight", shape, self.weight_init)
        return (weight, Param("bias", (self.out,), self.bias_init)) if self.bias else (weight,)

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        value = TensorType(x.shape[1:])
        pads, sizes = self.pads(value), self.infer(value).spatial
        if any(map(any, pads)):
            x = np.pad(x, ((0, 0), (0, 0), *pads))
        kernels = weight.reshape(self.groups, self.out // self.groups, -1)
        result = np.empty((len(x), self.out, *sizes))
        for sample, target in zip(x, result, strict=True):  # the columns of one sample at a time
            places = target.reshape(self.groups, self.out // self.groups, -1)
            np.matmul(kernels, self._columns(sample, sizes), out=places)
        if bias is not None:
            result += bias.reshape(-1, *(1,) * len(sizes))
        return result

    def _columns(self, sample: Array, sizes: tuple[int, ...]) -> Array:
        """What each place sees, (groups, in / groups * kernel, places), of one padded sample."""
        channels = len(sample)
        if math.prod(self.kernel) == math.prod(self.stride) == 1:
            return sample.reshape(self.groups, channels // self.groups, -1)
        columns = np.empty((channels, *self.kernel, *sizes))
        for offset in np.ndindex(*self.kernel):
            axes = map(taps, offset, sizes, self.stride, self.dilation)
            columns[:, *offset] = sample[:, *axes]
        return columns.reshape(self.groups, -1, math.prod(sizes))

    def macs(self, x: TensorType) -> int:
        return self.terms(x) * self.infer(x).size

    def terms(self, x: TensorType) -> int:
        return x.channels // self.groups * math.prod(self.kernel)
