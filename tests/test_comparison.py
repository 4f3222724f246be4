"""The Keras source by hand in docs/comparison.md is the network that it is compared with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import netspec
from netspec.initial import initial_weights
from netspec.reference import run

PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"

CHILD = """
import runpy
import numpy as np
by_hand = runpy.run_path("by_hand.py")["squeezenet"]()
generated = runpy.run_path("generated.py")
generated["load_weights"](by_hand, "weights.safetensors")
assert by_hand.count_params() == generated["build_model"]().count_params()
x = np.moveaxis(np.load("x.npy"), 1, -1)
np.save("y.npy", np.asarray(by_hand(x, training=False)))
"""


def test_the_network_by_hand_computes_the_reference(tmp_path: Path) -> None:
    (code,) = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    graph = netspec.load("squeezenet1_1")
    weights = initial_weights(graph, 0)
    x = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    (tmp_path / "by_hand.py").write_text(code, encoding="utf-8")
    source = netspec.source("squeezenet1_1", backend="keras")
    (tmp_path / "generated.py").write_text(source, encoding="utf-8")
    save_file(weights, tmp_path / "weights.safetensors")
    np.save(tmp_path / "x.npy", x)
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, env=environment, check=True)
    (expected,) = run(graph, weights, {"image": x}).values()
    found = np.load(tmp_path / "y.npy")
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
