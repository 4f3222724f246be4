"""Windows and padding, for generated Keras source to copy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops


def per_axis(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for each of `rank` axes."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def pad_pairs(padding: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each of `rank` axes."""
    pairs = (padding,) * rank if isinstance(padding, int) else padding
    return tuple((p, p) if isinstance(p, int) else (p[0], p[1]) for p in pairs)


def window_pads(
    sizes: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
    padding: Any,
    ceil_mode: bool = False,
) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis under windows that cover `extents` elements.

    `same` gives ceil(size / stride) outputs, the odd element after. With `ceil_mode` the end is
    padded until a last, partial window fits, unless that would start beyond the input and the
    padding before it.
    """
    if padding == "same":
        totals = [
            max((math.ceil(n / s) - 1) * s + e - n, 0)
            for n, e, s in zip(sizes, extents, strides, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    pairs = pad_pairs(padding, len(sizes))
    if not ceil_mode:
        return pairs
    result = []
    for n, e, s, (before, after) in zip(sizes, extents, strides, pairs, strict=True):
        last = math.ceil((n + before + after - e) / s) * s
        if last >= n + before:
            last -= s
        result.append((before, max(after, last + e - n - before)))
    return tuple(result)


def pad_spatial(
    x: keras.KerasTensor, pads: Sequence[tuple[int, int]], value: float, name: str
) -> keras.KerasTensor:
    """`x` with `value` around its spatial axes."""
    if not any(itertools.chain(*pads)):
        return x
    if value == 0:
        pad_layers = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
        return pad_layers[len(pads) - 1](pads[0] if len(pads) == 1 else pads, name=name)(x)
    width = ((0, 0), *pads, (0, 0))
    return layers.Identity(name=name)(ops.pad(x, width, constant_values=value))
