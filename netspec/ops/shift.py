"""ShiftNet's shift, which replaces spatial convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Op, OpError, attr, case, require_map
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class Shift(Op, kind="shift"):
    """Move groups of channels, each by its own (dy, dx); zeros enter, and no weights are needed.

    Of kernel * kernel groups, in row-major order, group (i, j) reads (y + i - kernel // 2,
    x + j - kernel // 2). Channels that are left over stay. https://arxiv.org/abs/1711.08141
    """

    kernel: int = attr(3, min=1, doc="odd; distance between the outermost moves plus one")

    cases = (
        case((9, 4, 5)),
        case((20, 5, 4)),
        case((25, 6, 7), kernel=5),
        case((27, 2, 6), kernel=5),
        case((9, 1, 1)),
        case((3, 4, 5), kernel=1),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "`shift`", (2,))
        if self.kernel % 2 == 0:
            raise OpError(
                f"a kernel of {self.kernel} has no centre",
                attribute="kernel",
                hint="choose an odd number",
            )
        if x.channels < self.kernel**2:
            raise OpError(
                f"{x.channels} channels do not fill {self.kernel**2} groups, so none would move",
                attribute="kernel",
            )
        return x

    def moves(self, channels: int) -> Iterator[tuple[slice, int, int]]:
        """The groups that move: their channels and from where, (dy, dx), they read."""
        size, reach = channels // self.kernel**2, self.kernel // 2
        for group in range(self.kernel**2):
            dy, dx = divmod(group, self.kernel)
            if (dy, dx) != (reach, reach):
                yield slice(group * size, (group + 1) * size), dy - reach, dx - reach

    def reference(self, x: Array) -> Array:
        height, width = x.shape[2:]
        reach = self.kernel // 2
        padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
        result = x.copy()
        for channels, dy, dx in self.moves(x.shape[1]):
            rows = slice(reach + dy, reach + dy + height)
            columns = slice(reach + dx, reach + dx + width)
            result[:, channels] = padded[:, channels, rows, columns]
        return result
