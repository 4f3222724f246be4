"""Resize: along each axis a matrix `(out, in)`, or for nearest a choice of places.

Formulas as in the standard's description of the operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from netspec.exports.evaluator.registry import Array, NotEvaluatedError, operator, require_size

NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@operator("Resize")
def resize(
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Array:
    chosen = [a % x.ndim for a in (range(x.ndim) if axes is None else axes)]
    lengths = [x.shape[a] for a in chosen]
    outputs, factors = _targets(lengths, scales, sizes, keep_aspect_ratio_policy)
    others = [n for axis, n in enumerate(x.shape) if axis not in chosen]
    require_size([*others, *map(max, lengths, outputs)])
    kernel = _kernel(mode, cubic_coeff_a)
    result = x
    outside = np.zeros((1,) * x.ndim, np.bool_)
    for at, (axis, n, m, factor) in enumerate(zip(chosen, lengths, outputs, factors, strict=True)):
        span = (0.0, 1.0)
        if coordinate_transformation_mode == "tf_crop_and_resize":
            assert roi is not None
            span = (float(roi[at]), float(roi[at + len(chosen)]))
        places = _places(coordinate_transformation_mode, n, m, factor, span)
        if coordinate_transformation_mode == "tf_crop_and_resize":
            beyond = (places < 0) | (places > n - 1)
            outside = outside | beyond.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        if kernel is None:
            index = np.clip(NEAREST[nearest_mode](places), 0, n - 1).astype(np.int64)
            result = np.take(result, index, axis)
        elif (n, factor) != (m, 1.0) or coordinate_transformation_mode == "tf_crop_and_resize":
            require_size((m, n))
            stretch = min(factor, 1.0) if antialias else 1.0
            matrix = _matrix(kernel, places, n, stretch, bool(exclude_outside)).astype(x.dtype)
            result = np.moveaxis(np.tensordot(matrix, result, (1, axis)), 0, axis)
    return np.where(outside, x.dtype.type(extrapolation_value), result)


def _targets(
    lengths: Sequence[int], scales: Array | None, sizes: Array | None, policy: str
) -> tuple[list[int], list[float]]:
    """The output's length along each axis, and the scale that places are computed with."""
    if sizes is None or not sizes.size:
        assert scales is not None
        factors = [float(s) for s in scales]
        outputs = [math.floor(n * s) for n, s in zip(lengths, factors, strict=True)]
        pairs = zip(lengths, outputs, factors, strict=True)
        return outputs, [_unrounded(n, m, s) for n, m, s in pairs]
    factors = [int(m) / n for m, n in zip(sizes, lengths, strict=True)]
    if policy == "stretch":
        return [int(m) for m in sizes], factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [math.floor(n * factor + 0.5) for n in lengths], [factor] * len(lengths)


def _unrounded(n: int, m: int, scale: float) -> float:
    """m / n where the scale, which is stored as a float32, can mean it."""
    return m / n if abs(scale * n - m) <= m * 2.0**-23 else scale


def _places(mode: str, n: int, m: int, scale: float, span: tuple[float, float]) -> Array:
    """Where each of `m` outputs lies among the `n` inputs."""
    i = np.arange(m, dtype=np.float64)
    match mode:
        case "half_pixel":
            return (i + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (i + 0.5) / scale - 0.5 if m > 1 else 0.0 * i
        case "half_pixel_symmetric":
            offset = n / 2 * (1 - m / (scale * n))
            return offset + (i + 0.5) / scale - 0.5
        case "align_corners":
            return i * (n - 1) / (n * scale - 1) if m > 1 else i
        case "asymmetric":
            return i / scale
        case "tf_crop_and_resize":
            start, end = span
            if m == 1:
                return i + 0.5 * (start + end) * (n - 1)
            return start * (n - 1) + i * (end - start) * (n - 1) / (m - 1)
    raise NotEvaluatedError(f"Resize with {mode} is not evaluated")


def _kernel(mode: str, a: float) -> tuple[int, Callable[[Array], Array]] | None:
    """The reach of an interpolation and its weight by distance; None for nearest."""

    def cubic(d: Array) -> Array:
        d = np.abs(d)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    if mode == "nearest":
        return None
    return (2, cubic) if mode == "cubic" else (1, lambda d: np.clip(1 - np.abs(d), 0, 1))


def _matrix(
    kernel: tuple[int, Callable[[Array], Array]],
    places: Array,
    n: int,
    stretch: float,
    exclude_outside: bool,
) -> Array:
    """Interpolation weights; beyond the ends the end's value stands, unless it is left out."""
    reach, weight = kernel
    width = math.ceil(reach / stretch)
    offsets = np.arange(1 - width, width + 1)
    index = np.floor(places).astype(np.int64)[:, None] + offsets
    weights = weight((index - places[:, None]) * stretch)
    if exclude_outside:
        weights = np.where((index >= 0) & (index < n), weights, 0)
    weights = weights / weights.sum(1, keepdims=True)
    matrix = np.zeros((len(places), n))
    rows = np.broadcast_to(np.arange(len(places))[:, None], index.shape)
    np.add.at(matrix, (rows, np.clip(index, 0, n - 1)), weights)
    return matrix
