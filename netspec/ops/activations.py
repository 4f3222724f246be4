"""Elementwise functions; only `prelu` has a parameter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Init, Op, Param, attr, case, f32
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

ON_MAPS_AND_VECTORS = (case((4, 5, 6)), case((7,)))


class Relu(Op, kind="relu"):
    """max(x, 0)."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return np.maximum(x, 0.0)


class Relu6(Op, kind="relu6"):
    """min(max(x, 0), 6), the MobileNets' activation."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return np.clip(x, 0.0, 6.0)


class LeakyRelu(Op, kind="leaky_relu"):
    """x where it is positive, `slope` x elsewhere."""

    slope: float = attr(0.01, doc="factor of negative elements")

    cases = (*ON_MAPS_AND_VECTORS, case((4, 5, 6), slope=0.2), case((3, 8), slope=-0.3))

    def reference(self, x: Array) -> Array:
        return np.where(x > 0, x, f32(self.slope) * x)


class Prelu(Op, kind="prelu"):
    """x where it is positive, x times a trained slope per channel elsewhere."""

    weight_init: Init = attr({"constant": {"value": 0.25}}, doc="initialiser of the slopes")

    cases = (*ON_MAPS_AND_VECTORS, case((3, 8)), case((2, 3, 4, 5)))

    def params(self, x: TensorType) -> tuple[Param, ...]:
        return (Param("weight", (x.channels,), self.weight_init),)

    def reference(self, x: Array, weight: Array) -> Array:
        return np.where(x > 0, x, weight.reshape(-1, *(1,) * (x.ndim - 2)) * x)


class Elu(Op, kind="elu"):
    """x where it is positive, `alpha` (exp(x) - 1) elsewhere."""

    alpha: float = attr(1.0, doc="negative limit")

    cases = (*ON_MAPS_AND_VECTORS, case((4, 5, 6), alpha=0.3))

    def reference(self, x: Array) -> Array:
        return np.where(x > 0, x, f32(self.alpha) * np.expm1(np.minimum(x, 0.0)))


class Sigmoid(Op, kind="sigmoid"):
    """1 / (1 + exp(-x))."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return _sigmoid(x)


class HardSigmoid(Op, kind="hard_sigmoid"):
    """min(max(x + 3, 0), 6) / 6."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return np.clip(x + 3.0, 0.0, 6.0) / 6.0


class Silu(Op, kind="silu"):
    """x sigmoid(x), also called swish."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return x * _sigmoid(x)


class HardSwish(Op, kind="hard_swish"):
    """x hard_sigmoid(x)."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return x * np.clip(x + 3.0, 0.0, 6.0) / 6.0


class Gelu(Op, kind="gelu"):
    """x times the normal distribution's probability of less than x, exact (not by tanh)."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        # NumPy has no erf; `math`'s is exact and costs a tenth of a microsecond an element.
        scaled = (x / math.sqrt(2.0)).ravel().tolist()
        erf = np.fromiter(map(math.erf, scaled), np.float64, x.size).reshape(x.shape)
        return 0.5 * x * (1.0 + erf)


class Tanh(Op, kind="tanh"):
    """The hyperbolic tangent."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return np.tanh(x)


class Abs(Op, kind="abs"):
    """The absolute value."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return np.abs(x)


class Softplus(Op, kind="softplus"):
    """log(1 + exp(x)), exact for large x as well."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return np.logaddexp(0.0, x)


class Mish(Op, kind="mish"):
    """x tanh(softplus(x))."""

    cases = ON_MAPS_AND_VECTORS

    def reference(self, x: Array) -> Array:
        return x * np.tanh(np.logaddexp(0.0, x))


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
