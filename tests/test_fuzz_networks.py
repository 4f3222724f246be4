"""Random networks through the whole compiler, against the NumPy reference in float64.

`python -m tests.test_fuzz_networks FIRST LAST` runs more of them and prints every failure's seed.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

import netspec
from netspec.backends.keras import source as keras_source
from netspec.backends.onnx import write
from netspec.backends.source.python import identifier
from netspec.backends.torch import source as torch_source
from netspec.compiler import execute
from netspec.exports.model_source import by_name
from netspec.graph import Graph
from netspec.reference import evaluate
from tests.fuzz.model import network

CASES = range(160)
EVERY_ONNX = 4
EVERY_KERAS = 4
EXACT = 1e-6  # of the largest output, in float64: the reference rounds attributes to float32
ROUNDED = 2e-3  # in float32; `netspec verify` is the test that is tight
BATCH = 3

Arrays = dict[str, NDArray[Any]]


@dataclass
class Case:
    """A random network with weights, inputs and what the reference makes of them."""

    graph: Graph
    weights: Arrays
    inputs: Arrays
    expected: Arrays

    @property
    def finite(self) -> bool:
        return all(bool(np.isfinite(y).all()) for y in self.expected.values())


def case(path: Path, **params: Any) -> Case | None:
    """The network of a file; None if it has mistakes, or values without bounds."""
    try:
        graph = netspec.load(path, **params)
    except netspec.SpecError:
        return None
    weights = {w.key: _drawn(w.key, w.name, w.shape, w.dtype) for w in graph.weights}
    rng = np.random.default_rng(0)
    inputs = {v.name: rng.standard_normal((BATCH, *v.type.shape)) for v in graph.inputs}
    values = {v: inputs[v.name] for v in graph.inputs}
    wanted = [output.value for output in graph.outputs]
    with np.errstate(all="ignore"):
        found = evaluate(graph.nodes, weights, values, wanted=wanted)
    expected = {
        o.name: np.broadcast_to(found[o.value], (BATCH, *o.value.type.shape)) for o in graph.outputs
    }
    made = Case(graph, weights, inputs, expected)
    return made if made.finite else None


def _drawn(key: str, name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    seed = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16)
    noise = np.random.default_rng(seed).standard_normal(shape)
    if dtype == "int64":
        return np.zeros(shape, np.int64)
    if name == "running_var":
        return np.exp(noise / 2)
    if len(shape) > 1:
        return np.asarray(noise * (2 / np.prod(shape[1:])) ** 0.5)
    return np.asarray(noise * 0.3 + (name == "weight"))


def written(seed: int, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in network(seed).items():
        (folder / name).write_text(text)
    return folder / "net.yaml"


def require_close(given: Arrays, expected: Mapping[str, Any], tolerance: float) -> None:
    for name, y in given.items():
        assert y.shape == expected[name].shape, name
        error, largest = np.abs(y - expected[name]).max(), np.abs(expected[name]).max()
        assert error <= tolerance * largest + 1e-9, f"{name}: {error} of {largest}"


def require_torch(module: Any, found: Case, **params: Any) -> None:
    """Keys, shapes and values of a generated torch model, the outputs for training included."""
    model = module.build_model(**params).double().eval()
    assert set(model.state_dict()) == set(found.weights)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in found.weights.items()})
    for outputs in (found.graph.inference_outputs, found.graph.outputs):
        model.training = outputs is found.graph.outputs  # the layers stay as in inference
        with torch.no_grad():
            results = model(*[torch.from_numpy(x) for x in found.inputs.values()])
        given = by_name(results, [output.name for output in outputs])
        require_close({k: v.numpy() for k, v in given.items()}, found.expected, EXACT)


def other_params(module: Any, graph: Graph, rng: random.Random) -> dict[str, tuple[str, Any]]:
    """Other values for parameters that the generated model takes, with their names there."""
    takes = set(inspect.signature(module.build_model).parameters)
    found = {}
    for name, value in graph.params.items():
        spelt = next((n for n in (identifier(name, frozenset()), f"{name}_") if n in takes), None)
        changed = _other(value, rng)
        if spelt is not None and changed is not None and name != "inputs":
            found[name] = (spelt, changed)
    return found


def _other(value: Any, rng: random.Random) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return rng.randint(1, 6)
        case float():
            return round(rng.uniform(0.05, 0.9), 2)
        case list():
            return [rng.randint(1, 4) for _ in range(rng.randint(1, 3))]
    return {"a": "b", "b": "a"}.get(value)


def examine(seed: int, folder: Path) -> str | None:
    """Hold one network against the reference; its torch source, or None if it was refused."""
    path = written(seed, folder)
    found = case(path)
    if found is None:
        return None
    text = torch_source(found.graph)
    module = execute(text, f"fuzz{seed}")
    try:
        require_torch(module, found)
        rng = random.Random(seed)
        others = other_params(module, found.graph, rng)
        for name, (spelt, value) in others.items():
            varied = case(path, **{name: value})
            if varied is not None:  # the same source, as if made for another value
                require_torch(module, varied, **{spelt: value})
    finally:
        del sys.modules[module.__name__]
    if seed % EVERY_ONNX == 0:
        require_onnx(found, folder / "net.onnx")
    return text


def require_onnx(found: Case, path: Path) -> None:
    weights = {k: v if v.dtype == np.int64 else v.astype("f4") for k, v in found.weights.items()}
    write(found.graph, weights, path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    results = session.run(None, {k: v.astype("f4") for k, v in found.inputs.items()})
    require_close(dict(zip(names, results, strict=True)), found.expected, ROUNDED)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_random_networks_equal_the_reference(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for seed in CASES:
        try:
            text = examine(seed, tmp_path / str(seed))
        except Exception as error:
            error.add_note(f"network({seed}):\n{(tmp_path / str(seed) / 'net.yaml').read_text()}")
            raise
        if text is not None:
            (sources / f"net{seed}.py").write_text(text)
    assert len(list(sources.iterdir())) > 0.9 * len(CASES)  # the others show nothing
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache"]
    process = subprocess.run(
        [*command, "--select=E9,F", str(sources)], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout


KERAS_CHILD = """
import json, pathlib, runpy, sys, traceback
import numpy as np
import keras

keras.config.set_floatx("float64")
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    try:
        keras.backend.clear_session()
        scope = runpy.run_path(str(path))
        model = scope["build_model"]()
        scope["load_weights"](model, str(path.with_suffix(".safetensors")))
        given = np.load(path.with_suffix(".npz"))
        inputs = [np.moveaxis(x, 1, -1) for x in given.values()]
        outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        arrays = {str(i): np.moveaxis(np.asarray(y), -1, 1) for i, y in enumerate(outputs)}
        np.savez(path.with_suffix(".out.npz"), **arrays)
    except Exception:
        found[path.stem] = traceback.format_exc(limit=-4)
print("FOUND", json.dumps(found))
"""


def keras_failures(seeds: range, folder: Path) -> dict[str, str]:
    """Build and run the networks with Keras in a child process; what went wrong, by seed."""
    cases: dict[str, Case] = {}
    jobs = folder / "jobs"
    jobs.mkdir(parents=True)
    failures: dict[str, str] = {}
    for seed in seeds:
        found = case(written(seed, folder / str(seed)))
        if found is None:
            continue
        try:
            text = keras_source(found.graph)
        except Exception as error:
            failures[str(seed)] = repr(error)
            continue
        cases[str(seed)] = found
        (jobs / f"{seed}.py").write_text(text)
        save_file(
            {k: np.ascontiguousarray(v) for k, v in found.weights.items()},
            jobs / f"{seed}.safetensors",
        )
        np.savez(jobs / f"{seed}.npz", **found.inputs)  # type: ignore[arg-type] # all are arrays
    script = folder / "child_process.py"
    script.write_text(KERAS_CHILD)
    process = subprocess.run([sys.executable, script, jobs], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    failures |= json.loads(process.stdout.partition("FOUND ")[2])
    for name, found in cases.items():
        if name in failures:
            continue
        with np.load(jobs / f"{name}.out.npz") as results:
            wanted = [output.name for output in found.graph.inference_outputs]
            given = dict(zip(wanted, results.values(), strict=True))
        try:
            require_close(given, found.expected, EXACT)
        except AssertionError as error:
            failures[name] = str(error).splitlines()[0]
    return failures


def test_keras_equals_the_reference(tmp_path: Path) -> None:
    assert keras_failures(CASES[::EVERY_KERAS], tmp_path) == {}


if __name__ == "__main__":
    import tempfile

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(int(sys.argv[1]), int(sys.argv[2])):
            try:
                examine(number, Path(scratch, str(number)))
            except Exception as problem:
                print(number, type(problem).__name__, str(problem).splitlines()[0])
