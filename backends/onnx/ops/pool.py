"""Maxima and means over windows."""

from __future__ import annotations

import math

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.layout import Pads, onnx_pads, pad_spatial
from netspec.backends.onnx.registry import lowers
from netspec.ops.pool import AvgPool, MaxPool


@lowers("max_pool")
def max_pool(b: Builder, op: MaxPool, x: str) -> str:
    """MaxPool, whose padding never wins. `ceil_mode` becomes padding at the end.

    ONNX Runtime wants padding below the kernel even where a dilated window is larger.
    """
    pads = op.pads(b.x)
    pads = _extended(pads, _overflow(b, op.kernel, op.stride, pads, op.dilation))
    if any(max(pair) >= kernel for pair, kernel in zip(pads, op.kernel, strict=True)):
        x = pad_spatial(b, x, pads, -math.inf)
        pads = ((0, 0),) * b.x.rank
    return b.add(
        "MaxPool",
        x,
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=onnx_pads(pads),
        dilations=op.dilation,
    )


@lowers("avg_pool")
def avg_pool(b: Builder, op: AvgPool, x: str) -> str:
    """AveragePool; `ceil_mode` becomes padding at the end, which must not enter the divisor.

    Where the padding counts and the overflow does not, the padding is written as zeros first.
    """
    pads = op.pads(b.x)
    overflow = _overflow(b, op.kernel, op.stride, pads, (1,) * b.x.rank)
    counted = op.count_include_pad and op.padding != "same" and any(onnx_pads(pads))
    if counted and any(overflow):
        x = pad_spatial(b, x, pads, 0.0)
        pads, counted = ((0, 0),) * b.x.rank, False
    return b.add(
        "AveragePool",
        x,
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=onnx_pads(_extended(pads, overflow)),
        count_include_pad=int(counted),
    )


def _overflow(
    b: Builder,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pads: Pads,
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """How far the last window reaches beyond the padded input, per axis."""
    axes = zip(b.x.spatial, b.y.spatial, kernel, stride, pads, dilation, strict=True)
    return tuple(
        max(0, (out - 1) * s + d * (k - 1) + 1 - size - sum(pad))
        for size, out, k, s, pad, d in axes
    )


def _extended(pads: Pads, overflow: tuple[int, ...]) -> Pads:
    return tuple(
        (before, after + more) for (before, after), more in zip(pads, overflow, strict=True)
    )
