"""The fully connected layer."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.linear import Linear


@lowers("linear")
def linear(b: Builder, op: Linear, x: str, weight: str, bias: str = "") -> str:
    """Gemm on vectors; at every position of a map it is a convolution with a 1x1 kernel."""
    if not b.x.rank:
        return b.add("Gemm", x, weight, bias, transB=1)
    kernel = b.add("Unsqueeze", weight, b.ints(range(2, 2 + b.x.rank)))
    return b.add("Conv", x, kernel, bias, kernel_shape=(1,) * b.x.rank)
