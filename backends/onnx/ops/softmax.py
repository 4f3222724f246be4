"""Softmax and its logarithm over the channels."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.softmax import LogSoftmax, Softmax


@lowers("softmax")
def softmax(b: Builder, op: Softmax, x: str) -> str:
    """Softmax over the channels."""
    return b.add("Softmax", x, axis=1)


@lowers("log_softmax")
def log_softmax(b: Builder, op: LogSoftmax, x: str) -> str:
    """The logarithm of softmax over the channels."""
    return b.add("LogSoftmax", x, axis=1)
