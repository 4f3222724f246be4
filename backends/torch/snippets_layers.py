"""Modules and functions that torch lacks, copied as text into generated source that needs them.

Each works on any batch and any spatial size, so that what uses it can be traced and exported with
both dynamic. Names are used by generated source; parameters keep torch's names.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from netspec.backends.torch.snippets_windows import (
    pad_axes,
    padding_pairs,
    per_axis,
    window_pads,
)


class PositionLinear(nn.Linear):
    """A linear map of the channels at every position of (batch, channels, *spatial)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """nn.BatchNorm1d, 2d or 3d that keeps its bias where `scale` is false and it has no weight."""

    def __init__(
        self, channels: int, eps: float = 1e-5, momentum: float = 0.1, *, scale: bool
    ) -> None:
        super().__init__(channels, eps, momentum, affine=scale)
        if not scale:
            self.bias = nn.Parameter(torch.zeros(channels))

    def _check_input_dim(self, x: torch.Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"expected (batch, channels, *spatial), got {x.dim()} axes")


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels at every position of (batch, channels, *spatial)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class MaxPool(nn.Module):
    """Max pooling over 1 to 3 axes with any padding: number, one per axis, pairs, or "same"."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: str | int | Sequence[Any] = 0,
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        window = (self.kernel_size, self.stride, self.dilation)
        x = pad_axes(x, window_pads(x, *window, self.padding, self.ceil_mode), -math.inf)
        rank = x.dim() - 2
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
        kernel, stride, dilation = (per_axis(value, rank) for value in window)
        pooled: torch.Tensor = pool(x, kernel, stride, 0, dilation)
        return pooled


class AvgPool(nn.Module):
    """Average pooling over 1 to 3 axes with any padding: number, one per axis, pairs, or "same".

    `count_include_pad` divides by the padding too, but never by that of "same", as TensorFlow, nor
    by what `ceil_mode` adds at the end.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: str | int | Sequence[Any] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_padding = count_include_pad and padding != "same"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        window = (self.kernel_size, self.stride, 1, self.padding)
        pads = window_pads(x, *window, self.ceil_mode)
        counted = x.new_ones(1, 1, *x.shape[2:])
        if self.count_padding:
            written = window_pads(x, *window)
            counted = pad_axes(counted, written, 1.0)
            overflow = [(0, all_[1] - own[1]) for all_, own in zip(pads, written, strict=True)]
            counted = pad_axes(counted, overflow)
        else:
            counted = pad_axes(counted, pads)
        rank = x.dim() - 2
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
        kernel, stride = per_axis(self.kernel_size, rank), per_axis(self.stride, rank)
        return pool(pad_axes(x, pads), kernel, stride) / pool(counted, kernel, stride)


class Resize(nn.Module):
    """Resize to fixed spatial sizes: nearest takes element floor(i * in / out) of each axis.

    bilinear has half-pixel centres. torch's own nearest computes the index in float32, and so may
    take the element before.
    """

    def __init__(self, size: int | Sequence[int], mode: str = "nearest") -> None:
        super().__init__()
        self.size = size
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sizes = per_axis(self.size, x.dim() - 2)
        if self.mode == "bilinear":
            return F.interpolate(x, sizes, mode="bilinear", align_corners=False)
        for axis, size in enumerate(sizes, 2):
            index = torch.arange(size, device=x.device) * x.shape[axis] // size
            x = x.index_select(axis, index)
        return x


class StochasticDepth(nn.Module):
    """Drop samples with probability p in training, scale the rest. https://arxiv.org/abs/1603.09382"""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and self.p > 0.0:
            noise = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(1.0 - self.p)
            x = x * (noise / (1.0 - self.p) if self.p < 1.0 else noise)
        return x

    def extra_repr(self) -> str:
        return f"p={self.p}"


class VectorShuffle(nn.Module):
    """nn.ChannelShuffle of a vector (batch, channels)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.shape[0], self.groups, -1).transpose(1, 2).flatten(1)


class Slice(nn.Module):
    """Channels `start` to `stop`, exclusive."""

    def __init__(self, stop: int, start: int = 0) -> None:
        super().__init__()
        self.start = start
        self.stop = stop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.start : self.stop]

    def extra_repr(self) -> str:
        return f"{self.start}:{self.stop}"


class Pad(nn.Module):
    """Pad the spatial axes: by a number, one per axis, or (before, after) pairs."""

    def __init__(self, padding: int | Sequence[Any], value: float = 0.0) -> None:
        super().__init__()
        self.padding = padding
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return pad_axes(x, padding_pairs(self.padding, x.dim() - 2), self.value)


class Abs(nn.Module):
    """The absolute value."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs()


class Shift(nn.Module):
    """Move each of kernel * kernel groups of channels by its own offset; zeros enter.

    Channels that are left over stay where they are. https://arxiv.org/abs/1711.08141
    """

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reach = self.kernel // 2
        height, width = x.shape[2:]
        group = x.shape[1] // self.kernel**2
        padded = F.pad(x, [reach] * 4)
        moved = [
            padded[:, i * group : (i + 1) * group, dy : dy + height, dx : dx + width]
            for i, (dy, dx) in enumerate(itertools.product(range(self.kernel), repeat=2))
        ]
        return torch.cat([*moved, x[:, group * self.kernel**2 :]], 1)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}"


class Normalize(nn.Module):
    """(x - mean) / std, with one number for all channels or one per channel."""

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        self.mean = mean
        self.std = std

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *[1] * (x.dim() - 2))
        # Made here and not kept as buffers, which `to_empty` would leave without their values.
        mean = torch.tensor(self.mean, dtype=torch.float32).to(x).view(shape)
        std = torch.tensor(self.std, dtype=torch.float32).to(x).view(shape)
        return (x - mean) / std


class Scale(nn.Module):
    """x times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor}"


class Affine(nn.Module):
    """x * scale + shift, with one number for all channels or one per channel."""

    def __init__(self, scale: float | Sequence[float], shift: float | Sequence[float]) -> None:
        super().__init__()
        self.scale = scale
        self.shift = shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *[1] * (x.dim() - 2))
        # Made here and not kept as buffers, which `to_empty` would leave without their values.
        scale = torch.tensor(self.scale, dtype=torch.float32).to(x).view(shape)
        shift = torch.tensor(self.shift, dtype=torch.float32).to(x).view(shape)
        return x * scale + shift


class StandardizeImage(nn.Module):
    """(x - mean) / max(deviation, 1 / sqrt(count)) over each whole sample.

    https://www.tensorflow.org/api_docs/python/tf/image/per_image_standardization
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axes = list(range(1, x.dim()))
        deviation = x.std(axes, correction=0, keepdim=True)
        # From a whole number, because an export rounds others to float32.
        least = torch.full_like(deviation, math.prod(x.shape[1:])).rsqrt()
        return (x - x.mean(axes, keepdim=True)) / torch.maximum(deviation, least)


def concat(*values: torch.Tensor) -> torch.Tensor:
    """Concatenate channels; a value with a batch of 1 is the same for every sample."""
    batch = max(value.shape[0] for value in values)
    return torch.cat([value.expand(batch, *value.shape[1:]) for value in values], 1)
