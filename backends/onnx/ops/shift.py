"""ShiftNet's shift."""

from __future__ import annotations

from netspec.backends.onnx.builder import Builder
from netspec.backends.onnx.layout import pad_spatial
from netspec.backends.onnx.registry import lowers
from netspec.ops.shift import Shift


@lowers("shift")
def shift(b: Builder, op: Shift, x: str) -> str:
    """Pad by the largest move, then cut each group of channels from where it reads.

    No depthwise kernel: it would spread an infinity to its neighbours as NaN.
    """
    reach = op.kernel // 2
    if not reach:
        return x
    height, width = b.x.spatial
    padded = pad_spatial(b, x, ((reach, reach),) * 2, 0.0)
    parts, done = [], 0
    for channels, dy, dx in (*op.moves(b.x.channels), (slice(b.x.channels, None), 0, 0)):
        if channels.start > done:  # the group in the centre, or what is left over, stays
            parts.append(b.slice(x, (done,), (channels.start,), first_axis=1))
        if channels.stop is None:
            break
        top, left = reach + dy, reach + dx
        starts = (channels.start, top, left)
        stops = (channels.stop, top + height, left + width)
        parts.append(b.slice(padded, starts, stops, first_axis=1))
        done = channels.stop
    return b.add("Concat", *parts, axis=1)
