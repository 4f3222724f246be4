"""AlexNet's normalisation across neighbouring channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Op, attr, case, f32, require_map
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class LocalResponseNorm(Op, kind="local_response_norm"):
    """x / (k + alpha / size * sum of x^2 over `size` channels) ^ beta.

    The channels summed for c run from c - size // 2 to c + (size - 1) // 2, where they exist.
    """

    size: int = attr(min=1, doc="neighbouring channels in a sum")
    alpha: float = attr(1e-4, min=0, doc="factor of the mean of squares")
    beta: float = attr(0.75, min=0, doc="exponent")
    k: float = attr(1.0, min=0, doc="added to the mean of squares")

    cases = (
        case((7, 4, 5), size=5),
        case((7, 4, 5), size=5, alpha=0.7, beta=0.5, k=2.0),
        case((7, 4, 5), size=4, alpha=0.7),
        case((6, 4, 5), size=2, alpha=1.3, beta=0.9),
        case((3, 4, 5), size=9, alpha=0.7),
        case((4, 3, 5), size=1, alpha=0.7),
        case((6, 9), size=3, alpha=0.7),
        case((5, 2, 3, 4), size=3, alpha=0.7, k=0.5),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_map(x, "`local_response_norm`")
        return x

    def reference(self, x: Array) -> Array:
        channels = x.shape[1]
        before = min(self.size // 2, channels)  # farther neighbours do not exist
        after = min((self.size - 1) // 2, channels)
        squares = np.pad(np.square(x), ((0, 0), (before, after), *((0, 0),) * (x.ndim - 2)))
        total = np.zeros_like(x)
        for offset in range(before + after + 1):
            total += squares[:, offset : offset + channels]
        return x / (f32(self.k) + f32(self.alpha) * total / self.size) ** f32(self.beta)
