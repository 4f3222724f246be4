"""Convolutions, for generated Keras source to copy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from netspec.backends.keras.snippets_initialise import with_fans
from netspec.backends.keras.snippets_windows import (
    pad_pairs,
    pad_spatial,
    per_axis,
    window_pads,
)


def group_conv(
    x: keras.KerasTensor, out: int, kernel: int, padding: Any = 0, groups: int = 1, **options: Any
) -> keras.KerasTensor:
    """Convolve with `padding` zeros around; groups of one channel have a layer made for them."""
    if padding == "same":
        options["padding"] = "same"
    elif padding:
        x = layers.ZeroPadding2D(padding)(x)
    if groups == 1 or groups != x.shape[-1]:
        return layers.Conv2D(out, kernel, groups=groups, **options)(x)
    options["depth_multiplier"] = out // groups
    options["depthwise_initializer"] = options.pop("kernel_initializer")
    return layers.DepthwiseConv2D(kernel, **options)(x)


def conv(
    x: keras.KerasTensor,
    out: int,
    kernel: int | Sequence[int],
    *,
    name: str,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = None,
) -> keras.KerasTensor:
    """Convolve; `padding` is explicit zeros (a number, pairs per axis) or `same`.

    Without initializers weights are uniform within 1 / sqrt(fan_in).
    """
    rank, channels = len(x.shape) - 2, x.shape[-1]
    kernel, stride, dilation = (per_axis(v, rank) for v in (kernel, stride, dilation))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = window_pads(x.shape[1:-1], extents, stride, padding)
    x = pad_spatial(x, pads, 0.0, f"{name}--pad")

    # Strides and dilation exclude each other in Keras: dilate everywhere, then keep every s-th.
    dilated_steps = max(stride) > 1 and max(dilation) > 1
    area = math.prod(kernel)
    fans = (channels // groups * area, out * area)
    options: dict[str, Any] = {
        "strides": 1 if dilated_steps else stride,
        "dilation_rate": dilation,
        "use_bias": use_bias,
        "bias_initializer": with_fans(bias_initializer, *fans),
        "name": f"{name}--stride-1" if dilated_steps else name,
    }
    weights = with_fans(kernel_initializer, *fans)
    # The native depthwise kernel is fast, but knows neither three axes nor unequal strides.
    if groups == channels > 1 and rank < 3 and len({*stride}) == 1:
        depthwise = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)[rank - 1]
        y = depthwise(
            kernel, depth_multiplier=out // groups, depthwise_initializer=weights, **options
        )(x)
    else:
        conv_layer = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
        y = conv_layer(out, kernel, groups=groups, kernel_initializer=weights, **options)(x)
    if not dilated_steps:
        return y
    steps = tuple(slice(None, None, s) for s in stride)
    return layers.Identity(name=name)(y[(slice(None), *steps)])


def conv_transpose(
    x: keras.KerasTensor,
    out: int,
    kernel: int | Sequence[int],
    *,
    name: str,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = None,
) -> keras.KerasTensor:
    """The gradient of a convolution with respect to its input, plus a bias.

    Along an axis there are (n - 1) * stride - padding + dilation * (kernel - 1) + output_padding
    + 1 outputs. Where groups or dilation ask for what Keras's layer cannot do, it is computed as a
    convolution over `x`, mirrored and with zeros between its elements, whose result is mirrored.
    """
    rank, channels = len(x.shape) - 2, x.shape[-1]
    kernel, stride, dilation = (per_axis(v, rank) for v in (kernel, stride, dilation))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    pairs = pad_pairs(padding, rank)
    ends = [after - o for (_, after), o in zip(pairs, per_axis(output_padding, rank), strict=True)]
    sizes = [
        (n - 1) * s + e - before - end
        for n, s, e, (before, _), end in zip(
            x.shape[1:-1], stride, extents, pairs, ends, strict=True
        )
    ]
    area = math.prod(kernel)
    fans = (out // groups * area, channels * area)
    options = {
        "use_bias": use_bias,
        "kernel_initializer": with_fans(kernel_initializer, *fans),
        "bias_initializer": with_fans(bias_initializer, *fans),
    }
    if groups == 1 and max(dilation) == 1:
        # Zeros after the input lengthen the output where the end reaches beyond it.
        zeros = [
            (0, max(0, math.ceil((before + m - (n - 1) * s - max(e, s)) / s)))
            for n, m, s, e, (before, _) in zip(
                x.shape[1:-1], sizes, stride, extents, pairs, strict=True
            )
        ]
        x = pad_spatial(x, zeros, 0.0, f"{name}--pad")
        transposed = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
        starts = [before for before, _ in pairs]
        whole = transposed[rank - 1](out, kernel, stride, name=f"{name}--whole", **options)(x)
    else:
        spatial = list(range(1, rank + 1))
        x = ops.flip(spread(x, stride), spatial)
        margins = [
            (max(0, e - 1 - end), max(0, e - 1 - before))
            for e, (before, _), end in zip(extents, pairs, ends, strict=True)
        ]
        starts = [max(0, before - e + 1) for e, (before, _) in zip(extents, pairs, strict=True)]
        x = pad_spatial(x, margins, 0.0, f"{name}--pad")
        conv_layer = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
        whole = conv_layer(
            out,
            kernel,
            dilation_rate=dilation,
            groups=groups,
            name=f"{name}--mirrored",
            **options,
        )(x)
        whole = ops.flip(whole, spatial)
    window = tuple(slice(a, a + m) for a, m in zip(starts, sizes, strict=True))
    return layers.Identity(name=name)(whole[(slice(None), *window)])


def spread(x: keras.KerasTensor, stride: Sequence[int]) -> keras.KerasTensor:
    """`x` with `stride - 1` zeros between its elements along every spatial axis."""
    for axis, s in enumerate(stride, start=1):
        if s > 1:
            shape = list(x.shape)
            width = [(0, 0)] * (len(shape) + 1)
            width[axis + 1] = (0, s - 1)
            shape[0], shape[axis] = -1, shape[axis] * s
            x = ops.reshape(ops.pad(ops.expand_dims(x, axis + 1), width), shape)
            x = x[(slice(None),) * axis + (slice(None, shape[axis] - s + 1),)]
    return x
