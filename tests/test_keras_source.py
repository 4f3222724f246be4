"""Generated Keras source: names, values and weights against the graph and the NumPy reference.

TensorFlow runs in one child process, which has nothing of netspec but the generated files.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import netspec
from netspec.exports.probe import probe_inputs, probe_weights
from netspec.graph import Graph
from netspec.reference import evaluate
from tests.keras_networks import EVERY, Job, jobs

EXACT = 1e-10  # of the largest output, in float64
ROUNDED = 1e-7  # where attributes count, which the reference has as float32

CHILD = """
import json, pathlib, runpy, sys, traceback
import numpy as np
import keras

keras.config.set_floatx("float64")
folder = pathlib.Path(sys.argv[1])


def names(model):
    for layer in model.layers:
        yield from names(layer) if isinstance(layer, keras.Model) else [layer.name]


def examine(path, job):
    scope = runpy.run_path(str(path))
    options = {job["spelt"].get(k, k): v for k, v in job["params"].items()}
    given = np.load(path.with_suffix(".npz"))
    arrays = {}
    for aux in (False, True) if job["aux"] else (False,):
        heads = {"aux": aux} if job["aux"] else {}
        model = scope["build_model"](**options, **heads)
        scope["load_weights"](model, str(path.with_suffix(".safetensors")))
        inputs = [np.moveaxis(given[x.name], 1, -1) for x in model.inputs]
        outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        for index, y in enumerate(outputs):
            arrays[f"{aux}-{index}"] = np.moveaxis(np.asarray(y), -1, 1)
        scope["save_weights"](model, str(path.with_suffix(".saved")))
        refusal = "none"
        try:
            scope["load_weights"](model, str(path.with_suffix(".more")))
        except ValueError as error:
            refusal = str(error)
    np.savez(path.with_suffix(".out.npz"), **arrays)
    return {
        "layers": list(names(model)),
        "params": int(sum(np.prod(v.shape) for v in model.trainable_variables)),
        "refusal": refusal,
    }


found = {}
for name, job in json.loads((folder / "jobs.json").read_text()).items():
    try:
        keras.backend.clear_session()
        found[name] = examine(folder / f"{name}.py", job)
    except Exception:
        found[name] = {"failure": traceback.format_exc(limit=-6)}
found["alone"] = not any(name.split(".")[0] == "netspec" for name in sys.modules)
(folder / "found.json").write_text(json.dumps(found))
"""


@dataclass
class Results:
    """What the child found, by name."""

    jobs: dict[str, Job]
    child: dict[str, Any]
    errors: dict[str, float]
    folder: Path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("keras_source")
    made, truths, described = jobs(folder), {}, {}
    for name, job in made.items():
        path = folder / f"{name}.py"
        path.write_text(rounded(job.text))
        weights = probe_weights(job.graph, 0)
        inputs = probe_inputs(job.graph, 1, 2)
        save_file(weights, path.with_suffix(".safetensors"))
        save_file({**weights, "not_there.weight": np.ones(3)}, path.with_suffix(".more"))
        arrays: dict[str, Any] = inputs
        np.savez(path.with_suffix(".npz"), **arrays)
        truths[name] = truth(job.graph, weights, inputs)
        described[name] = {
            "params": job.params,
            "spelt": {"layers": "layers_"},
            "aux": len(job.graph.outputs) > len(job.graph.inference_outputs),
        }
    (folder / "jobs.json").write_text(json.dumps(described))
    script = folder / "child_process.py"
    script.write_text(CHILD)
    process = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    errors = {
        name: error(expected, folder / f"{name}.out.npz") for name, expected in truths.items()
    }
    return Results(made, json.loads((folder / "found.json").read_text()), errors, folder)


def rounded(text: str) -> str:
    """Source with epsilons as the reference has them, which rounds attributes to float32."""
    return re.sub(r"(?<=epsilon=)[\d.e-]+", lambda found: repr(float(np.float32(found[0]))), text)


def truth(graph: Graph, weights: Any, inputs: Any) -> dict[str, Any]:
    """The reference's outputs without and with those for training, numbered in order."""
    values = {v: inputs[v.name].astype(np.float64) for v in graph.inputs}
    found = evaluate(graph.nodes, weights, values, wanted=[o.value for o in graph.outputs])
    both = {False: graph.inference_outputs, True: graph.outputs}
    if both[True] == both[False]:
        del both[True]
    return {f"{aux}-{i}": found[o.value] for aux, os in both.items() for i, o in enumerate(os)}


def error(expected: dict[str, Any], path: Path) -> float:
    """The largest difference, relative to the largest value of its output."""
    if not path.exists():
        return float("inf")
    given = np.load(path)
    assert set(given) == set(expected)
    assert all(given[key].shape == y.shape for key, y in expected.items())
    return max(float(np.abs(given[key] - y).max() / np.abs(y).max()) for key, y in expected.items())


@pytest.mark.parametrize("name", EVERY)
def test_computes_the_reference(name: str, results: Results) -> None:
    assert "failure" not in results.child[name], results.child[name]["failure"]
    kinds = {node.op.kind for node in results.jobs[name].graph.nodes}
    rounds = kinds & {"local_response_norm", "hard_sigmoid", "leaky_relu"}
    assert results.errors[name] <= (ROUNDED if rounds else EXACT)


@pytest.mark.parametrize("name", EVERY)
def test_layers_bear_the_paths_and_hold_the_parameters(name: str, results: Results) -> None:
    graph, found = results.jobs[name].graph, results.child[name]
    paths = {node.path.replace(".", "-") for node in graph.nodes if not node.shared}
    # Two dashes follow a name that Keras could give to an operation.
    assert paths <= {layer.removesuffix("--") for layer in found["layers"]}
    assert len(found["layers"]) == len(set(found["layers"]))
    assert found["params"] == graph.param_count


@pytest.mark.parametrize("name", EVERY)
def test_a_superfluous_key_is_refused(name: str, results: Results) -> None:
    assert "not_there.weight belongs to no layer" in results.child[name]["refusal"]


@pytest.mark.parametrize("name", EVERY)
def test_saved_weights_are_those_that_were_loaded(name: str, results: Results) -> None:
    """Under the same keys, in float64; what counted batches in torch starts again."""
    given = probe_weights(results.jobs[name].graph, 0)
    saved = load_file(results.folder / f"{name}.saved")
    assert saved.keys() == given.keys()
    for key, tensor in saved.items():
        counter = key.endswith(".num_batches_tracked")
        assert tensor.dtype == (np.int64 if counter else np.float64)
        np.testing.assert_array_equal(tensor, 0 if counter else given[key])


def test_torch_loads_what_keras_saved(results: Results, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(netspec.source("resnet18", backend="torch"))
    script = "import net, sys; net.load_weights(net.build_model(), sys.argv[1])"
    command = [sys.executable, "-c", script, str(results.folder / "resnet18.saved")]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_the_files_run_alone(results: Results) -> None:
    assert results.child["alone"] is True


def test_generated_source_is_clean(results: Results, tmp_path: Path) -> None:
    for name, job in results.jobs.items():
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(job.text)
    for command in (["check"], ["format", "--check", "--line-length", "100"]):
        full = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)]
        process = subprocess.run(full, capture_output=True, text=True)
        assert process.returncode == 0, process.stdout
