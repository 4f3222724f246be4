"""Padding, and convolutions that pad or crop as torch does not, for generated source to copy.

Each works on any batch and any spatial size, so that what uses it can be traced and exported with
both dynamic. Names are used by generated source; parameters keep torch's names.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


def per_axis(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number per spatial axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def padding_pairs(padding: int | Sequence[Any], rank: int) -> list[tuple[int, int]]:
    """(before, after) per spatial axis, of one number, one per axis, or pairs."""
    axes = [padding] * rank if isinstance(padding, int) else list(padding)
    return [(axis, axis) if isinstance(axis, int) else (axis[0], axis[1]) for axis in axes]


def pad_axes(x: torch.Tensor, pairs: Sequence[tuple[int, int]], value: float = 0.0) -> torch.Tensor:
    """Pad the spatial axes of (batch, channels, *spatial); a negative number crops."""
    return F.pad(x, [side for pair in reversed(pairs) for side in pair], value=value)


def same_pads(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's SAME along one axis: ceil(size / stride) outputs, the odd element after."""
    total = max(dilation * (kernel - 1) + 1 - stride + -size % stride, 0)
    return total // 2, total - total // 2


def window_pads(
    x: torch.Tensor,
    kernel: int | Sequence[int],
    stride: int | Sequence[int],
    dilation: int | Sequence[int],
    padding: str | int | Sequence[Any],
    ceil_mode: bool = False,
) -> list[tuple[int, int]]:
    """Padding (before, after) per spatial axis with which unpadded windows give all outputs.

    `ceil_mode` pads the end until the last window fits, but drops a window that would start there.
    """
    rank = x.dim() - 2
    sizes = (per_axis(kernel, rank), per_axis(stride, rank), per_axis(dilation, rank))
    axes = list(zip(x.shape[2:], *sizes, strict=True))
    if isinstance(padding, str):
        return [same_pads(*axis) for axis in axes]
    pairs = padding_pairs(padding, rank)
    if not ceil_mode:
        return pairs
    grown = []
    for (size, k, s, d), (before, after) in zip(axes, pairs, strict=True):
        extent = d * (k - 1) + 1
        # Rounded up without a negative number, whose quotient ONNX rounds towards zero.
        last = (size + before - max(extent - after, s) + s - 1) // s
        grown.append((before, last * s + extent - size - before))
    return grown


def split_padding(padding: str | int | Sequence[Any], rank: int) -> tuple[Any, Any]:
    """Padding that torch's convolutions take (the same on both sides), and padding they do not."""
    if isinstance(padding, str):
        return (0,) * rank, padding
    pairs = padding_pairs(padding, rank)
    if all(before == after for before, after in pairs):
        return tuple(before for before, _ in pairs), None
    return (0,) * rank, pairs


class PaddedConv1d(nn.Conv1d):
    """nn.Conv1d with any padding: a number, one per axis, (before, after) pairs, or "same"."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        *,
        padding: str | int | Sequence[Any],
        **options: Any,
    ) -> None:
        native, self.around = split_padding(padding, 1)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=native, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.around is not None:
            pads = window_pads(x, self.kernel_size, self.stride, self.dilation, self.around)
            x = pad_axes(x, pads)
        return super().forward(x)


class PaddedConv2d(nn.Conv2d):
    """nn.Conv2d with any padding: a number, one per axis, (before, after) pairs, or "same"."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        *,
        padding: str | int | Sequence[Any],
        **options: Any,
    ) -> None:
        native, self.around = split_padding(padding, 2)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=native, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.around is not None:
            pads = window_pads(x, self.kernel_size, self.stride, self.dilation, self.around)
            x = pad_axes(x, pads)
        return super().forward(x)


class PaddedConv3d(nn.Conv3d):
    """nn.Conv3d with any padding: a number, one per axis, (before, after) pairs, or "same"."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        *,
        padding: str | int | Sequence[Any],
        **options: Any,
    ) -> None:
        native, self.around = split_padding(padding, 3)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=native, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.around is not None:
            pads = window_pads(x, self.kernel_size, self.stride, self.dilation, self.around)
            x = pad_axes(x, pads)
        return super().forward(x)


class SameConv1d(nn.Conv1d):
    """nn.Conv1d with TensorFlow's padding: ceil(size / stride) outputs, the odd zero after."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sides: list[int] = []  # last axis first
        for axis, (kernel, stride) in enumerate(zip(self.kernel_size, self.stride, strict=True), 2):
            total = max(kernel - stride + -x.shape[axis] % stride, 0)
            sides = [total // 2, total - total // 2, *sides]
        return super().forward(F.pad(x, sides))


class SameConv2d(nn.Conv2d):
    """nn.Conv2d with TensorFlow's padding: ceil(size / stride) outputs, the odd zero after."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sides: list[int] = []  # last axis first
        for axis, (kernel, stride) in enumerate(zip(self.kernel_size, self.stride, strict=True), 2):
            total = max(kernel - stride + -x.shape[axis] % stride, 0)
            sides = [total // 2, total - total // 2, *sides]
        return super().forward(F.pad(x, sides))


class SameConv3d(nn.Conv3d):
    """nn.Conv3d with TensorFlow's padding: ceil(size / stride) outputs, the odd zero after."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sides: list[int] = []  # last axis first
        for axis, (kernel, stride) in enumerate(zip(self.kernel_size, self.stride, strict=True), 2):
            total = max(kernel - stride + -x.shape[axis] % stride, 0)
            sides = [total // 2, total - total // 2, *sides]
        return super().forward(F.pad(x, sides))


class CroppedConvTranspose1d(nn.ConvTranspose1d):
    """nn.ConvTranspose1d whose padding may differ between the two sides of an axis."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        *,
        padding: int | Sequence[Any],
        **options: Any,
    ) -> None:
        native, self.crop = split_padding(padding, 1)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=native, **options)

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        x = super().forward(x, output_size)
        if self.crop is None:
            return x
        return pad_axes(x, [(-before, -after) for before, after in self.crop])


class CroppedConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d whose padding may differ between the two sides of an axis."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        *,
        padding: int | Sequence[Any],
        **options: Any,
    ) -> None:
        native, self.crop = split_padding(padding, 2)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=native, **options)

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        x = super().forward(x, output_size)
        if self.crop is None:
            return x
        return pad_axes(x, [(-before, -after) for before, after in self.crop])


class CroppedConvTranspose3d(nn.ConvTranspose3d):
    """nn.ConvTranspose3d whose padding may differ between the two sides of an axis."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        *,
        padding: int | Sequence[Any],
        **options: Any,
    ) -> None:
        native, self.crop = split_padding(padding, 3)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=native, **options)

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        x = super().forward(x, output_size)
        if self.crop is None:
            return x
        return pad_axes(x, [(-before, -after) for before, after in self.crop])
