"""Weights: what is saved is read, and what is wrong or may not be read is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from netspec.exports.export import save_weights
from netspec.exports.probe import probe_weights
from netspec.exports.weights import read_weights
from netspec.graph import Graph


def test_what_is_saved_is_read(graph: Graph, tmp_path: Path) -> None:
    """Counters of batches are single numbers without an axis."""
    weights = probe_weights(graph, 0)
    weights["c1.weight"] = weights["c1.weight"].transpose().copy().transpose()
    path = tmp_path / "w.safetensors"
    save_weights(weights, path)
    read = read_weights(graph, path)
    assert {key: w.shape for key, w in read.items()} == {key: w.shape for key, w in weights.items()}
    for key, value in weights.items():
        np.testing.assert_array_equal(read[key], value)


def test_a_negative_variance_is_refused(graph: Graph) -> None:
    weights = probe_weights(graph, 0)
    weights["n1.running_var"] = weights["n1.running_var"] * np.array([1, -1, 1, -1])
    with pytest.raises(ValueError, match=r"net hold variances < 0: n1.running_var \(2 of 4\)$"):
        read_weights(graph, weights)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_weights_that_may_not_be_read(graph: Graph, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    path.chmod(0)
    root = os.geteuid() == 0
    for folder in (tmp_path, *tmp_path.parents[:2]):  # pytest's own, which are for root alone
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(PermissionError, match="Permission denied"):
            read_weights(graph, path)
    finally:
        if root:
            os.seteuid(0)
