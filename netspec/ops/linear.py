"""The fully connected layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Init, Op, OpError, Param, attr, case
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class Linear(Op, kind="linear"):
    """Map a vector to `out` features: y = W x + b."""

    out: int = attr(min=1, doc="output features")
    bias: bool = attr(True, doc="whether to add a bias per output feature")
    per_position: bool = attr(False, doc="map the channels of a map at every position")
    weight_init: Init = attr({"fan_in_uniform": {}}, doc="initialiser of the weight")
    bias_init: Init = attr({"fan_in_uniform": {}}, doc="initialiser of the bias")

    cases = (
        case((7,), out=4),
        case((7,), out=4, bias=False),
        case((1,), out=1),
        case((5,), out=3, per_position=True),
        case((5, 6), out=3, per_position=True),
        case((5, 4, 6), out=3, per_position=True),
        case((3, 4, 2, 5), out=6, per_position=True, bias=False),
    )

    def infer(self, x: TensorType) -> TensorType:
        if x.rank and not self.per_position:
            raise OpError(
                f"`linear` maps a vector, but its input is a map ({x})",
                hint="put `flatten` or `global_avg_pool` and `flatten` before it, or write "
                "`per_position: true` to map the channels at every position",
            )
        return TensorType((self.out, *x.spatial))

    def params(self, x: TensorType) -> tuple[Param, ...]:
        weight = Param("weight", (self.out, x.channels), self.weight_init)
        return (weight, Param("bias", (self.out,), self.bias_init)) if self.bias else (weight,)

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        places = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        result = weight @ places
        if bias is not None:
            result += bias[:, None]
        return result.reshape(len(x), self.out, *x.shape[2:])

    def macs(self, x: TensorType) -> int:
        return self.terms(x) * self.infer(x).size

    def terms(self, x: TensorType) -> int:
        return x.channels
