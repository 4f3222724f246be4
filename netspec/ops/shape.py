"""Ops that move, cut or add elements and compute nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import (
    Array,
    Op,
    OpError,
    Padding,
    Shape,
    attr,
    case,
    f32,
    require_groups,
    require_map,
)
from netspec.types import SPATIAL_NAMES, TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

MAX_AXES = 1 + max(SPATIAL_NAMES)


class Identity(Op, kind="identity"):
    """The value itself."""

    cases = (case((7,)), case((4, 5, 6)))

    def reference(self, x: Array) -> Array:
        return x


class Flatten(Op, kind="flatten"):
    """A map as one vector, channels first: (channels, height, width) in row-major order."""

    cases = (case((3, 4, 5)), case((7,)), case((5, 1, 1)), case((3, 8)), case((2, 3, 4, 5)))

    def infer(self, x: TensorType) -> TensorType:
        return TensorType((x.size,))

    def reference(self, x: Array) -> Array:
        return x.reshape(len(x), math.prod(x.shape[1:]))


class Unflatten(Op, kind="unflatten"):
    """A vector as a map, channels first; `[n, 1, 1]` lets a vector gate a map."""

    shape: Shape = attr(min=1, doc="channels and spatial sizes")

    cases = (
        case((24,), shape=[2, 3, 4]),
        case((5,), shape=[5, 1, 1]),
        case((12,), shape=[3, 4]),
        case((24,), shape=[2, 3, 1, 4]),
        case((6,), shape=[6]),
    )

    def infer(self, x: TensorType) -> TensorType:
        if x.rank:
            raise OpError(f"`unflatten` needs a vector, not {x}", hint="put `flatten` before it")
        require_shape(self.shape)
        result = TensorType(self.shape)
        if result.size != x.size:
            raise OpError(
                f"{x.size} elements do not make {result}, which has {result.size}",
                attribute="shape",
            )
        return result

    def reference(self, x: Array) -> Array:
        return x.reshape(len(x), *self.shape)


class Slice(Op, kind="slice"):
    """The channels from `start` up to, but not with, `stop`."""

    start: int = attr(0, min=0, doc="first channel")
    stop: int = attr(min=1, doc="the channel after the last")

    cases = (
        case((6, 4, 5), stop=2),
        case((6, 4, 5), start=2, stop=6),
        case((7,), start=3, stop=4),
        case((5, 8), start=1, stop=4),
        case((4, 2, 3, 5), start=1, stop=3),
    )

    def infer(self, x: TensorType) -> TensorType:
        if self.start < 0 or self.stop < 0:
            raise OpError(
                "channels are counted from the first, so negative numbers have no meaning",
                attribute="start" if self.start < 0 else "stop",
            )
        if self.stop > x.channels:
            raise OpError(
                f"the slice ends at {self.stop} but the input has {x.channels} channels",
                attribute="stop",
            )
        if self.start >= self.stop:
            raise OpError(f"the slice from {self.start} to {self.stop} is empty", attribute="start")
        return TensorType((self.stop - self.start, *x.spatial))

    def reference(self, x: Array) -> Array:
        return x[:, self.start : self.stop]


class ChannelShuffle(Op, kind="channel_shuffle"):
    """Interleave the channels of `groups` groups: the first of each, the second of each, ...

    ShuffleNet's, https://arxiv.org/abs/1707.01083
    """

    groups: int = attr(min=1, doc="groups of channels")

    cases = (
        case((6, 4, 5), groups=2),
        case((6, 4, 5), groups=3),
        case((4, 3, 3), groups=1),
        case((8,), groups=4),
        case((6, 7), groups=3),
        case((6, 2, 3, 4), groups=2),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_groups(x.channels, self.groups)
        return x

    def reference(self, x: Array) -> Array:
        grouped = x.reshape(len(x), self.groups, x.shape[1] // self.groups, *x.shape[2:])
        return grouped.swapaxes(1, 2).reshape(x.shape)


class Pad(Op, kind="pad"):
    """Surround a map with a constant."""

    padding: Padding = attr(min=0, doc="elements to add, per axis or [before, after] per axis")
    value: float = attr(0.0, doc="the constant")

    cases = (
        case((3, 4, 5), padding=1),
        case((3, 4, 5), padding=[0, 2], value=1.5),
        case((3, 4, 5), padding=[[0, 1], [2, 0]], value=-0.3),
        case((3, 6), padding=[[1, 3]]),
        case((2, 3, 4, 5), padding=[1, 0, 2]),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "`pad`")
        pairs = zip(x.spatial, self._pairs(), strict=True)
        return TensorType((x.channels, *(size + sum(pair) for size, pair in pairs)))

    def _pairs(self) -> tuple[tuple[int, int], ...]:
        if isinstance(self.padding, str):
            raise OpError(
                "`same` depends on a window, which `pad` does not have",
                attribute="padding",
                hint="write the elements to add",
            )
        return self.padding

    def reference(self, x: Array) -> Array:
        return np.pad(x, ((0, 0), (0, 0), *self._pairs()), constant_values=f32(self.value))


def require_shape(shape: Shape) -> None:
    """Refuse a shape that no value can have.

    Raises:
        OpError: there are no axes, too many, or one that is empty.
    """
    if not 1 <= len(shape) <= MAX_AXES:
        raise OpError(
            f"a value has 1 to {MAX_AXES} axes, not {len(shape)}",
            attribute="shape",
            hint="write the channels, then the spatial sizes",
        )
    if min(shape) < 1:
        raise OpError("every axis needs at least one element", attribute="shape")
