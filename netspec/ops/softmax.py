"""Probabilities over the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Op, case

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

CASES = (case((7,)), case((4, 5, 6)), case((3, 8)), case((2, 3, 4, 5)))


class Softmax(Op, kind="softmax"):
    """exp(x) divided by its sum over the channels."""

    cases = CASES

    def reference(self, x: Array) -> Array:
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        result: Array = powers / powers.sum(axis=1, keepdims=True)
        return result


class LogSoftmax(Op, kind="log_softmax"):
    """The logarithm of the softmax over the channels."""

    cases = CASES

    def reference(self, x: Array) -> Array:
        below = x - x.max(axis=1, keepdims=True)
        result: Array = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
        return result
