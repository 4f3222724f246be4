"""Transposed convolution."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.layout import onnx_pads, pad_spatial
from netspec.backends.onnx.registry import lowers
from netspec.ops.conv_transpose import ConvTranspose


@lowers("conv_transpose")
def conv_transpose(b: Builder, op: ConvTranspose, x: str, weight: str, bias: str = "") -> str:
    """One ConvTranspose; ONNX has torch's weight layout and meaning of the padding.

    ONNX Runtime wants an output padding below the stride, where the spec allows one below the
    dilation: then zeros are put after the input, and what they add too much is cut off.
    """
    pads, extra = op.pads, op.output_padding
    if any(more >= stride for more, stride in zip(extra, op.stride, strict=True)):
        axes = list(zip(pads, extra, op.stride, strict=True))
        zeros = [max(0, -((after - more) // stride)) for (_, after), more, stride in axes]
        x = pad_spatial(b, x, tuple((0, count) for count in zeros), 0.0)
        pads = tuple(
            (before, after - more + count * stride)
            for ((before, after), more, stride), count in zip(axes, zeros, strict=True)
        )
        extra = (0,) * b.x.rank
    return b.add(
        "ConvTranspose",
        x,
        weight,
        bias,
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=onnx_pads(pads),
        output_padding=extra,
        dilations=op.dilation,
        group=op.groups,
    )
