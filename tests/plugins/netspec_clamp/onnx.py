"""The op as an ONNX node."""

from __future__ import annotations

from typing import Any

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.base import f32


@lowers("clamp")
def clamp(b: Builder, op: Any, x: str) -> str:
    return b.add("Clip", x, b.floats(f32(op.low)), b.floats(f32(op.high)))
