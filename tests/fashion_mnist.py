"""Fashion-MNIST, a small set of real images, from Debian's package.

`python tests/fashion_mnist.py` puts it into the virtual environment, without root and without
installing the package.
"""

from __future__ import annotations

import gzip
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE = "dataset-fashion-mnist"
FILES = tuple(
    f"{part}-{what}-ubyte.gz"
    for part in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
)
FOLDERS = (Path(sys.prefix, "share", "fashion-mnist"), Path("/usr/share/datasets/fashion-mnist"))
WHY_NOT = "needs Fashion-MNIST: python tests/fashion_mnist.py, or apt install " + PACKAGE


def folder() -> Path | None:
    """Where the files are, if they are anywhere."""
    return next((f for f in FOLDERS if all((f / name).is_file() for name in FILES)), None)


def read(part: str, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first `count` images `(n, 28, 28)` and labels `(n,)` of a part, "train" or "t10k".

    Raises:
        FileNotFoundError: the files are nowhere.
    """
    found = folder()
    if found is None:
        raise FileNotFoundError(WHY_NOT)
    images = _idx(found / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    return images[:count], _idx(found / f"{part}-labels-idx1-ubyte.gz", 8)[:count]


def _idx(path: Path, header: int) -> NDArray[Any]:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


if __name__ == "__main__":
    debian = runpy.run_path(str(Path(__file__).with_name("debian.py")))
    debian["bring"]("Fashion-MNIST", PACKAGE, FILES, FOLDERS[0])
