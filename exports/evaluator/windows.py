"""Convolutions and pools: what slides a window over the spatial axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.exports.evaluator.registry import Array, operator, require_size

Axes = Sequence[int]


@dataclass(frozen=True, slots=True)
class _Window:
    """A window's sizes along each spatial axis, with its padding and its positions worked out."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    places: tuple[int, ...]

    def padded(self, x: Array, value: Any) -> Array:
        """x as the windows see it: padded, and with room for windows that ceil_mode lets hang over.

        What no window reads at the end is cut off.
        """
        index, margins = [slice(None)] * 2, [(0, 0)] * 2
        for size, before, reach in zip(x.shape[2:], self.before, self._reach(), strict=True):
            index.append(slice(None, max(reach - before, 0)))
            margins.append((before, max(reach - before - size, 0)))
        kept = x[tuple(index)]
        require_size(n + b + a for n, (b, a) in zip(kept.shape, margins, strict=True))
        return np.pad(kept, margins, constant_values=value)

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Each element of the window with what it reads in every position."""
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilations, strict=True)]
            axes = zip(starts, self.places, self.strides, strict=True)
            yield tap, tuple(slice(at, at + (n - 1) * s + 1, s) for at, n, s in axes)

    def _reach(self) -> list[int]:
        axes = zip(self.places, self.strides, self.kernel, self.dilations, strict=True)
        return [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in axes]


def _window(
    sizes: Axes,
    kernel: Axes,
    strides: Axes | None,
    dilations: Axes | None,
    pads: Axes | None,
    auto_pad: str,
    ceil_mode: int = 0,
) -> _Window:
    rank = len(sizes)
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if auto_pad.startswith("SAME"):
        places = [-(-n // s) for n, s in zip(sizes, strides, strict=True)]
        total = [
            max((p - 1) * s + span - n, 0)
            for p, s, span, n in zip(places, strides, spans, sizes, strict=True)
        ]
        before = [t // 2 if auto_pad == "SAME_UPPER" else -(-t // 2) for t in total]
        after = [t - b for t, b in zip(total, before, strict=True)]
    else:
        pads = (pads if auto_pad == "NOTSET" else None) or (0,) * (2 * rank)
        before, after = list(pads[:rank]), list(pads[rank:])
        axes = zip(sizes, before, after, spans, strides, strict=True)
        places = [_places(n, b, a, span, s, bool(ceil_mode)) for n, b, a, span, s in axes]
    fields = (kernel, strides, dilations, before, after, places)
    return _Window(*(tuple(field) for field in fields))


def _places(size: int, before: int, after: int, span: int, stride: int, ceil: bool) -> int:
    """Positions along an axis. None may start beyond the input and the padding before it."""
    room = size + before + after - span
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count


def _require_kernel(shape: Axes | None, weight: Array) -> None:
    if shape is not None and tuple(shape) != weight.shape[2:]:
        raise ValueError(f"kernel_shape {list(shape)} is not that of weights {weight.shape}")


@operator("Conv")
def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Axes | None = None,
    group: int = 1,
    kernel_shape: Axes | None = None,
    pads: Axes | None = None,
    strides: Axes | None = None,
) -> Array:
    """A sum over the window's elements, each a matrix product of channels."""
    _require_kernel(kernel_shape, weight)
    window = _window(x.shape[2:], weight.shape[2:], strides, dilations, pads, auto_pad)
    x = window.padded(x, 0)
    out, inner = weight.shape[:2]
    kernels = weight.reshape(group, out // group, inner, *window.kernel)
    require_size((len(x), out, *window.places))
    result = np.zeros((len(x), group, out // group, math.prod(window.places)), x.dtype)
    for tap, slices in window.taps():
        matrix = np.ascontiguousarray(kernels[(..., *tap)])
        for sample, target in zip(x, result, strict=True):
            read = sample[(slice(None), *slices)].reshape(group, inner, -1)
            target += _product(matrix, read)
    return _with_bias(result.reshape(len(x), out, *window.places), bias)


def _product(matrix: Array, columns: Array) -> Array:
    """A matrix product per group; with one channel in a group NumPy's own is slow."""
    return matrix * columns if matrix.shape[2] == 1 else matrix @ columns


@operator("ConvTranspose")
def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Axes | None = None,
    group: int = 1,
    kernel_shape: Axes | None = None,
    output_padding: Axes | None = None,
    output_shape: Axes | None = None,
    pads: Axes | None = None,
    strides: Axes | None = None,
) -> Array:
    """Each input element spreads the window's elements over the output, which is then cropped."""
    _require_kernel(kernel_shape, weight)
    rank = x.ndim - 2
    none = (0,) * rank
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    output_padding, pads = output_padding or none, pads or none * 2
    spans = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    axes = zip(x.shape[2:], strides, spans, output_padding, strict=True)
    full = [(n - 1) * s + span + extra for n, s, span, extra in axes]
    before, size = (
        list(pads[:rank]),
        [f - b - a for f, b, a in zip(full, pads[:rank], pads[rank:], strict=True)],
    )
    if output_shape or auto_pad.startswith("SAME"):
        size = list(output_shape or [n * s for n, s in zip(x.shape[2:], strides, strict=True)])
        extra = [f - n for f, n in zip(full, size, strict=True)]
        before = [e - e // 2 if auto_pad == "SAME_LOWER" else e // 2 for e in extra]
        if output_shape and auto_pad == "NOTSET":
            before = [e - e // 2 for e in extra]
    inner, out = weight.shape[0] // group, weight.shape[1]
    kernels = weight.reshape(group, inner, out, *weight.shape[2:])
    columns = x.reshape(len(x), group, inner, -1)
    grown = [max(f, b + n) for f, b, n in zip(full, before, size, strict=True)]
    require_size((len(x), group * out, *grown))
    result = np.zeros((len(x), group * out, *grown), x.dtype)
    spread = _Window(
        tuple(weight.shape[2:]), tuple(strides), tuple(dilations), none, none, x.shape[2:]
    )
    for tap, slices in spread.taps():
        parts = kernels[(..., *tap)].swapaxes(1, 2) @ columns
        result[(slice(None), slice(None), *slices)] += parts.reshape(len(x), -1, *x.shape[2:])
    crop = tuple(slice(b, b + n) for b, n in zip(before, size, strict=True))
    return _with_bias(result[(slice(None), slice(None), *crop)], bias)


def _with_bias(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2))


@operator("MaxPool")
def max_pool(
    x: Array,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Axes | None = None,
    kernel_shape: Axes,
    pads: Axes | None = None,
    storage_order: int = 0,
    strides: Axes | None = None,
    wanted: int = 1,
) -> Any:
    """The largest value of each window, and where it stands in the flattened input."""
    sizes = x.shape[2:]
    window = _window(sizes, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded = window.padded(x, lowest)
    result = np.full((*x.shape[:2], *window.places), lowest, x.dtype)
    if wanted == 1:
        for _, slices in window.taps():
            np.maximum(result, padded[(..., *slices)], out=result)
        return result
    places = np.arange(math.prod(sizes))
    places = places.reshape(sizes[::-1]).T if storage_order else places.reshape(sizes)
    planes = math.prod(sizes) * np.arange(math.prod(x.shape[:2])).reshape(
        *x.shape[:2], *(1,) * len(sizes)
    )
    numbered = window.padded(places + planes, -1)
    indices = np.full(result.shape, -1, np.int64)
    for _, slices in window.taps():
        read, number = padded[(..., *slices)], numbered[(..., *slices)]
        better = (number >= 0) & ((read > result) | (indices < 0))
        result, indices = np.where(better, read, result), np.where(better, number, indices)
    return result, indices


@operator("AveragePool")
def average_pool(
    x: Array,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Axes | None = None,
    kernel_shape: Axes,
    pads: Axes | None = None,
    strides: Axes | None = None,
) -> Array:
    """The mean of what each window covers; what hangs over by ceil_mode is never counted."""
    sizes = x.shape[2:]
    window = _window(sizes, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    ones = np.ones((1, 1, *sizes), x.dtype)
    if count_include_pad:
        margins = zip(window.before, window.after, strict=True)
        ones = np.pad(ones, ((0, 0), (0, 0), *margins), constant_values=1)
        inside = _Window(
            window.kernel,
            window.strides,
            window.dilations,
            *((0,) * len(sizes),) * 2,
            window.places,
        )
    else:
        inside = window
    covered, padded = inside.padded(ones, 0), window.padded(x, 0)
    total = np.zeros((*x.shape[:2], *window.places), x.dtype)
    count = np.zeros((1, 1, *window.places), x.dtype)
    for _, slices in window.taps():
        total += padded[(..., *slices)]
        count += covered[(..., *slices)]
    return total / count


@operator("GlobalAveragePool")
def global_average_pool(x: Array) -> Array:
    return np.asarray(x.mean(tuple(range(2, x.ndim)), keepdims=True))


@operator("GlobalMaxPool")
def global_max_pool(x: Array) -> Array:
    return np.asarray(x.max(tuple(range(2, x.ndim)), keepdims=True))
