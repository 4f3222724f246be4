"""Named arrays in .npz files, which is how they pass between processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name; the names may be any text, `file` included."""
    names = list(arrays)
    numbered: dict[str, Any] = {f"array_{index}": arrays[name] for index, name in enumerate(names)}
    np.savez(path, names=np.array(names, dtype=np.str_), **numbered)


def load_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read what `save_arrays` wrote, in its order."""
    with np.load(path, allow_pickle=False) as stored:
        names = stored["names"].tolist()
        return {name: stored[f"array_{index}"] for index, name in enumerate(names)}
