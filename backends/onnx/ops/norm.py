"""Batch and layer normalisation."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.norm import BatchNorm, LayerNorm


@lowers("batch_norm")
def batch_norm(
    b: Builder,
    op: BatchNorm,
    x: str,
    bias: str,
    running_mean: str,
    running_var: str,
    weight: str = "",
) -> str:
    """BatchNormalization with the stored statistics; never folded into a convolution."""
    weight = weight or b.floats([1.0] * b.x.channels)
    return b.add("BatchNormalization", x, weight, bias, running_mean, running_var, epsilon=op.eps)


@lowers("layer_norm")
def layer_norm(b: Builder, op: LayerNorm, x: str, weight: str, bias: str) -> str:
    """LayerNormalization works on last axes, so a map's channels go there and back."""
    rank = b.x.rank
    if not rank:
        return b.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=op.eps)
    last = b.add("Transpose", x, perm=(0, *range(2, rank + 2), 1))
    last = b.add("LayerNormalization", last, weight, bias, axis=-1, epsilon=op.eps)
    return b.add("Transpose", last, perm=(0, rank + 1, *range(1, rank + 1)))
