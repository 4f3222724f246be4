"""Ops that move elements."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.layout import pad_spatial
from netspec.backends.onnx.registry import lowers
from netspec.ops.base import f32
from netspec.ops.shape import ChannelShuffle, Flatten, Pad, Slice, Unflatten


@lowers("flatten")
def flatten(b: Builder, op: Flatten, x: str) -> str:
    """All axes of a sample as one, channels first."""
    return b.add("Flatten", x, axis=1) if b.x.rank else x


@lowers("unflatten")
def unflatten(b: Builder, op: Unflatten, x: str) -> str:
    """A vector as a map."""
    return b.reshape(x, *op.shape)


@lowers("slice")
def slice_channels(b: Builder, op: Slice, x: str) -> str:
    """The channels start..stop."""
    return b.slice(x, (op.start,), (op.stop,), first_axis=1)


@lowers("pad")
def pad(b: Builder, op: Pad, x: str) -> str:
    """A constant around the spatial axes."""
    assert not isinstance(op.padding, str)  # refused by `infer`
    return pad_spatial(b, x, op.padding, f32(op.value))


@lowers("channel_shuffle")
def channel_shuffle(b: Builder, op: ChannelShuffle, x: str) -> str:
    """Swap the groups with the channels inside a group; a map's positions go as one axis."""
    channels = b.x.channels
    x = b.reshape(x, op.groups, channels // op.groups, b.x.size // channels)
    return b.reshape(b.add("Transpose", x, perm=(0, 2, 1, 3)), *b.x.shape)
