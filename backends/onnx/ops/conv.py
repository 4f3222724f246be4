"""Convolution."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.layout import onnx_pads
from netspec.backends.onnx.registry import lowers
from netspec.ops.conv import Conv


@lowers("conv")
def conv(b: Builder, op: Conv, x: str, weight: str, bias: str = "") -> str:
    """One Conv with explicit pads: TensorFlow's `same` depends on the size, which is known."""
    return b.add(
        "Conv",
        x,
        weight,
        bias,
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=onnx_pads(op.pads(b.x)),
        dilations=op.dilation,
        group=op.groups,
    )
