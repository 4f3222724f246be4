"""Is it the same function? In float64 two programs that are the same differ by next to nothing.

What is left, by the order of sums, is some 1e-14 of the largest output in most networks; one
weight that is 1 % off is a million times more. A network that enlarges rounding may reach 1e-12:
what rounding makes there is predicted as that of float32 is, in steps that are 2^29 times finer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.noise import THRESHOLD, Prediction, require_comparable

BOUND = 1e-12
FINER = 2.0**-29  # of float64's steps over float32's


@dataclass(frozen=True, slots=True)
class Difference:
    """An output's largest difference from the reference, over its largest value.

    `rounding` is what rounding in float64 is predicted to make, over the same.
    """

    relative: float
    rounding: float = 0.0

    @property
    def unexplained(self) -> float:
        """The difference, or 0 where it is no more than rounding makes."""
        return 0.0 if self.relative <= THRESHOLD * self.rounding else self.relative

    @property
    def agreed(self) -> bool:
        return self.unexplained <= BOUND

    def to_dict(self) -> dict[str, float | None]:
        return {"relative": self.relative, "rounding": self.rounding}


def difference(prediction: Prediction, result: NDArray[Any] | None) -> Difference:
    """Hold a float64 result against the truth.

    Raises:
        ComparisonError: the output is missing, has another shape, or holds NaN or infinity.
    """
    found = require_comparable(prediction, result)
    error = np.abs(found - prediction.truth).max(initial=0.0)
    noise = FINER * np.abs(prediction.noise).max(initial=0.0)
    largest = np.abs(prediction.truth).max(initial=0.0) or 1.0
    return Difference(float(error / largest), float(noise / largest))
