"""What people do with a Keras model, done with the generated one, a variant of each family.

TensorFlow runs in child processes. Every way of running the model is held against calling it, and
tests/test_keras_source.py holds that against the reference.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from netspec.backends.keras import source
from netspec.exports.noise import THRESHOLD, Prediction, predict
from netspec.exports.probe import probe_inputs
from tests.calm_weights import calm_weights

HERE = Path(__file__).parent
FAMILIES = runpy.run_path(str(HERE / "families.py"))
FASHION = runpy.run_path(str(HERE / "fashion_mnist.py"))
NODES = 82  # of networks that are quick to save, compile and export
SAMPLES = 8  # for the weights' statistics; of which the first two are compared
BFLOAT16 = 2**16  # units in its last place over float32's

# A process that has nothing but Keras and the saved files.
LOADED = """
import json, pathlib, sys
import keras, numpy as np
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    arrays = np.load(path.with_suffix(".called.npz"))
    try:
        y = np.asarray(keras.models.load_model(path)(arrays["x"], training=False))
        error = float(np.linalg.norm(y - arrays["y"]) / np.linalg.norm(arrays["y"]))
    except Exception as problem:  # the test that reads it fails with it
        error = str(problem)[:500]
    print(json.dumps([path.stem, error]), flush=True)
assert "netspec" not in sys.modules
"""


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the child processes found, by the family's file."""
    folder = tmp_path_factory.mktemp("keras_features")
    noises = {}
    for file in FAMILIES["files"]():
        if not FAMILIES["large"](file, NODES):
            graph = FAMILIES["family"](file).graph()
            path = folder / file
            path.with_suffix(".py").write_text(source(graph), encoding="utf-8")
            samples = probe_inputs(graph, 1, SAMPLES)
            weights = calm_weights(graph, samples)
            save_file(weights, path.with_suffix(".safetensors"))
            arrays: dict[str, Any] = {name: x[:2] for name, x in samples.items()}
            np.savez(path.with_suffix(".npz"), **arrays)
            (prediction,) = predict(graph, weights, arrays).values()
            noises[path.stem] = _noise(prediction)
    lines = printed([str(HERE / "keras_features.py"), str(folder)])
    found = {line.pop("name"): line for line in map(json.loads, lines)}
    for name, error in map(json.loads, printed(["-c", LOADED, str(folder)])):
        found[name]["loaded"] = error
    return {name: {**line, **noises[name]} for name, line in found.items()}


def _noise(prediction: Prediction) -> dict[str, float]:
    """Over the outputs' root mean square, those of float32's noise and of two samples apart."""
    first, second = prediction.truth
    size = _rms(prediction.truth)
    return {"noise": _rms(prediction.noise) / size, "apart": _rms(first - second) / size}


def _rms(x: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def printed(command: list[str]) -> list[str]:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if line[:1] in "[{"]


@pytest.fixture(params=FAMILIES["files"](), ids=lambda file: Path(file).stem)
def found(request: pytest.FixtureRequest, examined: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if FAMILIES["large"](request.param, NODES):
        pytest.skip(FAMILIES["WHY_NOT"])
    result = examined[Path(request.param).stem]
    assert "failure" not in result, result["failure"]
    return {**result, "graph": FAMILIES["family"](request.param).graph()}


def test_summary_has_the_layers_and_the_count(found: dict[str, Any]) -> None:
    graph, summary = found["graph"], found["summary"]
    paths = {w.key.rpartition(".")[0].replace(".", "-") for w in graph.weights}
    assert {path for path in paths if path not in summary} == set()
    (trainable,) = re.findall(r"Trainable params: ([\d,]+)", summary)[:1]
    assert int(trainable.replace(",", "")) == graph.param_count


def test_a_saved_model_loads_in_a_process_without_the_source(found: dict[str, Any]) -> None:
    assert isinstance(found["loaded"], float), found["loaded"]
    assert found["loaded"] == 0


def test_saved_weights_load(found: dict[str, Any]) -> None:
    assert found["saved_weights"] == 0


def test_fit_on_real_images(found: dict[str, Any]) -> None:
    """Two epochs of few images: the loss falls."""
    if found["losses"] is None:
        pytest.skip(FASHION["WHY_NOT"])
    first, second = found["losses"]
    assert second < first


def test_xla(found: dict[str, Any]) -> None:
    """Both results are float32's."""
    assert found["xla"] <= 2 * THRESHOLD * found["noise"]


def test_export_to_a_saved_model_for_any_batch(found: dict[str, Any]) -> None:
    assert found["saved_model"] <= 2 * THRESHOLD * found["noise"]


def test_mixed_precision(found: dict[str, Any]) -> None:
    """Values are bfloat16, sums float32: it rounds less than all in bfloat16, and compares."""
    assert found["mixed"] <= min(BFLOAT16 * found["noise"], found["apart"] / 2)
    output, *variables = found["mixed_dtypes"]
    assert output == "bfloat16"
    assert "bfloat16" not in variables
