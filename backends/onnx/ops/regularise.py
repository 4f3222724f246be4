"""What only training does."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.registry import lowers
from netspec.ops.regularise import Dropout, StochasticDepth
from netspec.ops.shape import Identity


@lowers("identity")
@lowers("dropout")
@lowers("stochastic_depth")
def identity(b: Builder, op: Identity | Dropout | StochasticDepth, x: str) -> str:
    """The value itself: at inference nothing is dropped, so no node is written."""
    return x
