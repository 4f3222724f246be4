"""Matrix products."""

from __future__ import annotations

import numpy as np

from netspec.exports.evaluator.registry import Array, operator, require_size


@operator("MatMul")
def matmul(a: Array, b: Array) -> Array:
    if a.ndim > 1 and b.ndim > 1:
        require_size((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))
    return np.matmul(a, b)


@operator("Gemm")
def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803  (the standard's names)
    transB: int = 0,  # noqa: N803
) -> Array:
    a, b = a.T if transA else a, b.T if transB else b
    require_size((len(a), b.shape[-1]))
    product = a @ b
    scale = product.dtype.type
    result: Array = product if alpha == 1.0 else scale(alpha) * product
    return result if c is None else result + (c if beta == 1.0 else scale(beta) * c)


@operator("Einsum")
def einsum(*operands: Array, equation: str) -> Array:
    return np.asarray(np.einsum(equation.replace(" ", ""), *operands, optimize=True))
