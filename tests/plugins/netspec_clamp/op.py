"""The op."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Op, OpError, attr, case, f32
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class Clamp(Op, kind="clamp"):
    """min(max(x, `low`), `high`)."""

    low: float = attr(-1.0, doc="least value")
    high: float = attr(1.0, doc="greatest value")

    cases = (case((4, 5, 6)), case((7,), low=0.1), case((3, 8), low=-0.5, high=0.3))

    def infer(self, *inputs: TensorType) -> TensorType:
        if self.low > self.high:
            raise OpError(f"`low` is {self.low}, more than `high`", attribute="low")
        return inputs[0]

    def reference(self, *inputs: Array, **params: Array) -> Array:
        return np.clip(inputs[0], f32(self.low), f32(self.high))
