"""Is it the same function? In float64 two programs that are the same differ by next to nothing.

What is left, by the order of sums, is some 1e-14 of the largest output in the deepest networks
of the zoo; one weight that is 1 % off is a million times more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.noise import Prediction, require_comparable

BOUND = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """An output's largest difference from the reference, over its largest value."""

    relative: float

    @property
    def agreed(self) -> bool:
        return self.relative <= BOUND

    def to_dict(self) -> dict[str, float | None]:
        return {"relative": self.relative}


def difference(prediction: Prediction, result: NDArray[Any] | None) -> Difference:
    """Hold a float64 result against the truth.

    Raises:
        ComparisonError: the output is missing, has another shape, or holds NaN or infinity.
    """
    found = require_comparable(prediction, result)
    error = np.abs(found - prediction.truth).max(initial=0.0)
    return Difference(float(error / (np.abs(prediction.truth).max(initial=0.0) or 1.0)))
