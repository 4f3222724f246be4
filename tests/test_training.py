"""Training: torch and Keras do the same to a network, and what they do otherwise is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.compiler import source_backend
from netspec.exports.training import (
    TIMES,
    Course,
    RateRow,
    TensorRow,
    TrainingReport,
    training_of,
    verify_training,
)

NETWORKS = Path(__file__).parent / "mutants" / "networks"


@pytest.mark.parametrize("name", ["residual", "inception"])
def test_torch_and_keras_train_alike(name: str) -> None:
    report = verify_training(NETWORKS / f"{name}.yaml")
    assert report, report.render()
    graph = netspec.load(NETWORKS / f"{name}.yaml")
    trained = {w.key for w in graph.weights if w.trainable}
    kept = {w.key for w in graph.weights if w.dtype == "float32"}
    stages = {
        stage: {row.key for row in report.rows if row.stage == stage}
        for stage in ("gradient", "first step", "last step")
    }
    assert stages["gradient"] == trained  # the head that exists only in training included
    assert stages["first step"] == kept - trained
    assert stages["last step"] == kept
    assert max(row.own for row in report.rows) > 0.0
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["agreed"]
    assert "5 steps of SGD at 0.001 with momentum 0.9" in report.render()


@pytest.mark.parametrize(
    ("backend", "old", "new", "node"),
    [
        ("torch", "momentum=0.01", "momentum=0.1", "block1.norm2"),
        ("keras", "Dropout(0.2", "Dropout(0.3", "block1.drop"),
    ],
)
def test_a_mistake_that_only_training_shows(backend: str, old: str, new: str, node: str) -> None:
    graph = netspec.load(NETWORKS / "residual.yaml")

    def source(name: str) -> str:
        text = source_backend(name).source(graph)
        assert name != backend or old in text
        return text.replace(old, new, 1) if name == backend else text

    report = training_of(graph, source, course=Course(steps=1))
    assert not report
    assert report.blamed == node
    assert f"first of all at {node}" in report.render()


def test_a_ratio_is_of_torchs_own_divergence() -> None:
    row = TensorRow("gradient", "fc.weight", "fc", 3e-14, 1e-15)
    assert row.ratio == pytest.approx(30.0)
    assert row.agreed
    assert not TensorRow("gradient", "fc.weight", "fc", 1.01 * TIMES * 1e-15, 1e-15).agreed
    assert not TensorRow("gradient", "fc.weight", "fc", np.inf, 1e-15).agreed
    assert RateRow("drop", "torch", 0.2, float(np.float32(0.2))).agreed
    assert not RateRow("drop", "torch", 0.2, None).agreed
    assert not TrainingReport("empty", Course(), (), (), "")
