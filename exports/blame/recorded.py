"""The values that a network held inside while it ran, found by what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
PROBES = 16  # places that are compared before all are
NEAR = 1e-3  # of a value's largest number: what is no farther off, and no other value, is meant


class Values:
    """Recorded values, found by what they hold. What was found once is claimed by that node."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._claimed: set[int] = set()
        self._by_size: dict[int, list[Array]] = {}
        for array in arrays.values():
            self._by_size.setdefault(array.size, []).append(array)

    def find(self, wanted: Array, bound: float) -> Array | None:
        """The value that is within the bound everywhere, and nearest; None if there is none."""
        step = max(1, wanted.size // PROBES)
        best, claimed = None, 0
        for number, found in self._fitting(wanted):
            error = np.abs(found.reshape(-1)[::step] - wanted.reshape(-1)[::step]).max(initial=0.0)
            if error <= bound and (off := largest(found - wanted)) <= bound:
                best, bound, claimed = found, off, number
                if off == 0.0:
                    break
        if best is not None:
            self._claimed.add(claimed)
        return best

    def unclaimed(self, like: Array) -> Iterator[Array]:
        """The values that would fit in the place of this one and are not those of other nodes."""
        fitting = list(self._fitting(like))
        known = [found for number, found in fitting if number in self._claimed]
        for _, found in fitting:
            if not any(np.array_equal(found, other) for other in known):
                yield found

    def has_shape(self, wanted: Array, bound: float) -> bool:
        """Whether a value within the bound has the wanted shape without being laid out anew."""
        return any(
            array.shape == wanted.shape and largest(array - wanted) <= bound
            for array in self._by_size.get(wanted.size, ())
        )

    def has_near(self, wanted: Array, others: Sequence[tuple[Array, float]]) -> bool:
        """Whether a value is within `NEAR` of the wanted one, and within no bound of others."""
        limit, step = NEAR * largest(wanted), max(1, wanted.size // PROBES)
        return any(
            np.abs(found.reshape(-1)[::step] - wanted.reshape(-1)[::step]).max(initial=0.0) <= limit
            and largest(found - wanted) <= limit
            and not any(
                _bare(other.shape) == _bare(found.shape)
                and largest(found.reshape(other.shape) - other) <= bound
                for other, bound in others
            )
            for _, found in self._fitting(wanted)
        )

    def has_other_shape(self, like: Array) -> bool:
        """Whether values would fit in this one's place, and all of them laid out anew."""
        shapes = {a.shape for a in self._by_size.get(like.size, ()) if id(a) not in self._claimed}
        fitting = {s for s in shapes if sorted(_bare(s)) == sorted(_bare(like.shape))}
        return bool(fitting) and like.shape not in fitting

    def nearest(self, wanted: Array) -> Array | None:
        """The value that is least off, or None if none has this shape."""
        fitting = [
            (float(np.abs(f - wanted).mean()), n, f)
            for n, (_, f) in enumerate(self._fitting(wanted))
        ]
        return min(fitting, key=lambda item: (not item[0] >= 0, *item[:2]), default=(0, 0, None))[2]

    def _fitting(self, wanted: Array) -> Iterator[tuple[int, Array]]:
        """The values of the wanted size by number, channels first, in its shape."""
        last = np.moveaxis(wanted, 1, -1).shape
        for array in self._by_size.get(wanted.size, ()):
            if _bare(array.shape) == _bare(wanted.shape):
                yield id(array), array.reshape(wanted.shape)
            if wanted.ndim > 2 and _bare(array.shape) == _bare(last):
                yield id(array), np.moveaxis(array.reshape(last), -1, 1)


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in shape if axis != 1)


def largest(array: Array) -> float:
    """The largest magnitude, 0 of nothing."""
    return float(np.abs(array).max(initial=0.0))
