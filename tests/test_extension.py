"""An op and a backend of other packages, installed beside netspec, without a change to it.

`tests/plugins` holds two such packages with their metadata. Everything runs in child processes
that have the folder on their path, so that the ops of this process stay netspec's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PLUGINS = Path(__file__).parent / "plugins"

SPEC = """\
netspec: 1
name: clamped
inputs: {image: [3, 6, 5]}
blocks:
  unit:
    params: {high: 0.75}
    body: [conv: {out: 4, kernel: 3, padding: 1}, clamp: {low: -0.25, high: =high}]
body:
  first: {unit: {}}
  second: {unit: {high: 0.5}}
  third: {clamp: {low: -0.125}}
  sum: {add: [third, first]}
"""


def run(*command: str, path: Path | str = PLUGINS) -> subprocess.CompletedProcess[str]:
    """Run Python on a command with the plugins installed."""
    environment = {**os.environ, "PYTHONPATH": str(path), "KERAS_BACKEND": "tensorflow"}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )


def python(script: str, *arguments: str) -> str:
    """What a script prints."""
    done = run("-c", script, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def netspec(*arguments: str, path: Path | str = PLUGINS) -> subprocess.CompletedProcess[str]:
    return run("-m", "netspec", *arguments, path=path)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "clamped.yaml"
    path.write_text(SPEC)
    return str(path)


# ------------------------------------------------------------------------------------- the op


def test_the_command_line_knows_the_op_where_its_package_is_installed(spec: str) -> None:
    done = netspec("check", spec)
    # two convolutions: 4 (3 9 + 1) and 4 (4 9 + 1) parameters
    assert done.stdout.startswith("clamped: ok, image 3x6x5 -> output 4x6x5, 260 parameters")
    assert netspec("check", spec, path="").returncode == 1


def test_mistakes_in_the_op_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    good = SPEC.splitlines()[:-2]
    path.write_text(
        "\n".join([*good, "  a: {clamp: {hihg: 2}}", "  b: clanp", "  c: {clamp: {low: 2}}"])
    )
    done = netspec("check", str(path))
    assert done.returncode == 1
    for text in (
        "wrong.yaml:11:15: error[unknown-attribute]: `clamp` has no attribute `hihg`",
        "did you mean `high`?",
        "wrong.yaml:12:6: error[unknown-op]: unknown op or block `clanp`",
        "did you mean `clamp`?",
    ):
        assert text in done.stderr
    path.write_text("\n".join([*good, "  c: {clamp: {low: 2}}"]))
    done = netspec("check", str(path))
    assert "wrong.yaml:11:20: error[bad-shape]: `clamp`: `low` is 2.0, more than" in done.stderr


def test_schema_and_docs_have_the_op() -> None:
    schema = json.loads(netspec("schema").stdout)
    assert set(schema["$defs"]["values-clamp"]["properties"]) == {"low", "high"}
    script = "import netspec_clamp.op, netspec.opdocs as d; print(d.render())"
    assert "| `high` | `1.0` | a number | greatest value |" in python(script)


def test_a_good_spec_of_shipped_ops_looks_for_no_package() -> None:
    script = (
        "import sys, netspec; netspec.load('squeezenet1_1'); print('importlib.metadata' in "
        "sys.modules, 'netspec_clamp.op' in sys.modules)"
    )
    assert python(script).split() == ["False", "False"]


def test_a_package_that_cannot_be_imported_is_named(spec: str, tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[netspec.ops]\nx = there_is_no_such_module\n")
    done = netspec("check", spec, path=tmp_path)
    assert done.returncode == 2
    assert "there_is_no_such_module, which is installed as netspec.ops" in done.stderr
    assert "Traceback" not in done.stderr


# What every backend's result is held against: the shipped ops by `evaluate`, the new one by NumPy.
TRUTH = """
import json, sys
import numpy as np
import netspec
from netspec.initial import initial_weights
from netspec.reference import evaluate

graph = netspec.load(sys.argv[1])
weights = {k: v * 8 for k, v in initial_weights(graph, 0).items()}  # so that many values are cut
x = np.random.default_rng(0).normal(size=(2, 3, 6, 5)).astype(np.float32)
doubles = {k: v.astype(np.float64) for k, v in weights.items()}
node = {n.path: n for n in graph.nodes}

def conv(path, x):
    names = {w.name: doubles[w.key] for w in node[path].weights}
    return node[path].op.reference(x, **names)

first = np.clip(conv("first.0", x.astype(np.float64)), -0.25, 0.75)
second = np.clip(conv("second.0", first), -0.25, 0.5)
assert (second == 0.5).any() and (second == -0.25).any()
truth = np.clip(second, -0.125, 1.0) + first
"""
COMPARE = """
assert result.shape == truth.shape
print(np.abs(result - truth).max() / np.abs(truth).max())
"""
RESULTS = {
    "torch": """
import torch
model = netspec.build(sys.argv[1], backend="torch", weights=weights).eval()
result = model(torch.from_numpy(x)).detach().numpy()
""",
    "keras": """
model = netspec.build(sys.argv[1], backend="keras", weights=weights)
result = np.moveaxis(np.asarray(model(np.moveaxis(x, 1, -1))), -1, 1)
""",
    "onnx": """
import onnxruntime
netspec.export(sys.argv[1], sys.argv[1] + ".onnx", backend="onnx", weights=weights)
session = onnxruntime.InferenceSession(sys.argv[1] + ".onnx")
(result,) = session.run(["output"], {"image": x})
""",
}


@pytest.mark.parametrize("backend", RESULTS)
def test_every_backend_computes_the_op(backend: str, spec: str) -> None:
    error = float(python(TRUTH + RESULTS[backend] + COMPARE, spec))
    # Two sums of 28 and 37 terms: a thousand units in the last place would be a wrong function.
    assert error < 64 * 2.0**-24


def test_source_with_the_op_stands_alone(spec: str, tmp_path: Path) -> None:
    done = netspec("build", spec, "--backend", "torch", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "clamped_torch.py").read_text()
    assert "class Clamp(nn.Module):" in text
    assert "netspec_clamp" not in text
    ran = run(str(tmp_path / "clamped_torch.py"), path="")
    assert ran.returncode == 0, ran.stderr


def test_a_block_that_is_named_like_a_foreign_snippet_gets_another_name(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text(SPEC.replace("unit", "Clamp"))
    text = python(
        "import netspec, sys; print(netspec.source(sys.argv[1], backend='torch'))", str(path)
    )
    assert text.count("class Clamp(") == 1
    assert "class Clamp2(nn.Sequential):" in text


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_the_case_tables_of_the_backends_pick_the_op_up(backend: str) -> None:
    """The tables are made from the registry, so importing the op adds its rows."""
    file = {"torch": "test_torch_lowerings.py", "onnx": "test_onnx_direct.py"}[backend]
    table = Path(__file__).with_name(file)
    options = [
        "-p",
        "netspec_clamp.op",
        "-p",
        "no:cacheprovider",
        "-q",
        "-k",
        "clamp-",
        "--no-header",
    ]
    done = run("-m", "pytest", str(table), *options)
    assert done.returncode == 0, done.stdout
    cases = 3
    passed = int(done.stdout.strip().splitlines()[-1].split()[0])
    assert passed >= cases


# -------------------------------------------------------------------------------- the backend

FIVE = """\
netspec: 1
name: five
inputs: {image: [3, 4, 5]}
body:
  pool: global_avg_pool
  flatten: flatten
  a: {linear: 6}
  relu: relu
  b: {linear: {out: 6, bias: false}}
  sum: {add: [relu, b]}
"""


@pytest.fixture
def five(tmp_path: Path) -> str:
    path = tmp_path / "five.yaml"
    path.write_text(FIVE)
    return str(path)


def test_a_backend_of_another_package_builds(five: str) -> None:
    script = """
import sys
import numpy as np
import netspec

weights = {"a.weight": np.arange(18.0).reshape(6, 3) - 9, "a.bias": np.arange(6.0) - 3,
           "b.weight": np.eye(6)[::-1].copy()}
model = netspec.build(sys.argv[1], backend="numpy", weights=weights)
print(model(np.stack([np.full((4, 5), float(c)) for c in range(3)])[None])[0].tolist())
"""
    pooled = np.array([0.0, 1.0, 2.0])
    hidden = np.maximum((np.arange(18.0).reshape(6, 3) - 9) @ pooled + np.arange(6.0) - 3, 0.0)
    assert json.loads(python(script, five)) == (hidden + hidden[::-1]).tolist()


def test_the_command_line_offers_the_backend(five: str, spec: str, tmp_path: Path) -> None:
    done = netspec("build", five, "--backend", "numpy", "-o", str(tmp_path))
    assert done.stdout.splitlines() == [
        str(tmp_path / "five_numpy.py"),
        str(tmp_path / "five.safetensors"),
    ]
    refused = netspec("build", spec, "--backend", "numpy", "-o", str(tmp_path / "none"))
    assert refused.returncode == 1
    assert "the numpy backend has no lowering for `conv`" in refused.stderr
    assert not (tmp_path / "none").exists()
    assert netspec("build", five, "--backend", "numpy", path="").returncode == 2


def rows(done: subprocess.CompletedProcess[str], subject: str) -> list[list[str]]:
    """The words of the lines of a report that are about a subject."""
    return [line.split() for line in done.stdout.splitlines() if line.strip().startswith(subject)]


@pytest.mark.parametrize("asked", [[], ["--runtime", "numpy"]])
def test_verify_runs_the_backend_on_the_runtime_of_its_package(asked: list[str], five: str) -> None:
    done = netspec("verify", five, "--backend", "numpy", *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    same, rounding = rows(done, "numpy source")
    assert (same[2], same[-1]) == ("numpy", "agreed")
    assert (rounding[2], rounding[3], rounding[-1]) == ("numpy", "float32", "agreed")


def test_verify_finds_a_mistake_of_the_backend(five: str) -> None:
    script = """
import sys
import netspec_numpy as backend
from netspec.cli import main

backend.OPS["relu"] = lambda x: f"abs({x})"
sys.exit(main(["verify", sys.argv[1], "--backend", "numpy"]))
"""
    done = run("-c", script, five)
    assert done.returncode == 1, done.stderr
    assert [row[-3:] for row in rows(done, "numpy source")] == [
        ["another", "function:", "output"],
        ["the", "noise:", "output"],
    ]


def test_verify_says_what_the_backend_and_its_runtime_cannot_do(five: str, spec: str) -> None:
    done = netspec("verify", five, "--backend", "numpy", "--runtime", "onnxruntime")
    assert done.returncode == 1
    assert "not run  onnxruntime runs ONNX files, which was not asked for" in done.stdout
    done = netspec("verify", spec, "--backend", "numpy")
    assert done.returncode == 1
    assert "the numpy backend has no lowering for `conv`" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_nothing_exports_through_a_backend_that_only_writes_source(
    five: str, tmp_path: Path
) -> None:
    done = netspec("export", five, "--backend", "numpy", "-o", str(tmp_path / "x.onnx"))
    assert done.returncode == 2
    assert "no exporter for backend 'numpy' (there are torch, keras, onnx)" in done.stderr
    assert list(tmp_path.iterdir()) == [Path(five)]


def test_the_case_table_runs_on_the_backend(tmp_path: Path) -> None:
    """All cases of its ops at once, as one network."""
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import netspec
import netspec_numpy
from netspec.exports.verify import verify_graph
from op_cases import table

graph = netspec.load(table(Path(sys.argv[2]), netspec_numpy.OPS, netspec_numpy.source))
report = verify_graph(graph, lambda backend: netspec_numpy.source(graph), backends=["numpy"])
print(report.render())
kinds = {node.op.kind for node in graph.nodes}
print(len(graph.nodes), bool(report), kinds == set(netspec_numpy.OPS))
"""
    told = python(script, str(PLUGINS.parent), str(tmp_path / "cases.yaml"))
    count, agreed, all_kinds = told.split()[-3:]
    assert int(count) >= 10
    assert (agreed, all_kinds) == ("True", "True")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("there_is_no_such_module:X", "cannot be imported: No module named"),
        ("json:dumps", "is no Runtime"),
    ],
)
def test_what_is_no_runtime_is_named(entry: str, words: str, five: str, tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[netspec.runtimes]\nx = {entry}\n")
    done = netspec("verify", five, path=tmp_path)
    assert done.returncode == 2
    assert f"{entry}, which is installed as netspec.runtimes, {words}" in done.stderr
