"""Generated Keras source on Keras's other engines, a variant of each family: JAX and torch.

TensorFlow has tests/test_keras_source.py, which measures in float64. On these engines Keras makes
float32 of float64 (`backend.result_type`), for batch norms on both and for dense layers on torch,
so here the measure is the predicted noise of float32. Each engine has a process of its own.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from netspec.backends.keras import source
from netspec.exports.noise import judge, predict
from netspec.exports.probe import probe_inputs, probe_weights

HERE = Path(__file__).parent
FAMILIES = runpy.run_path(str(HERE / "families.py"))
NODES = {"jax": 40, "torch": 180}  # of networks that are quick to build: JAX compiles every shape
CASES = [
    pytest.param(engine, file, id=f"{engine}-{Path(file).stem}")
    for engine in NODES
    for file in FAMILIES["files"]()
]
Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What an engine computes by file; each engine runs once, when it is first asked for."""
    found: dict[str, dict[str, Any]] = {}

    def of(engine: str) -> dict[str, Any]:
        if engine not in found:
            found[engine] = computed(engine, tmp_path_factory.mktemp(engine))
        return found[engine]

    return of


def computed(engine: str, folder: Path) -> dict[str, Any]:
    for file in FAMILIES["files"]():
        if not FAMILIES["large"](file, NODES[engine]):
            graph = FAMILIES["family"](file).graph()
            path = folder / file
            path.with_suffix(".py").write_text(source(graph), encoding="utf-8")
            save_file(probe_weights(graph, 0), path.with_suffix(".safetensors"))
            arrays: Arrays = probe_inputs(graph, 1, 2)
            np.savez(path.with_suffix(".npz"), **arrays)
    command = [sys.executable, str(HERE / "keras_engine.py"), str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": engine}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    results = {p.name.partition(".")[0]: np.load(p)["result"] for p in folder.glob("*.out.npz")}
    return {"failure": done.stderr[-3000:] if done.returncode else "", **results}


@pytest.mark.parametrize(("engine", "file"), CASES)
def test_an_engine_computes_the_reference(engine: str, file: str, outputs: Any) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"needs the package {engine}")
    if FAMILIES["large"](file, NODES[engine]):
        pytest.skip(FAMILIES["WHY_NOT"])
    found = outputs(engine)
    assert Path(file).stem in found, found["failure"]
    result = np.moveaxis(found[Path(file).stem], -1, 1)
    graph = FAMILIES["family"](file).graph()
    weights, given = probe_weights(graph, 0), probe_inputs(graph, 1, 2)
    (prediction,) = predict(graph, weights, given).values()
    figures = judge(prediction, result)
    assert figures.agreed, figures.to_dict()


@pytest.mark.parametrize("file", FAMILIES["files"]())
def test_a_file_imports_no_engine(file: str) -> None:
    tree = ast.parse(source(FAMILIES["family"](file).graph()))
    modules = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    packages = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names
    assert packages <= {"keras", "numpy", "safetensors"}
