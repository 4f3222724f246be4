"""Some of the deliberate mistakes of `make mutants`: all found, each blamed on the right node."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.exports.probe import enough_inputs, probe_inputs, probe_weights, unseen

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("part", ["torch", "keras", "files"])
def test_mutants_are_found_and_blamed(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--quick", part],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(lines) > 4
    assert f"{len(lines) - 1} found, {len(lines) - 1} blamed" in lines[-1]


def test_what_probes_leave_unseen_is_told(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "netspec: 1\nname: net\ninputs: {x: [3, 6, 5]}\nbody:\n"
        "  c: {conv: {out: 4, kernel: 1}}\n  a: relu6\n  b: relu\n"
    )
    graph = netspec.load(path)
    weights = probe_weights(graph, 0)
    inputs = enough_inputs(graph, weights, 0)
    # The probes cross both knees of relu6, but nothing below 0 is left for the relu after it.
    assert len(inputs["x"]) == 7
    assert unseen(graph, weights, inputs) == ["b: no value lies below 0"]
    weights["c.bias"][1] = np.float32(-1e4)  # cuts a channel off
    assert "a: 1 of 4 channels are cut off" in unseen(graph, weights, inputs)


def test_some_probe_has_less_contrast_than_the_least_deviation(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "netspec: 1\nname: net\ninputs: {x: [3, 6, 5]}\nbody:\n  s: standardize_image\n"
    )
    x = probe_inputs(netspec.load(path), 0, 7)["x"]
    deviations = x.reshape(7, -1).std(1)
    assert deviations.min() < 90**-0.5 < np.sort(deviations)[1]
