"""Paths of models that are no regular files, and of folders that are none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netspec.exports.verify import verify_graph
from netspec.graph import Graph
from tests.hostile_files.small import verified


@pytest.mark.parametrize("special", ["pipe", "device", "folder", "dangling link"])
def test_a_model_is_a_regular_file(graph: Graph, tmp_path: Path, here: None, special: str) -> None:
    """A pipe would be read for ever, a device until the memory is full."""
    path = tmp_path / "model.onnx"
    make: dict[str, Callable[[], Any]] = {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
    }
    make[special]()
    report = verified(graph, path)
    word = "does not exist" if special == "dangling link" else "is no regular file"
    assert {word in row.reason for row in (*report.same, *report.rows)} == {True}


def test_a_folder_that_is_a_file_is_refused_at_once(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("")
    with pytest.raises(NotADirectoryError, match="not a folder"):
        verify_graph(graph, lambda _: pytest.fail("it was begun"), folder=path)
