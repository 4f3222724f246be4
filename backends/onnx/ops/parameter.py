"""A stored tensor as a value."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.parameter import Parameter


@lowers("parameter")
def parameter(b: Builder, op: Parameter, **weights: str) -> str:
    """A stored tensor as a value: it gets a batch axis of 1, which broadcasts."""
    return b.add("Unsqueeze", weights[""], b.ints([0]))
