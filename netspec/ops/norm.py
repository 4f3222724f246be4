"""Normalisation by stored statistics (batch_norm) and by the sample's own (layer_norm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Init, Op, Param, attr, case, f32
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class BatchNorm(Op, kind="batch_norm"):
    """Normalise each channel by its running mean and variance, then scale and shift it."""

    eps: float = attr(1e-5, min=0, doc="added to the variance")
    momentum: float = attr(
        0.1,
        min=0,
        max=1,
        doc="share of the new batch in the statistics",
        doubt=(0.5, "where it is the share that is kept, as in Keras, write 1 less it"),
    )
    scale: bool = attr(True, doc="whether to scale by a weight per channel")
    weight_init: Init = attr({"ones": {}}, doc="initialiser of the weight")
    bias_init: Init = attr({"zeros": {}}, doc="initialiser of the bias")

    cases = (
        case((4, 5, 6)),
        case((4, 5, 6), eps=1e-3),
        case((4, 5, 6), scale=False, eps=0.01, momentum=0.01),
        case((7,)),
        case((3, 8), eps=0.1),
        case((3, 2, 4, 5)),
    )

    def params(self, x: TensorType) -> tuple[Param, ...]:
        shape = (x.channels,)
        weight = Param("weight", shape, self.weight_init)
        return (
            *((weight,) if self.scale else ()),
            Param("bias", shape, self.bias_init),
            Param("running_mean", shape, {"zeros": {}}, trainable=False),
            Param("running_var", shape, {"ones": {}}, trainable=False),
            Param("num_batches_tracked", (), {"zeros": {}}, trainable=False, dtype="int64"),
        )

    def reference(
        self,
        x: Array,
        bias: Array,
        running_mean: Array,
        running_var: Array,
        weight: Array | None = None,
    ) -> Array:
        scale = 1 / np.sqrt(running_var + f32(self.eps))
        if weight is not None:
            scale = scale * weight
        result = x - _per_channel(running_mean, x)
        result *= _per_channel(scale, x)
        result += _per_channel(bias, x)
        return result


class LayerNorm(Op, kind="layer_norm"):
    """Normalise the channels at every position by their mean and (biased) variance."""

    eps: float = attr(1e-5, min=0, doc="added to the variance")
    weight_init: Init = attr({"ones": {}}, doc="initialiser of the weight")
    bias_init: Init = attr({"zeros": {}}, doc="initialiser of the bias")

    cases = (
        case((7,)),
        case((7,), eps=1e-3),
        case((6, 4, 5)),
        case((6, 4, 5), eps=0.1),
        case((5, 8), eps=1e-6),
        case((4, 2, 3, 5)),
    )

    def params(self, x: TensorType) -> tuple[Param, ...]:
        shape = (x.channels,)
        return (
            Param("weight", shape, self.weight_init),
            Param("bias", shape, self.bias_init),
        )

    def reference(self, x: Array, weight: Array, bias: Array) -> Array:
        centred = x - x.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        result: Array = centred / np.sqrt(variance + f32(self.eps))
        result *= _per_channel(weight, x)
        result += _per_channel(bias, x)
        return result


def _per_channel(values: Array, x: Array) -> Array:
    result: Array = values.reshape(-1, *(1,) * (x.ndim - 2))
    return result
