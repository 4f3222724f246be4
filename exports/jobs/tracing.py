"""What runs inside a network, recorded: every value of one sample, in the order of computing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.arrays import save_arrays


class Trace:
    """Collects the values of the sample with this number."""

    def __init__(self, sample: int) -> None:
        self.sample = sample
        self.values: dict[str, NDArray[Any]] = {}

    def add(self, name: str, value: NDArray[Any], batch: int, first: int = 0) -> None:
        """Keep the sample's part of a value whose first axis is a batch from sample `first` on.

        What has no such axis is not a value of the network.
        """
        at = self.sample - first
        if value.ndim and len(value) == batch and 0 <= at < batch and value.dtype.kind == "f":
            self.values[f"{len(self.values)} {name}"] = np.array(value[at : at + 1])

    def constants(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep numbers that are the same for every sample: a network may use them as a value."""
        for name, array in arrays.items():
            if array.dtype.kind == "f":
                self.values[f"{len(self.values)} {name}"] = array.reshape(1, *array.shape)

    @contextmanager
    def saved(self, path: str | None) -> Iterator[None]:
        """Write the values when the block ends, also by an exception, if there is a path.

        The file appears whole or not at all, whatever ends the process.
        """
        try:
            yield
        finally:
            if path:
                draft = Path(path).with_suffix(".draft.npz")
                save_arrays(draft, self.values)
                os.replace(draft, path)
