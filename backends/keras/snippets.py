"""Functions that generated Keras source copies: what no stock layer computes by itself.

Every tensor is channels last, `(batch, *spatial, channels)`, with static spatial sizes; shapes
and windows in arguments are one number for all spatial axes or a sequence with one per axis.
Only stock layers and `keras.ops` are used, so that a saved model loads without this file, and
the value of an op belongs to the layer that bears its name. An auxiliary layer's name is that
name, two dashes and its role.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import initializers, layers, ops
from safetensors.numpy import load_file

# ---------------------------------------------------------------------- windows and padding


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


# ---------------------------------------------------------------------- linear maps


def with_fans(initializer: Any, fan_in: float, fan_out: float) -> initializers.Initializer:
    """The initializer, with a variance that depends on fans fixed for these.

    Keras derives fans from a tensor's own shape, which gives others for a depthwise kernel and
    none for a bias. None: uniform within 1 / sqrt(fan_in), for kernels and biases.
    """
    if initializer is None:
        initializer = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    initializer = initializers.get(initializer)
    if not isinstance(initializer, initializers.VarianceScaling):
        return initializer
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    deviation = math.sqrt(initializer.scale / fans[initializer.mode])
    if initializer.distribution == "uniform":
        return initializers.RandomUniform(-math.sqrt(3) * deviation, math.sqrt(3) * deviation)
    if initializer.distribution == "untruncated_normal":
        return initializers.RandomNormal(0.0, deviation)
    # A normal distribution cut at two deviations has .8796 of its deviation left.
    return initializers.TruncatedNormal(0.0, deviation / 0.87962566103423978)


def kaiming_normal(mode: str = "fan_in") -> initializers.Initializer:
    """Normal with variance 2 / fan, never truncated. https://arxiv.org/abs/1502.01852"""
    return initializers.VarianceScaling(2.0, mode, "untruncated_normal")


@keras.saving.register_keras_serializable("netspec")
class CutNormal(initializers.Initializer):  # type: ignore[misc] # Keras has no types
    """Normal around 0 with deviation `std`, never below `low` or above `high`.

    Keras's own truncated initialiser always cuts at two deviations.
    """

    def __init__(self, std: float, low: float, high: float) -> None:
        self.std = std
        self.low = low
        self.high = high

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        scale = math.sqrt(2) * self.std
        least, most = math.erf(self.low / scale), math.erf(self.high / scale)
        draws = keras.random.uniform(shape, least, most, "float32")
        values = ops.clip(scale * ops.erfinv(draws), self.low, self.high)
        return ops.cast(values, dtype or keras.config.floatx())

    def get_config(self) -> dict[str, float]:
        return {"std": self.std, "low": self.low, "high": self.high}


def xavier_normal() -> initializers.Initializer:
    """Normal with variance 2 / (fan_in + fan_out), never truncated. Glorot and Bengio, 2010."""
    return initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal")


def linear(
    x: keras.KerasTensor,
    out: int,
    *,
    name: str,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = None,
) -> keras.KerasTensor:
    """A dense layer over the channels, initialised uniformly within 1 / sqrt(channels)."""
    fans = (x.shape[-1], out)
    return layers.Dense(
        out,
        use_bias=use_bias,
        kernel_initializer=with_fans(kernel_initializer, *fans),
        bias_initializer=with_fans(bias_initializer, *fans),
        name=name,
    )(x)


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
    + 1 outputs. It is computed as a convolution with the mirrored kernel over `x` with zeros
    between its elements where groups or dilation ask for what Keras's layer cannot do.
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
        x = spread(x, stride)
        margins = [
            (max(0, e - 1 - before), max(0, e - 1 - end))
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


# ---------------------------------------------------------------------- pools and resizing


def pool(
    x: keras.KerasTensor,
    pools: tuple[type[layers.Layer], type[layers.Layer]],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    name: str,
) -> keras.KerasTensor:
    """Pool without padding; `pools` are the layers for one and two spatial axes.

    Three axes are pooled along the first, then along the others: TensorFlow has no pools of
    three axes in float64.
    """
    if len(kernel) < 3:
        return pools[len(kernel) - 1](kernel, stride, name=name)(x)
    depth, height, width, channels = x.shape[1:]
    x = ops.reshape(x, (-1, depth, height * width, channels))
    x = pools[1]((kernel[0], 1), (stride[0], 1), name=f"{name}--depth")(x)
    depth = x.shape[1]
    x = ops.reshape(x, (-1, height, width, channels))
    x = pools[1](kernel[1:], stride[1:], name=f"{name}--planes")(x)
    return layers.Identity(name=name)(ops.reshape(x, (-1, depth, *x.shape[1:])))


def max_pool(
    x: keras.KerasTensor,
    kernel: int | Sequence[int],
    *,
    name: str,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> keras.KerasTensor:
    """The largest element of each window; what pads is never the largest."""
    rank = len(x.shape) - 2
    stride = kernel if stride is None else stride
    kernel, stride, dilation = (per_axis(v, rank) for v in (kernel, stride, dilation))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = window_pads(x.shape[1:-1], extents, stride, padding, ceil_mode)
    x = pad_spatial(x, pads, -math.inf, f"{name}--pad")
    if max(dilation) == 1:
        return pool(x, (layers.MaxPooling1D, layers.MaxPooling2D), kernel, stride, name)
    counts = [(n - e) // s + 1 for n, e, s in zip(x.shape[1:-1], extents, stride, strict=True)]
    shifted = []
    for offsets in itertools.product(*map(range, kernel)):
        starts = [i * d for i, d in zip(offsets, dilation, strict=True)]
        window = tuple(
            slice(a, a + (m - 1) * s + 1, s) for a, m, s in zip(starts, counts, stride, strict=True)
        )
        shifted.append(x[(slice(None), *window)])
    if len(shifted) == 1:
        return layers.Identity(name=name)(shifted[0])
    return layers.Maximum(name=name)(shifted)


def avg_pool(
    x: keras.KerasTensor,
    kernel: int | Sequence[int],
    *,
    name: str,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> keras.KerasTensor:
    """The mean of each window.

    Padding counts as elements if `count_include_pad`, unless it comes from `same` or `ceil_mode`.
    """
    rank = len(x.shape) - 2
    kernel = per_axis(kernel, rank)
    stride = kernel if stride is None else per_axis(stride, rank)
    sizes = x.shape[1:-1]
    pads = window_pads(sizes, kernel, stride, padding, ceil_mode)
    if count_include_pad and padding != "same":
        counted = pad_pairs(padding, rank)
    else:
        counted = ((0, 0),) * rank
    scale = np.ones(())
    for n, k, s, (before, after), (low, high) in zip(
        sizes, kernel, stride, pads, counted, strict=True
    ):
        starts = np.arange((n + before + after - k) // s + 1) * s - before
        counts = np.minimum(starts + k, n + high) - np.maximum(starts, -low)
        scale = scale[..., None] * (k / counts)

    pools = (layers.AveragePooling1D, layers.AveragePooling2D)
    x = pad_spatial(x, pads, 0.0, f"{name}--pad")
    if (scale == 1).all():
        return pool(x, pools, kernel, stride, name)
    mean = pool(x, pools, kernel, stride, f"{name}--whole")
    return layers.Identity(name=name)(mean * scale[..., None].astype(x.dtype))


def along_axes(x: keras.KerasTensor, matrices: Sequence[np.ndarray]) -> keras.KerasTensor:
    """`x` with each spatial axis multiplied by its matrix, (new size, old size)."""
    for axis, matrix in enumerate(matrices, start=1):
        rows = ops.matmul(ops.moveaxis(x, axis, -1), matrix.T.astype(x.dtype))
        x = ops.moveaxis(rows, -1, axis)
    return x


def adaptive_avg_pool(
    x: keras.KerasTensor, size: int | Sequence[int], *, name: str
) -> keras.KerasTensor:
    """Means of `size` windows per axis, from floor(i * n / size) to ceil((i + 1) * n / size)."""
    sizes = x.shape[1:-1]
    size = per_axis(size, len(sizes))
    if all(n % m == 0 for n, m in zip(sizes, size, strict=True)):
        return avg_pool(x, [n // m for n, m in zip(sizes, size, strict=True)], name=name)
    matrices = []
    for n, m in zip(sizes, size, strict=True):
        places, windows = np.arange(n), np.arange(m)[:, None]
        inside = (places >= windows * n // m) & (places < -(-(windows + 1) * n // m))
        matrices.append(inside / inside.sum(axis=1, keepdims=True))
    return layers.Identity(name=name)(along_axes(x, matrices))


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


# ---------------------------------------------------------------------- channels and shapes


def flatten(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """One vector per sample, the channels' maps one after the other."""
    rank = len(x.shape) - 2
    if rank and max(x.shape[1:-1]) > 1:
        order = (rank + 1, *range(1, rank + 1))
        x = layers.Permute(order, name=f"{name}--channels-first")(x)
    return layers.Flatten(name=name)(x)


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


# ---------------------------------------------------------------------- functions of values


def local_response_norm(
    x: keras.KerasTensor,
    size: int,
    *,
    name: str,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> keras.KerasTensor:
    """x / (k + alpha * mean of x**2 over `size` channels) ** beta; an even window leans back."""
    *spatial, channels = x.shape[1:]
    before, after = size // 2, (size - 1) // 2
    squares = ops.reshape(ops.square(x), (-1, math.prod(spatial), channels, 1))
    squares = ops.pad(squares, ((0, 0), (0, 0), (before, after), (0, 0)))
    means = layers.AveragePooling2D((1, size), 1, name=f"{name}--means")(squares)
    means = ops.reshape(means, (-1, *spatial, channels))
    return layers.Identity(name=name)(x / (k + alpha * means) ** beta)


def normalize(
    x: keras.KerasTensor, mean: float | Sequence[float], std: float | Sequence[float], *, name: str
) -> keras.KerasTensor:
    """(x - mean) / std for each channel."""
    shape = (1,) * (len(x.shape) - 1) + (x.shape[-1],)
    means, deviations = (np.broadcast_to(v, shape).astype(x.dtype) for v in (mean, std))
    return layers.Identity(name=name)((x - means) / deviations)


def affine(
    x: keras.KerasTensor,
    scale: float | Sequence[float],
    shift: float | Sequence[float],
    *,
    name: str,
) -> keras.KerasTensor:
    """x * scale + shift for each channel."""
    shape = (1,) * (len(x.shape) - 1) + (x.shape[-1],)
    scales, shifts = (np.broadcast_to(v, shape).astype(x.dtype) for v in (scale, shift))
    return layers.Identity(name=name)(x * scales + shifts)


def standardize_image(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Each image with mean 0 and deviation 1, the deviation at least 1 / sqrt(elements)."""
    axes = tuple(range(1, len(x.shape)))
    centred = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
    floor = np.asarray(1 / math.prod(x.shape[1:]), x.dtype)
    return layers.Identity(name=name)(centred / ops.sqrt(ops.maximum(variance, floor)))


def leaky_relu(x: keras.KerasTensor, slope: float, *, name: str) -> keras.KerasTensor:
    """x where it is positive, slope * x elsewhere; unlike Keras's, of any slope."""
    return layers.Identity(name=name)(ops.where(x > 0, x, slope * x))


def gelu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """x times the normal distribution function of x, through erf (which ONNX has, not erfc)."""
    return layers.Identity(name=name)(0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5))))


# ---------------------------------------------------------------------- weights


def load_weights(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    Raises:
        ValueError: a key is missing or superfluous or has another shape; nothing was assigned.
    """
    assign_weights(model, load_file(path))


def assign_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Give `model` weights with torch's names and layouts.

    The key `a.b.weight` belongs to the layer `a-b`.

    Raises:
        ValueError: a key is missing or superfluous or has another shape; nothing was assigned.
    """
    tensors = {
        key.replace(".", "-"): (key, tensor)
        for key, tensor in weights.items()
        if not key.endswith(".num_batches_tracked")
    }
    problems, assignments = [], []
    for layer, variable, key, shape in stored_variables(model):
        stored, tensor = tensors.pop(key, (key, None))
        if tensor is None:
            problems.append(f"{key} is missing")
        elif tensor.shape != shape:
            problems.append(f"{stored} has shape {tensor.shape} instead of {shape}")
        else:
            assignments.append((variable, from_torch(layer, variable, tensor)))
    problems += [f"{key} belongs to no layer" for key, _ in tensors.values()]
    if problems:
        raise ValueError("these weights do not fit the model: " + "; ".join(problems))
    for variable, value in assignments:
        variable.assign(value)


def stored_variables(
    model: keras.Model,
) -> Iterator[tuple[layers.Layer, Any, str, tuple[int, ...]]]:
    """Each layer and variable that a weight file holds, its key with `-` for `.`, and its shape.

    A model within the model has layers whose names are as complete as its own.
    """
    parts = {
        "kernel": "-weight",
        "gamma": "-weight",
        "alpha": "-weight",
        "bias": "-bias",
        "beta": "-bias",
        "moving_mean": "-running_mean",
        "moving_variance": "-running_var",
        "embeddings": "",
    }
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from stored_variables(layer)
            continue
        path = layer.name.partition("--")[0]
        for variable in layer.weights:
            if variable.name in parts:
                shape = torch_shape(model, layer, variable)
                yield layer, variable, path + parts[variable.name], shape


def torch_shape(model: keras.Model, layer: layers.Layer, variable: Any) -> tuple[int, ...]:
    """The shape of a layer's variable in a weight file."""
    if variable.name == "embeddings":
        *spatial, channels = model.get_layer(layer.name.removesuffix("--table")).target_shape
        return (channels, *spatial)
    if variable.name != "kernel":
        return tuple(variable.shape[-1:])
    *window, inner, outer = variable.shape
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return (inner * outer, 1, *window)
    if layer.name.endswith("--mirrored"):
        return (inner * layer.groups, outer // layer.groups, *window)
    return (outer, inner, *window)


def from_torch(layer: layers.Layer, variable: Any, tensor: np.ndarray) -> np.ndarray:
    """A weight file's tensor in the layout of a layer's variable."""
    if variable.name == "embeddings":
        return np.moveaxis(tensor, 0, -1).reshape(variable.shape)
    if variable.name != "kernel":
        return tensor.reshape(variable.shape)
    *window, inner, outer = variable.shape
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return np.moveaxis(tensor.reshape(inner, outer, *window), (0, 1), (-2, -1))
    if layer.name.endswith("--mirrored"):
        split = tensor.reshape(layer.groups, inner, outer // layer.groups, *window)
        mirrored = np.flip(split, tuple(range(3, split.ndim)))
        return np.moveaxis(mirrored, (1, 0, 2), (-3, -2, -1)).reshape(variable.shape)
    return np.moveaxis(tensor, (1, 0), (-2, -1))
