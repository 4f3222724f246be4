"""What several lowerings share: pads in ONNX's order, and products along spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netspec.backends.onnx.builder import Builder

Matrix = np.ndarray[Any, Any]
Pads = tuple[tuple[int, int], ...]  # (before, after) per spatial axis


def onnx_pads(pads: Pads) -> tuple[int, ...]:
    """(before, after) per axis in ONNX's order: all befores, then all afters."""
    return (*(before for before, _ in pads), *(after for _, after in pads))


def pad_spatial(b: Builder, x: str, pads: Pads, value: float) -> str:
    """Surround a map with a constant."""
    return b.add("Pad", x, b.ints(onnx_pads(((0, 0), (0, 0), *pads))), b.floats(value))


def along_axes(b: Builder, x: str, matrices: Sequence[Matrix]) -> str:
    """Multiply each spatial axis of a map by a matrix (out, in); identities are left out."""
    sizes = list(b.x.shape)
    for axis, matrix in reversed(list(enumerate(matrices, 1))):
        if np.array_equal(matrix, np.eye(*matrix.shape)):
            continue
        after = sizes[axis + 1 :]
        if not after:
            x = b.add("MatMul", x, b.floats(matrix.T))
        elif len(after) == 1:
            x = b.add("MatMul", b.floats(matrix), x)
        else:  # the axes after this one become one, and are parted again
            x = b.reshape(x, *sizes[: axis + 1], int(np.prod(after)))
            x = b.add("MatMul", b.floats(matrix), x)
            x = b.reshape(x, *sizes[:axis], len(matrix), *after)
        sizes[axis] = len(matrix)
    return x
