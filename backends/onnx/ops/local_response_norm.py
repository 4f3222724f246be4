"""Normalisation across neighbouring channels."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.base import f32
from netspec.ops.local_response_norm import LocalResponseNorm


@lowers("local_response_norm")
def local_response_norm(b: Builder, op: LocalResponseNorm, x: str) -> str:
    """x / (k + alpha * mean of squares) ** beta, the mean over a window of channels.

    ONNX's LRN wants an odd size and ONNX Runtime's loses digits, so the mean is an AveragePool
    along the channels, with the positions of a map as its second axis. Zeros beyond the first and
    the last channel count; an even window has its odd channel before (torch's meaning).
    """
    places = b.x.size // b.x.channels
    squares = b.reshape(b.add("Mul", x, x), 1, b.x.channels, places)
    mean = b.add(
        "AveragePool",
        squares,
        kernel_shape=(op.size, 1),
        pads=(op.size // 2, 0, (op.size - 1) // 2, 0),
        count_include_pad=1,
    )
    mean = b.reshape(mean, *b.x.shape)
    scaled = b.add("Mul", mean, b.floats(f32(op.alpha)))
    base = b.add("Add", scaled, b.floats(f32(op.k)))
    return b.add("Div", x, b.add("Pow", base, b.floats(f32(op.beta))))
