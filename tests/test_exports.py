"""Exports: one interface from three exporters, files that appear whole or not at all, weights."""

from __future__ import annotations

import os
import pickle
import runpy
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from netspec.exports.export import BACKENDS, export_graph
from netspec.exports.fit import run_fitted
from netspec.exports.noise import judge, predict
from netspec.exports.onnx_file import (
    Interface,
    Port,
    check_interface,
    expected_interface,
    finish,
    interface,
)
from netspec.exports.probe import probe_inputs, probe_weights
from netspec.exports.verify import verify
from netspec.exports.weights import read_weights
from netspec.exports.worker import WorkerError
from netspec.graph import Graph

_hand = runpy.run_path(str(Path(__file__).with_name("agreement_net.py")))
SOURCES = _hand["SOURCES"]
NET: Graph = _hand["small_net"]()
WEIGHTS = probe_weights(NET, 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The network exported three ways."""
    folder = tmp_path_factory.mktemp("exports")
    paths = {backend: folder / f"{backend}.onnx" for backend in BACKENDS}
    for backend, path in paths.items():
        export_graph(NET, SOURCES.__getitem__, WEIGHTS, path, backend=backend)
    return paths


# ---- the three files


@pytest.mark.parametrize("backend", BACKENDS)
def test_interface_is_the_specs(files: dict[str, Path], backend: str) -> None:
    found = interface(files[backend])
    assert str(found) == (
        "image float32[batch, 3, 19, 24] -> "
        "features float32[batch, 8, 3, 4], logits float32[batch, 5]"
    )
    model = onnx.load(files[backend])
    assert model.ir_version <= 10
    assert {o.version for o in model.opset_import if o.domain == ""} == {18}


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_are_plain_whole_and_alone(files: dict[str, Path], backend: str) -> None:
    """A grouped convolution is one Conv; no function calls, and no path of this machine."""
    model = onnx.load(files[backend])
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Conv"] == 5
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    assert str(files[backend].parent.parent).encode() not in files[backend].read_bytes()
    assert b"site-packages" not in files[backend].read_bytes()
    assert sorted(p.name for p in files[backend].parent.iterdir()) == sorted(
        p.name for p in files.values()
    )


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_batch_agrees(files: dict[str, Path], backend: str, batch: int) -> None:
    inputs = probe_inputs(NET, 5, batch)
    session = onnxruntime.InferenceSession(files[backend], providers=["CPUExecutionProvider"])
    results = dict(zip(("features", "logits"), session.run(None, inputs), strict=True))
    for name, prediction in predict(NET, WEIGHTS, inputs).items():
        assert judge(prediction, results[name]).agreed


# ---- failure


GROUPS = """
netspec: 1
name: groups
inputs: {clip: [4, 4, 6, 6]}
body:
  - conv: {out: 8, kernel: 3, padding: 1, groups: 2}
  - conv: {out: 16, kernel: 3, stride: 2, padding: same, groups: 8}
  - conv_transpose: {out: 8, kernel: 2, stride: 2, groups: 4}
"""


def test_groups_in_three_dimensions_through_keras(tmp_path: Path) -> None:
    """tf2onnx does not state them, and no runtime could run the file."""
    spec = tmp_path / "groups.yaml"
    spec.write_text(GROUPS, encoding="utf-8")
    report = verify(spec, backends=["keras"])
    assert len(report.rows) == 2
    assert report, report.render()


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('no')",
        "import os\nos.kill(os.getpid(), 9)",
        SOURCES["torch"].replace("return features, ", "return features + 0, features, "),
        SOURCES["torch"].replace("return features, ", "return features[:, :4], "),
    ],
    ids=["raises", "killed", "extra output", "wrong shape"],
)
def test_failed_export_leaves_the_folder_as_it_was(source: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"the old file")
    with pytest.raises(WorkerError):
        export_graph(NET, lambda _: source, WEIGHTS, path, backend="torch")
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_bytes() == b"the old file"


def test_unknown_backend(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no exporter for backend 'caffe'"):
        export_graph(NET, SOURCES.__getitem__, WEIGHTS, tmp_path / "x.onnx", backend="caffe")


# ---- the interface of a file


def _model(inner: str = "h", shape: tuple[Any, ...] = (None, 3)) -> onnx.ModelProto:
    """y = relu(x + 1), whose inner value has a chosen name."""
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    nodes = [
        helper.make_node("Add", ["input:0", "one"], [inner], doc_string="/home/me"),
        helper.make_node("Relu", [inner], ["output:0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input:0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output:0", TensorProto.FLOAT, None)],
        [one],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


WANTED = Interface((Port("x", "float32", ("batch", 3)),), (Port("y", "float32", ("batch", 3)),))


@pytest.mark.parametrize("inner", ["h", "x", "y"])
def test_finish_renames_around_inner_values(inner: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    finish(_model(inner), WANTED, path)
    assert interface(path) == WANTED
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"x": np.array([[-2, 0, 3]], np.float32)})
    assert y.tolist() == [[0, 1, 4]]
    assert b"/home/me" not in path.read_bytes()


def test_finish_refuses_another_shape(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"interface is x float32\[2, 3\]"):
        finish(_model(shape=(2, 3)), WANTED, tmp_path / "m.onnx")


def test_interface_passes_as_json() -> None:
    assert Interface.of(asdict(expected_interface(NET))) == expected_interface(NET)


def test_check_interface_names_both(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"interface is image .* not x float32"):
        check_interface(files["onnx"], WANTED)


# ---- files with other ports


def _fit(shape: tuple[Any, ...], out: tuple[Any, ...], run: Any, x: Any, wanted: Any) -> Any:
    ports = Interface((Port("other", "float16", shape),), (Port("result", "float16", out),))
    return run_fitted(ports, {"image": x}, {"y": wanted}, run)["y"]


def test_fit_channels_last_and_other_names() -> None:
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    seen = []

    def run(feeds: dict[str, Any]) -> list[Any]:
        seen.append((feeds["other"].shape, feeds["other"].dtype.name))
        return [feeds["other"]]

    y = _fit(("N", 4, 5, 3), ("N", 4, 5, 3), run, x, (3, 4, 5))
    assert seen == [((n, 4, 5, 3), "float16") for n in (1, 2)]  # one sample alone, then all
    np.testing.assert_array_equal(y, x)


def test_fit_fixed_batch_in_parts() -> None:
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    sizes = []

    def run(feeds: dict[str, Any]) -> list[Any]:
        sizes.append(len(feeds["other"]))
        return [feeds["other"] * 2]

    np.testing.assert_array_equal(_fit((2, 2), (2, 2), run, x, (2,)), x * 2)
    assert sizes == [2, 2]
    sizes.clear()
    np.testing.assert_array_equal(_fit((3, 2), (3, 2), run, x, (2,)), x * 2)
    assert sizes == [3, 3]


def test_fit_refuses_another_size() -> None:
    with pytest.raises(ValueError, match=r"cannot take a value of shape \(3, 4, 5\)"):
        _fit(("N", 3, 9, 9), ("N", 3), None, np.zeros((2, 3, 4, 5)), (3,))


# ---- weights


def test_weights_are_checked_strictly() -> None:
    wrong = {key: w for key, w in WEIGHTS.items() if key != "fc.bias"}
    wrong["fc.biass"] = WEIGHTS["fc.bias"]
    wrong["one.weight"] = WEIGHTS["three.weight"]
    with pytest.raises(ValueError, match="missing") as problem:
        read_weights(NET, wrong)
    assert str(problem.value) == (
        "these are not the weights of net: missing fc.bias; unexpected fc.biass; "
        "shape one.weight (6, 4, 3, 3) for (6, 4, 1, 1)"
    )


def test_weights_from_files(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file({k: w for k, w in WEIGHTS.items() if "num_batches" not in k}, file)
    state = tmp_path / "w.pth"
    code = (
        "import sys, torch; from safetensors.torch import load_file; "
        "torch.save(load_file(sys.argv[1]), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(file), str(state)], check=True)
    for path in (file, state):
        found = read_weights(NET, path)
        assert list(found) == [w.key for w in NET.weights]
        for key, w in WEIGHTS.items():
            np.testing.assert_array_equal(found[key], w)


class Evil:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("owned",))


def test_a_state_dict_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"fc.weight": Evil()}))
    with pytest.raises(ValueError, match="UnpicklingError"):
        read_weights(NET, path)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pt"]


def test_weight_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_weights(NET, tmp_path / "absent.safetensors")
    text = tmp_path / "w.txt"
    text.write_text("1 2 3")
    with pytest.raises(ValueError, match=r"w\.txt is no weight file"):
        read_weights(NET, text)
