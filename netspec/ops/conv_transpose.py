"""Transposed convolution: the gradient of a convolution, used to enlarge maps."""

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
    require_groups,
    require_map,
    taps,
)
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class ConvTranspose(Op, kind="conv_transpose"):
    """Spread each element over a window of `out` channels; strides enlarge the map."""

    out: int = attr(min=1, doc="output channels")
    kernel: Axes = attr(min=1, doc="window size")
    stride: Axes = attr(1, min=1, doc="distance between the windows in the output")
    padding: Padding = attr(0, min=0, doc="elements cut from the borders of the output")
    output_padding: Axes = attr(0, min=0, doc="elements added at the end of each axis")
    dilation: Axes = attr(1, min=1, doc="distance between the window's elements")
    groups: int = attr(1, min=1, doc="channel groups convolved apart")
    bias: bool = attr(True, doc="whether to add a bias per output channel")
    weight_init: Init = attr({"fan_in_uniform": {}}, doc="initialiser of the weight")
    bias_init: Init = attr({"fan_in_uniform": {}}, doc="initialiser of the bias")

    cases = (
        case((3, 5, 4), out=4, kernel=3),
        case((3, 5, 4), out=4, kernel=2, stride=2, bias=False),
        case((3, 5, 4), out=2, kernel=4, stride=2, padding=1),
        case((3, 5, 4), out=2, kernel=3, stride=2, padding=1, output_padding=1),
        case((3, 5, 4), out=2, kernel=3, stride=2, padding=[[1, 0], [0, 1]]),
        case((4, 5, 4), out=6, kernel=3, stride=2, groups=2, padding=1),
        case((4, 4, 5), out=4, kernel=[3, 2], stride=[1, 3], groups=4),
        case((3, 5, 4), out=2, kernel=3, dilation=2, padding=1),
        case((3, 5, 4), out=2, kernel=3, dilation=2, stride=3, output_padding=[2, 0]),
        case((3, 5, 4), out=2, kernel=2, stride=3),
        case((3, 7), out=4, kernel=5, stride=2, padding=2),
        case((2, 3, 4, 2), out=3, kernel=[3, 1, 2], stride=[1, 2, 2], padding=[1, 0, 0]),
    )

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """What is cut from the output, (before, after) per spatial axis.

        Raises:
            OpError: the padding is `same`, from which an output's size does not follow.
        """
        if isinstance(self.padding, str):
            raise OpError(
                "`same` does not say how large the output of a transposed convolution is",
                attribute="padding",
                hint="write the elements to cut from the borders",
            )
        return self.padding

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "a transposed convolution", hint="`linear` maps vectors")
        require_groups(x.channels, self.groups, "input channels")
        require_groups(self.out, self.groups, "output channels")
        steps = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(extra >= max(stride, dilation) for extra, stride, dilation in steps):
            raise OpError(
                "the output padding must be smaller than the stride or the dilation",
                attribute="output_padding",
            )
        sizes = tuple(
            full - sum(pads) for full, pads in zip(self._full(x.spatial), self.pads, strict=True)
        )
        if min(sizes) < 1:
            raise OpError("the padding cuts away the whole output", attribute="padding")
        return TensorType((self.out, *sizes))

    def _full(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        """The output's sizes before the padding is cut away."""
        axes = zip(
            spatial, self.kernel, self.stride, self.dilation, self.output_padding, strict=True
        )
        return tuple(
            (size - 1) * stride + dilation * (kernel - 1) + 1 + extra
            for size, kernel, stride, dilation, extra in axes
        )

    def params(self, x: TensorType) -> tuple[Param, ...]:
        shape = (x.channels, self.out // self.groups, *self.kernel)
        weight = Param("weight", shape, self.weight_init)
        return (weight, Param("bias", (self.out,), self.bias_init)) if self.bias else (weight,)

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        batch, channels, *spatial = x.shape
        places = x.reshape(batch, self.groups, channels // self.groups, math.prod(spatial))
        kernels = weight.reshape(self.groups, channels // self.groups, -1).swapaxes(1, 2)
        columns = (kernels @ places).reshape(batch, self.out, *self.kernel, *spatial)
        full = np.zeros((batch, self.out, *self._full(tuple(spatial))))
        for offset in np.ndindex(*self.kernel):
            axes = map(taps, offset, spatial, self.stride, self.dilation)
            full[:, :, *axes] += columns[:, :, *offset]
        ends = zip(self.pads, full.shape[2:], strict=True)
        result = full[:, :, *(slice(before, size - after) for (before, after), size in ends)]
        return result if bias is None else result + bias.reshape(-1, *(1,) * len(spatial))

    def macs(self, x: TensorType) -> int:
        return x.size * self.out // self.groups * math.prod(self.kernel)

    def terms(self, x: TensorType) -> int:
        # Of a window's elements only every (stride / gcd)-th falls on a given output.
        axes = zip(self.kernel, self.stride, self.dilation, strict=True)
        met = (-(-k * math.gcd(s, d) // s) for k, s, d in axes)
        return x.channels // self.groups * math.prod(met)
