"""Ops that move, cut, widen or resize, for generated Keras source to copy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from netspec.backends.keras.snippets_initialise import with_fans
from netspec.backends.keras.snippets_pool import along_axes
from netspec.backends.keras.snippets_windows import pad_pairs, pad_spatial, per_axis


def resize_nearest(
    x: keras.KerasTensor, size: int | Sequence[int], *, name: str
) -> keras.KerasTensor:
    """Element i of an axis becomes element floor(i * old / new) of the input."""
    sizes = x.shape[1:-1]
    for axis, (n, m) in enumerate(zip(sizes, per_axis(size, len(sizes)), strict=True), start=1):
        if n != m:
            x = ops.take(x, np.arange(m, dtype="int32") * n // m, axis=axis)
    return layers.Identity(name=name)(x)


def resize_bilinear(
    x: keras.KerasTensor, size: int | Sequence[int], *, name: str
) -> keras.KerasTensor:
    """Linear interpolation along each axis, with half-pixel centres."""
    sizes = x.shape[1:-1]
    matrices = []
    for n, m in zip(sizes, per_axis(size, len(sizes)), strict=True):
        places = np.maximum((np.arange(m) + 0.5) * n / m - 0.5, 0.0)
        low = np.minimum(places.astype(int), n - 1)
        high = np.minimum(low + 1, n - 1)
        share = (places - low)[:, None]
        matrices.append(np.eye(n)[low] * (1 - share) + np.eye(n)[high] * share)
    return layers.Identity(name=name)(along_axes(x, matrices))


def resize(
    x: keras.KerasTensor, size: int | Sequence[int], *, name: str, mode: str = "nearest"
) -> keras.KerasTensor:
    """Resize the spatial axes; `mode` is nearest or bilinear."""
    function = resize_nearest if mode == "nearest" else resize_bilinear
    return function(x, size, name=name)


def upsample_bilinear(
    x: keras.KerasTensor, scale: int | Sequence[int], *, name: str
) -> keras.KerasTensor:
    """The same to `scale` times as many places."""
    sizes = x.shape[1:-1]
    factors = per_axis(scale, len(sizes))
    return resize_bilinear(x, [n * k for n, k in zip(sizes, factors, strict=True)], name=name)


def upsample(
    x: keras.KerasTensor, scale: int | Sequence[int], *, name: str, mode: str = "nearest"
) -> keras.KerasTensor:
    """`scale` times as many places along the spatial axes; `mode` is nearest or bilinear."""
    sizes = x.shape[1:-1]
    factors = per_axis(scale, len(sizes))
    return resize(x, [n * k for n, k in zip(sizes, factors, strict=True)], name=name, mode=mode)


def unflatten(x: keras.KerasTensor, shape: int | Sequence[int], *, name: str) -> keras.KerasTensor:
    """The vector as a map of `shape` (channels, *spatial), its channels one after the other."""
    shape = per_axis(shape, 1)
    if max(shape[1:], default=1) == 1:
        return layers.Reshape((*shape[1:], shape[0]), name=name)(x)
    x = layers.Reshape(shape, name=f"{name}--channels-first")(x)
    return layers.Permute((*range(2, len(shape) + 1), 1), name=name)(x)


def channel_shuffle(x: keras.KerasTensor, groups: int, *, name: str) -> keras.KerasTensor:
    """Deal the channels of `groups` consecutive groups out in turn."""
    *spatial, channels = x.shape[1:]
    rank = len(spatial)
    x = layers.Reshape((*spatial, groups, channels // groups), name=f"{name}--groups")(x)
    order = (*range(1, rank + 1), rank + 2, rank + 1)
    x = layers.Permute(order, name=f"{name}--swap")(x)
    return layers.Reshape((*spatial, channels), name=name)(x)


def pad(x: keras.KerasTensor, padding: Any, value: float = 0.0, *, name: str) -> keras.KerasTensor:
    """`value` around the spatial axes."""
    pads = pad_pairs(padding, len(x.shape) - 2)
    if not any(itertools.chain(*pads)):
        return layers.Identity(name=name)(x)
    return pad_spatial(x, pads, value, name)


def parameter(
    x: keras.KerasTensor, shape: int | Sequence[int], *, name: str, initializer: Any = None
) -> keras.KerasTensor:
    """A trainable tensor of `shape` (channels, *spatial), repeated for every sample of `x`.

    It is the one row of an embedding table, with the channels last.
    """
    shape = per_axis(shape, 1)
    area = math.prod(shape[2:])
    fans = (shape[1] * area, shape[0] * area) if len(shape) > 1 else (1, 1)
    rows = ops.reshape(x, (-1, math.prod(x.shape[1:])))
    values = layers.Embedding(
        1,
        math.prod(shape),
        embeddings_initializer=with_fans(initializer, *fans),
        name=f"{name}--table",
    )(ops.zeros_like(rows[:, 0], dtype="int32"))
    return layers.Reshape((*shape[1:], shape[0]), name=name)(values)


def shift(x: keras.KerasTensor, kernel: int = 3, *, name: str) -> keras.KerasTensor:
    """Move group i of kernel * kernel channel groups to where a kernel's i-th element looks.

    Zeros enter at the borders; channels left over stay. https://arxiv.org/abs/1711.08141
    """
    height, width, channels = x.shape[1:]
    reach, share = kernel // 2, channels // kernel**2
    padded = pad_spatial(x, ((reach, reach), (reach, reach)), 0.0, f"{name}--pad")
    moved = []
    for i, (top, left) in enumerate(itertools.product(range(kernel), repeat=2)):
        group = slice(i * share, (i + 1) * share)
        if share:
            moved.append(padded[:, top : top + height, left : left + width, group])
    if share * kernel**2 < channels:
        moved.append(x[..., share * kernel**2 :])
    if len(moved) == 1:
        return layers.Identity(name=name)(moved[0])
    return layers.Concatenate(name=name)(moved)
