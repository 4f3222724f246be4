"""The agreement check: its prediction holds, it sees mistakes, and what fails is called failed."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from netspec.backends.onnx import write
from netspec.exports import export, verify
from netspec.exports import runtimes as registry
from netspec.exports.noise import ComparisonError, Prediction, judge, predict
from netspec.exports.probe import insensitive, probe_inputs, probe_weights
from netspec.exports.report import AGREED, DISAGREED, FAILED, NOT_RUN
from netspec.exports.runtimes import Runtime
from netspec.exports.verify import verify_graph
from netspec.exports.worker import WorkerError, call
from netspec.graph import Graph, Output
from netspec.reference import evaluate

_hand = runpy.run_path(str(Path(__file__).with_name("agreement_net.py")))
Net, small_net = _hand["Net"], _hand["small_net"]
SOURCES, TORCH = _hand["SOURCES"], _hand["TORCH"]
NET: Graph = small_net()


# ---- the prediction


def chain(depth: int) -> Graph:
    net = Net(image=(3, 20, 20))
    for index in range(depth):
        net.add(f"conv{index}", "conv", out=16, kernel=3, padding=1, bias=False)
        net.add(f"norm{index}", "batch_norm")
        net.add(f"relu{index}", "relu")
    net.add("pool", "global_avg_pool")
    net.add("flatten", "flatten")
    graph: Graph = net.graph(logits=net.add("fc", "linear", out=10))
    return graph


CHAIN = """
import torch
from safetensors.torch import load_file
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        for i in range({depth}):
            channels = 16 if i else 3
            self.add_module("conv%d" % i, nn.Conv2d(channels, 16, 3, padding=1, bias=False))
            self.add_module("norm%d" % i, nn.BatchNorm2d(16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        for i in range({depth}):
            x = getattr(self, "norm%d" % i)(getattr(self, "conv%d" % i)(x)).relu()
        return self.fc(x.mean((2, 3)))


def build_model():
    return Net()


def load_weights(model, path):
    model.load_state_dict(load_file(path))
"""


def perceptron() -> Graph:
    net = Net(x=(50,))
    for index in range(3):
        net.add(f"fc{index}", "linear", out=300)
        net.add(f"gelu{index}", "gelu")
    net.add("fc3", "linear", out=20)
    graph: Graph = net.graph(p=net.add("softmax", "softmax"))
    return graph


PERCEPTRON = """
from safetensors.torch import load_file
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc0, self.fc1 = nn.Linear(50, 300), nn.Linear(300, 300)
        self.fc2, self.fc3 = nn.Linear(300, 300), nn.Linear(300, 20)

    def forward(self, x):
        for layer in (self.fc0, self.fc1, self.fc2):
            x = nn.functional.gelu(layer(x))
        return self.fc3(x).softmax(1)


def build_model():
    return Net()


def load_weights(model, path):
    model.load_state_dict(load_file(path))
"""


@pytest.mark.parametrize(
    ("graph", "source"),
    [
        (NET, TORCH),
        (chain(3), CHAIN.format(depth=3)),
        (chain(12), CHAIN.format(depth=12)),
        (perceptron(), PERCEPTRON),
    ],
    ids=["fire", "chain3", "chain12", "perceptron"],
)
def test_prediction_is_safe_and_tight_for_torch(graph: Graph, source: str) -> None:
    report = verify_graph(graph, lambda _: source, backends=["torch"], runtimes=["torch"])
    assert report, report.render()
    for figures in report.rows[0].figures.values():
        assert 0.05 < figures.ratio_rms < 2.0
        assert 0.05 < figures.ratio_max < 2.0


def test_prediction_leaves_the_truth_alone_and_repeats() -> None:
    weights, inputs = probe_weights(NET, 0), probe_inputs(NET, 0, 2)
    once, again = (predict(NET, weights, inputs, seed=3) for _ in range(2))
    values = {NET.inputs[0]: inputs["image"].astype(np.float64)}
    plain = evaluate(NET.nodes, weights, values, keep=True)
    for output in NET.outputs:
        np.testing.assert_allclose(once[output.name].truth, plain[output.value], rtol=1e-10)
        np.testing.assert_array_equal(once[output.name].noise, again[output.name].noise)


def test_where_nothing_rounds_only_equality_agrees() -> None:
    net = Net(x=(6, 5))
    net.add("relu", "relu")
    graph = net.graph(y=net.add("slice", "slice", start=1, stop=4))
    inputs = probe_inputs(graph, 0, 2)
    prediction = predict(graph, {}, inputs)["y"]
    exact = np.maximum(inputs["x"], 0)[:, 1:4]
    assert judge(prediction, exact).agreed
    assert not judge(prediction, np.nextafter(exact, np.float32(9))).agreed


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "missing"),
        (np.zeros((2, 4)), "shape"),
        (np.array([[0, 1, np.nan]]), "1 of 3 output values are NaN"),
        (np.array([[0, np.inf, 1]]), "1 of 3 output values are infinity"),
    ],
)
def test_what_cannot_be_measured(result: Any, words: str) -> None:
    prediction = Prediction(np.zeros((1, 3)), np.ones((4, 1, 3)))
    with pytest.raises(ComparisonError, match=words):
        judge(prediction, result)


# ---- the probes


def test_probes_are_calibrated_and_sensitive() -> None:
    weights, inputs = probe_weights(NET, 0), probe_inputs(NET, 1, 2)
    assert set(weights) == {w.key for w in NET.weights}
    assert weights["norm.num_batches_tracked"].dtype == np.int64
    values = {NET.inputs[0]: inputs["image"].astype(np.float64)}
    found = evaluate(NET.nodes, weights, values, keep=True)
    by_name = {value.name: array for value, array in found.items()}
    variance = by_name["conv"].var((0, 2, 3))
    assert (variance < 0.01).all()  # so that an epsilon of 1e-5 shows in float32
    assert (np.abs(weights["norm.running_var"] / variance - 1) < 4).all()
    assert 0.5 < by_name["logits" if "logits" in by_name else "fc"].std() < 3
    assert 0.1 < (by_name["norm"] > 0).mean() < 0.9
    kernel = weights["three.weight"]
    assert not np.allclose(kernel, kernel[..., ::-1], rtol=0.1)
    assert insensitive({"fc": by_name["fc"]}) == []


def test_training_heads_are_calibrated_and_left_out() -> None:
    net = Net(image=(3, 16, 16))
    stem = net.add("stem", "conv", out=6, kernel=3, bias=False)
    net.add("head", "conv", stem, out=4, kernel=1)
    norm = net.add("head_norm", "batch_norm")
    graph = net.graph(y=net.add("relu", "relu", stem))
    graph = replace(graph, outputs=(*graph.outputs, Output("aux", norm, training=True)))
    weights, inputs = probe_weights(graph, 0), probe_inputs(graph, 1, 4)
    assert set(predict(graph, weights, inputs)) == {"y"}
    values = {graph.inputs[0]: inputs["image"].astype(np.float64)}
    found = evaluate(graph.nodes, weights, values, keep=True)
    assert 0.5 < found[norm].std() < 2


def test_insensitive_outputs_are_named() -> None:
    still = np.array([[1.0, 2.0], [1.001, 2.001]])
    assert insensitive({"still": still, "moving": np.eye(2)}) == ["still"]


# ---- mistakes


def with_edits(*edits: tuple[str, str]) -> Callable[[str], str]:
    def source(backend: str) -> str:
        text: str = SOURCES[backend]
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        return text

    return source


@pytest.mark.parametrize(
    ("backend", "edit"),
    [
        ("torch", ("eps=1e-5", "eps=1e-3")),
        ("torch", ("[self.one(x), self.three(x)]", "[self.three(x), self.one(x)]")),
        ("keras", ("layers.Permute((3, 1, 2))(features)", "features")),
        (
            "keras",
            (
                "x = layers.ZeroPadding2D(1)(image)\n    "
                'x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(x)',
                'x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, '
                'name="conv")(image)',
            ),
        ),
    ],
    ids=["epsilon", "concat-order", "flatten-order", "same-for-symmetric"],
)
def test_wrong_sources_disagree(backend: str, edit: tuple[str, str]) -> None:
    report = verify_graph(NET, with_edits(edit), backends=[backend], runtimes=[backend])
    assert [row.status for row in report.rows] == [DISAGREED]
    assert not report


def _node(model: ModelProto, kind: str, index: int = 0) -> Any:
    return [node for node in model.graph.node if node.op_type == kind][index]


def _set(node: Any, **attributes: Any) -> None:
    for name, value in attributes.items():
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


def _change_weight(model: ModelProto, name: str, change: Callable[[Any], Any]) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), name))


def _nan(array: Any) -> Any:
    array.flat[0] = np.nan
    return array


MUTANTS: dict[str, tuple[Callable[[ModelProto], Any], str, str]] = {
    "epsilon": (lambda m: _set(_node(m, "BatchNormalization"), epsilon=2e-5), DISAGREED, "noise"),
    "padding side": (lambda m: _set(_node(m, "Conv"), pads=[2, 1, 0, 1]), DISAGREED, "noise"),
    "bias dropped": (
        lambda m: _change_weight(m, "squeeze.bias", np.zeros_like),
        DISAGREED,
        "noise",
    ),
    "transposed kernel": (
        lambda m: _change_weight(
            m, "three.weight", lambda w: np.ascontiguousarray(w.swapaxes(2, 3))
        ),
        DISAGREED,
        "noise",
    ),
    "one weight": (
        lambda m: _change_weight(
            m, "grouped.weight", lambda w: np.where(w == w.max(), np.float32(1.001) * w, w)
        ),
        DISAGREED,
        "noise",
    ),
    "NaN": (lambda m: _change_weight(m, "fc.bias", _nan), FAILED, "NaN"),
    "missing output": (lambda m: m.graph.output.pop(), FAILED, "outputs are features"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_wrong_files_are_found(mutant: str, tmp_path: Path) -> None:
    weights = probe_weights(NET, 0)
    path = tmp_path / "mutant.onnx"
    write(NET, weights, path)
    change, status, words = MUTANTS[mutant]
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    report = verify_graph(NET, SOURCES.__getitem__, model=path)
    assert [(row.subject, row.status) for row in report.rows] == [("mutant.onnx", status)]
    assert words in report.rows[0].reason
    assert not report


# ---- what does not run


def only(report: Any) -> Any:
    (row,) = report.rows
    assert not report
    return row


def test_unreadable_and_absent_files_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"this is no model")
    assert only(verify_graph(NET, SOURCES.__getitem__, model=bad)).status == FAILED
    absent = only(verify_graph(NET, SOURCES.__getitem__, model=tmp_path / "absent.onnx"))
    assert (absent.status, absent.reason) == (
        FAILED,
        "absent.onnx does not exist",
    )


def test_a_wrong_shape_fails() -> None:
    edits = with_edits(("return features, ", "return features[:, :, 1:], "))
    row = only(verify_graph(NET, edits, backends=["torch"], runtimes=["torch"]))
    assert row.status == FAILED
    assert row.reason == "features: the output's shape is (7, 8, 2, 4), not (7, 8, 3, 4)"


def test_a_killed_worker_fails() -> None:
    suicide = "import os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), 9)\n"
    report = verify_graph(NET, lambda _: suicide, backends=["torch"], runtimes=["torch"])
    row = only(report)
    assert (row.status, row.reason) == (FAILED, "torch_run was killed by SIGKILL")
    assert "last words" in report.render()


def test_a_slow_worker_is_stopped() -> None:
    with pytest.raises(WorkerError, match=r"longer than 0\.5 s"):
        call("subprocess:run", timeout=0.5, args=["sleep", "3"])


def test_a_raising_worker_tells_why() -> None:
    with pytest.raises(WorkerError, match=r"FileNotFoundError: .*no-such-command"):
        call("subprocess:run", args=["no-such-command"])


def test_an_unavailable_runtime_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Runtime("absent", "onnxruntime_run", lambda: "no such device")
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, absent))
    report = verify_graph(
        NET, SOURCES.__getitem__, backends=["onnx"], runtimes=["onnxruntime", "absent"]
    )
    assert [(row.runtime, row.status, row.reason) for row in report.rows] == [
        ("onnxruntime", AGREED, ""),
        ("absent", NOT_RUN, "no such device"),
    ]
    assert not report


def test_a_missing_provider_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"provider": "NoSuchExecutionProvider"}
    ghost = Runtime("ghost", "onnxruntime_run", lambda: None, options=options)
    monkeypatch.setattr(registry, "BUILT_IN", (ghost,))
    row = only(verify_graph(NET, SOURCES.__getitem__, backends=["onnx"], runtimes=["ghost"]))
    assert row.status == FAILED
    assert "NoSuchExecutionProvider is not in this build" in row.reason


def test_a_runtime_without_its_backend_is_not_run() -> None:
    row = only(verify_graph(NET, SOURCES.__getitem__, backends=["onnx"], runtimes=["torch"]))
    assert row.status == NOT_RUN


@pytest.mark.parametrize("asked", [{"runtimes": ["tourch"]}, {"backends": ["kears"]}])
def test_unknown_names_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is called (tourch|kears): there are .*torch"):
        verify_graph(NET, SOURCES.__getitem__, **asked)


def test_a_missing_exporter_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(export.NEEDS, "keras", ("no_such_package",))
    row = only(verify_graph(NET, SOURCES.__getitem__, backends=["keras"], runtimes=["onnxruntime"]))
    assert (row.status, row.reason) == (NOT_RUN, "not installed: no_such_package")


# ---- the whole


SPEC = """
netspec: 1
name: tiny
params: {width: 6}
inputs: {image: [3, 9, 8]}
body:
  stem: {conv: {out: =width, kernel: 3}}
  norm: batch_norm
  act: relu
  pool: global_avg_pool
  flatten: flatten
  fc: {linear: 4}
"""


def test_verify_reads_a_spec_and_weights(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC)
    only_direct: dict[str, Any] = {"backends": ["onnx"], "runtimes": ["onnxruntime"]}
    assert verify.verify(spec, **only_direct, width=4, inputs={"image": (3, 12, 7)})
    file = tmp_path / "tiny.onnx"
    export.export(spec, file, backend="onnx", seed=3, width=5)
    weights = {
        t.name: numpy_helper.to_array(t)
        for t in onnx.load(file).graph.initializer
        if t.name.split(".")[0] in ("stem", "norm", "fc")
    }
    assert weights["stem.weight"].shape == (5, 3, 3, 3)
    assert verify.verify(spec, model=file, weights=weights, width=5)
    weights["fc.bias"] = weights["fc.bias"] + 1
    assert not verify.verify(spec, model=file, weights=weights, width=5)


def test_everything_agrees_and_is_reported() -> None:
    said: list[str] = []
    report = verify_graph(NET, SOURCES.__getitem__, progress=said.append)
    assert report, report.render()
    assert [(row.subject, row.runtime) for row in report.rows] == [
        ("torch source", "torch"),
        ("keras source", "keras"),
        ("torch export", "onnxruntime"),
        ("keras export", "onnxruntime"),
        ("onnx export", "onnxruntime"),
    ]
    assert said
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["agreed"] is True
    assert set(data["rows"][0]["outputs"]) == {"features", "logits"}
    text = report.render()
    assert text.splitlines()[-1] == "net: agreed (5 of 5, each at most 4)"
    assert not replace(report, rows=())
