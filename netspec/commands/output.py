"""Where the files of a command go, and how they get there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.zoo import UsageError

NAMING = (".py", ".onnx")  # endings of a path that names a file; any other is a directory


def target(output: str, name: str) -> Path:
    """The file that `-o` means; `name` is what it is called in a directory.

    Raises:
        UsageError: the path names a file of another kind.
    """
    path = Path(output)
    if path.suffix not in NAMING:
        return path / name
    if path.suffix != Path(name).suffix:
        raise UsageError(f"{output} is a {path.suffix} file, but this writes {Path(name).suffix}")
    return path


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder whose files move to `folder`, which is made, once the block has succeeded.

    It lies inside `folder`, so that a move is a rename. Files move in the order of their names
    from the end of the alphabet: weights (`.safetensors`) before the source that loads them,
    `.onnx.data` before `.onnx`.

    Raises:
        OSError: the folder or a file cannot be written; nothing was moved unless the last moves
            themselves failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drafts = Path(tempfile.mkdtemp(prefix=".netspec-", dir=folder))
    try:
        yield drafts
        files = sorted(drafts.iterdir(), reverse=True)
        for file in files:
            if (folder / file.name).is_dir():
                raise IsADirectoryError(21, "is a directory", str(folder / file.name))
        for file in files:
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(drafts, ignore_errors=True)
