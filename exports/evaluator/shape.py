"""Operators that make, move and select values without arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from netspec.exports.evaluator.registry import Array, NotEvaluatedError, operator, require_size


@operator("Constant")
def constant(
    *,
    value: Array | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> Array:
    if value is not None:
        return value
    if value_int is not None or value_ints is not None:
        return np.array(value_ints if value_int is None else value_int, np.int64)
    return np.array(value_floats if value_float is None else value_float, np.float32)


@operator("ConstantOfShape")
def constant_of_shape(shape: Array, *, value: Array | None = None) -> Array:
    require_size(shape)
    return np.full(shape, np.float32(0) if value is None else value[0])


@operator("Cast")
def cast(x: Array, *, to: np.dtype[Any], saturate: int = 1, round_mode: str | None = None) -> Array:
    """`saturate` and `round_mode` speak of float8, which is not evaluated."""
    if "U" in (x.dtype.kind, to.kind) or "O" in (x.dtype.kind, to.kind):
        raise NotEvaluatedError("Cast of text is not evaluated")
    return x.astype(to)


@operator("CastLike")
def cast_like(x: Array, like: Array, *, saturate: int = 1, round_mode: str | None = None) -> Array:
    return cast(x, to=like.dtype)


@operator("Range")
def arange(start: Array, limit: Array, delta: Array) -> Array:
    count = max(math.ceil((limit - start) / delta), 0)
    require_size([count])
    return start + np.arange(count, dtype=start.dtype) * delta


@operator("Shape")
def shape(x: Array, *, start: int = 0, end: int | None = None) -> Array:
    return np.array(x.shape[start:end], np.int64)


@operator("Size")
def size(x: Array) -> Array:
    return np.array(x.size, np.int64)


@operator("Reshape")
def reshape(x: Array, shape: Array, *, allowzero: int = 0) -> Array:
    sizes = [
        x.shape[axis] if wanted == 0 and not allowzero else int(wanted)
        for axis, wanted in enumerate(shape)
    ]
    return x.reshape(sizes)


@operator("Flatten")
def flatten(x: Array, *, axis: int = 1) -> Array:
    first = axis if axis >= 0 else axis + x.ndim
    return x.reshape(math.prod(x.shape[:first]), math.prod(x.shape[first:]))


@operator("Transpose")
def transpose(x: Array, *, perm: Sequence[int] | None = None) -> Array:
    return np.transpose(x, perm)


@operator("Squeeze")
def squeeze(x: Array, axes: Array | None = None) -> Array:
    return np.squeeze(x, None if axes is None else tuple(int(a) for a in axes))


@operator("Unsqueeze")
def unsqueeze(x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(int(a) for a in axes))


@operator("Concat")
def concat(*values: Array, axis: int) -> Array:
    return np.concatenate(values, axis)


@operator("Split")
def split(
    x: Array,
    sizes: Array | None = None,
    *,
    axis: int = 0,
    num_outputs: int | None = None,
    wanted: int = 1,
) -> tuple[Array, ...]:
    """By sizes, or into equal parts of which the last may be smaller."""
    if sizes is None:
        part = -(-x.shape[axis] // (num_outputs or wanted))
        places = np.arange(part, x.shape[axis], part)
    else:
        places = np.cumsum(sizes)[:-1]
    return tuple(np.split(x, places, axis))


@operator("Slice")
def cut(
    x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    """NumPy clamps as ONNX does, but for an end before the first element of a negative step."""
    index = [slice(None)] * x.ndim
    chosen = range(len(starts)) if axes is None else axes
    strides = [1] * len(starts) if steps is None else steps
    for axis, start, end, step in zip(chosen, starts, ends, strides, strict=True):
        stop = None if step < 0 and end < -x.shape[axis] else int(end)
        index[axis] = slice(int(start), stop, int(step))
    return x[tuple(index)]


@operator("Gather")
def gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    require_size((*indices.shape, *x.shape[:axis], *x.shape[axis:][1:]))
    return np.take(x, indices, axis)


@operator("GatherElements")
def gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Array:
    return np.take_along_axis(x, indices, axis)


@operator("GatherND")
def gather_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    rows = x.reshape(-1, *x.shape[batch_dims:])
    depth = indices.shape[-1]
    picks = indices.reshape(len(rows), -1, depth)
    found = [row[tuple(pick.T)] for row, pick in zip(rows, picks, strict=True)]
    return np.stack(found).reshape(*indices.shape[:-1], *x.shape[batch_dims + depth :])


@operator("ReverseSequence")
def reverse_sequence(x: Array, lengths: Array, *, time_axis: int = 0, batch_axis: int = 1) -> Array:
    result = x.copy()
    for sample, length in enumerate(lengths):
        kept = np.take(x, sample, batch_axis)
        axis = time_axis - (time_axis > batch_axis)
        order = np.arange(x.shape[time_axis])
        order[:length] = order[:length][::-1]
        np.moveaxis(result, batch_axis, 0)[sample] = np.take(kept, order, axis)
    return result


@operator("Expand")
def expand(x: Array, shape: Array) -> Array:
    sizes = [max(int(s), 1) for s in shape]
    require_size(sizes)  # before NumPy finds that no address reaches so far
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(s) for s in shape)))


@operator("Tile")
def tile(x: Array, repeats: Array) -> Array:
    require_size([x.size, *repeats])
    return np.tile(x, repeats)


@operator("Pad")
def pad(
    x: Array,
    pads: Array,
    value: Array | None = None,
    axes: Array | None = None,
    *,
    mode: str = "constant",
) -> Array:
    """Negative pads crop."""
    margins = [(0, 0)] * x.ndim
    chosen = range(x.ndim) if axes is None else [int(a) for a in axes]
    for axis, before, after in zip(chosen, *np.split(pads, 2), strict=True):
        margins[axis] = (int(before), int(after))
    crop = tuple(
        slice(max(-b, 0), n - max(-a, 0)) for (b, a), n in zip(margins, x.shape, strict=True)
    )
    grow = [(max(b, 0), max(a, 0)) for b, a in margins]
    require_size(n + b + a for n, (b, a) in zip(x[crop].shape, grow, strict=True))
    if mode == "constant":
        return np.pad(x[crop], grow, constant_values=x.dtype.type(0) if value is None else value)
    return np.pad(x[crop], grow, mode=mode)  # type: ignore[call-overload] # a mode by name


@operator("DepthToSpace")
def depth_to_space(x: Array, *, blocksize: int, mode: str = "DCR") -> Array:
    n, c, h, w = x.shape
    b = blocksize
    if mode == "CRD":
        parts = x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    else:
        parts = x.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // b**2, h * b, w * b)


@operator("SpaceToDepth")
def space_to_depth(x: Array, *, blocksize: int, mode: str = "DCR") -> Array:
    if mode != "DCR":
        raise NotEvaluatedError(f"SpaceToDepth with mode {mode} is not evaluated")
    n, c, h, w = x.shape
    b = blocksize
    parts = x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * b * b, h // b, w // b)
