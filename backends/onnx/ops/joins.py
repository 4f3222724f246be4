"""Joins of several values."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.joins import Add, Concat, Mul, Sub


@lowers("concat")
def concat(b: Builder, op: Concat, *inputs: str) -> str:
    """Concat along the channels; a value without a batch of its own is repeated for each sample."""
    single = [b.is_single(value) for value in b.node.inputs]
    if not all(single):
        like = inputs[single.index(False)]
        inputs = tuple(
            b.repeat(x, value.type, like) if alone else x
            for x, value, alone in zip(inputs, b.node.inputs, single, strict=True)
        )
    return b.add("Concat", *inputs, axis=1)


@lowers("add")
def add(b: Builder, op: Add, *inputs: str) -> str:
    """Sum from left to right; axes of 1 broadcast."""
    return b.chain("Add", inputs)


@lowers("mul")
def mul(b: Builder, op: Mul, *inputs: str) -> str:
    """Product from left to right; axes of 1 broadcast."""
    return b.chain("Mul", inputs)


@lowers("sub")
def sub(b: Builder, op: Sub, x: str, y: str) -> str:
    """Difference; axes of 1 broadcast."""
    return b.add("Sub", x, y)
