"""The table of lowerings: which function writes which op as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from netspec.backends.lowering import NotLowered
from netspec.extensions import import_group

Lowering = Callable[..., str]
F = TypeVar("F", bound=Lowering)

_LOWERINGS: dict[str, Lowering] = {}


def lowers(kind: str) -> Callable[[F], F]:
    """Register a function as the lowering of an op to ONNX.

    It is called as `Op.reference` is, with names for arrays: `lowering(b, op, *inputs, **weights)`
    has the names of the input values, and by the op's own word for each of its float tensors
    (`weight`, `running_mean`) the name of the initializer. It adds nodes with `b.add` and returns
    the name of the result. Only initializers that a node reads are written.

    Raises:
        ValueError: the kind has a lowering already.
    """

    def register(function: F) -> F:
        if kind in _LOWERINGS:
            raise ValueError(f"op {kind!r} has two ONNX lowerings")
        _LOWERINGS[kind] = function
        return function

    return register


def lowering(kind: str) -> Lowering:
    """The lowering of an op.

    Raises:
        NotLowered: the op has none for ONNX.
    """
    if kind not in _LOWERINGS:
        import_group("netspec.ops.onnx")
    if kind not in _LOWERINGS:
        raise NotLowered(kind, "onnx")
    return _LOWERINGS[kind]
