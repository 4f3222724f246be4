"""Elementwise functions."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops import Op
from netspec.ops.activations import (
    Elu,
    Gelu,
    LeakyRelu,
    Mish,
    Prelu,
    Relu6,
    Silu,
)

SAME_IN_ONNX = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "abs": "Abs",
    "softplus": "Softplus",
}


def _lower_directly(kind: str, op_type: str) -> None:
    @lowers(kind)
    def lower(b: Builder, op: Op, x: str) -> str:
        return b.add(op_type, x)


for _kind, _op_type in SAME_IN_ONNX.items():
    _lower_directly(_kind, _op_type)


@lowers("relu6")
def relu6(b: Builder, op: Relu6, x: str) -> str:
    """min(max(x, 0), 6)."""
    return b.add("Clip", x, b.floats(0.0), b.floats(6.0))


@lowers("hard_sigmoid")
def hard_sigmoid(b: Builder, op: Op, x: str) -> str:
    """relu6(x + 3) / 6; ONNX's default slope is 0.2, ours 1/6.

    In float64 it is written out: an attribute of ONNX is float32, and 1/6 is ours, not the spec's.
    """
    if b.dtype == "float32":
        return b.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    clipped = b.add("Clip", b.add("Add", x, b.floats(3.0)), b.floats(0.0), b.floats(6.0))
    return b.add("Div", clipped, b.floats(6.0))


@lowers("hard_swish")
def hard_swish(b: Builder, op: Op, x: str) -> str:
    """x * relu6(x + 3) / 6; written out in float64, as hard_sigmoid is."""
    if b.dtype == "float32":
        return b.add("HardSwish", x)
    return b.add("Mul", x, hard_sigmoid(b, op, x))


@lowers("silu")
def silu(b: Builder, op: Silu, x: str) -> str:
    """x * sigmoid(x)."""
    return b.add("Mul", x, b.add("Sigmoid", x))


@lowers("gelu")
def gelu(b: Builder, op: Gelu, x: str) -> str:
    """x * (1 + erf(x / sqrt(2))) / 2, the exact one; ONNX has Gelu from opset 20 on."""
    erf = b.add("Erf", b.add("Div", x, b.floats(2**0.5)))
    twice = b.add("Mul", x, b.add("Add", erf, b.floats(1.0)))
    return b.add("Mul", twice, b.floats(0.5))


@lowers("mish")
def mish(b: Builder, op: Mish, x: str) -> str:
    """x * tanh(softplus(x)); ONNX has Mish from opset 18 on, few runtimes do."""
    return b.add("Mul", x, b.add("Tanh", b.add("Softplus", x)))


@lowers("leaky_relu")
def leaky_relu(b: Builder, op: LeakyRelu, x: str) -> str:
    """x where positive, slope * x elsewhere."""
    return b.add("LeakyRelu", x, alpha=op.slope)


@lowers("elu")
def elu(b: Builder, op: Elu, x: str) -> str:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return b.add("Elu", x, alpha=op.alpha)


@lowers("prelu")
def prelu(b: Builder, op: Prelu, x: str, weight: str) -> str:
    """x where positive, a learnt slope per channel times x elsewhere."""
    if b.x.rank:
        weight = b.add("Unsqueeze", weight, b.ints(range(1, b.x.rank + 1)))
    return b.add("PRelu", x, weight)
