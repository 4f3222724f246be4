"""Reductions over axes, given as an attribute by older opsets and as an input by newer ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from netspec.exports.evaluator.registry import Array, operator

Reduction = Callable[[Array, tuple[int, ...] | None, bool], Array]

REDUCTIONS: dict[str, Reduction] = {
    "ReduceL1": lambda x, axes, keep: np.sum(np.abs(x), axes, keepdims=keep),
    "ReduceL2": lambda x, axes, keep: np.sqrt(np.sum(np.square(x), axes, keepdims=keep)),
    "ReduceMax": lambda x, axes, keep: np.max(x, axes, keepdims=keep, initial=_least(x)),
    "ReduceMean": lambda x, axes, keep: np.mean(x, axes, keepdims=keep),
    "ReduceMin": lambda x, axes, keep: np.min(x, axes, keepdims=keep, initial=_greatest(x)),
    "ReduceProd": lambda x, axes, keep: np.prod(x, axes, keepdims=keep),
    "ReduceSum": lambda x, axes, keep: np.sum(x, axes, keepdims=keep),
    "ReduceSumSquare": lambda x, axes, keep: np.sum(np.square(x), axes, keepdims=keep),
}


def _reducing(function: Reduction) -> Callable[..., Array]:
    def reduced(
        x: Array,
        over: Array | None = None,
        *,
        axes: Iterable[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Array:
        given = over if over is not None else axes if axes is not None else ()
        chosen = tuple(int(axis) for axis in given)
        if not chosen and noop_with_empty_axes:
            return function(x, (), False)
        return np.asarray(function(x, chosen or None, bool(keepdims))).astype(x.dtype)

    return reduced


def _least(x: Array) -> Any:
    if x.dtype.kind == "f":
        return x.dtype.type(-np.inf)
    return False if x.dtype.kind == "b" else np.iinfo(x.dtype).min


def _greatest(x: Array) -> Any:
    if x.dtype.kind == "f":
        return x.dtype.type(np.inf)
    return True if x.dtype.kind == "b" else np.iinfo(x.dtype).max


for _name, _function in REDUCTIONS.items():
    operator(_name)(_reducing(_function))
