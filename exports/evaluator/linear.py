"""Matrix products."""

from __future__ import annotations

import numpy as np

from netspec.exports.evaluator.registry import Array, operator


@operator("MatMul")
def matmul(a: Array, b: Array) -> Array:
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
    product = (a.T if transA else a) @ (b.T if transB else b)
    scale = product.dtype.type
    result: Array = product if alpha == 1.0 else scale(alpha) * product
    return result if c is None else result + (c if beta == 1.0 else scale(beta) * c)


@operator("Einsum")
def einsum(*operands: Array, equation: str) -> Array:
    return np.asarray(np.einsum(equation.replace(" ", ""), *operands, optimize=True))
