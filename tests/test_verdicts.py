"""What must not pass, or not for this reason: verdicts where a number, an output or a run lacks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli import main
from netspec.commands.runtimes import table
from netspec.exports.bench import Bench
from netspec.exports.jobs.tracing import Trace
from netspec.exports.noise import Figures, Prediction
from netspec.exports.plan import Task, rounding_plan, same_plan
from netspec.exports.report import AGREED, DISAGREED, FAILED, NodeError, NodeRow, Report, Row
from netspec.exports.reports.html_page import page
from netspec.exports.reports.report_file import ReportError, from_json, judged_again, to_json
from netspec.exports.runtimes import runtimes
from netspec.exports.same import Difference
from netspec.exports.training import Course, RateRow, TensorRow, TrainingReport
from netspec.exports.weights import read_fitting

REDUCED = {"conv": 8, "matmul": 8}
FEW = Figures(9.0, 9.0, 1.0, 1.0)


def a_report(*rows: Row, nodes: tuple[NodeRow, ...] = ()) -> Report:
    return Report("net", "probe weights", 0, rows, nodes=nodes)


def a_node(path: str, *inputs: str, error: NodeError | None = None) -> NodeRow:
    return NodeRow(path, "relu()", inputs, "4", "net.yaml:3:1", {"run": error})


def changed(report: Report, change: Callable[[Any], object]) -> str:
    data = json.loads(to_json([report]))
    change(data["reports"][0])
    return json.dumps(data)


# -- judging again


def test_no_limit_makes_float32_of_fewer_bits() -> None:
    row = Row(
        *("torch source", "torch", DISAGREED, {"y": FEW}, "beyond the noise: y"),
        info={"bits": REDUCED},
    )
    assert judged_again(a_report(row), 100.0, None).rows[0].status == DISAGREED
    exact = replace(row, info={"bits": {"conv": 24, "matmul": 24}})
    assert judged_again(a_report(exact), 100.0, None).rows[0].status == AGREED


def test_a_saved_verdict_that_its_figures_deny_is_none() -> None:
    row = Row("torch source", "torch", AGREED, {"y": FEW})
    assert judged_again(a_report(row), None, None).rows[0].reason == "beyond the noise: y"
    same = Row("torch source", "torch", AGREED, differences={"y": Difference(math.inf)})
    good = replace(row, figures={"y": Figures(1.0, 1.0, 1.0, 1.0)})
    again = judged_again(replace(a_report(good), same=(same,)), None, None)
    assert not again
    assert again.same[0].status == DISAGREED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["rows"][0].update(outputs={}), "rows[0] is 'agreed' without an output"),
        (lambda r: r.update(threshold=None), "threshold is not a number above 0"),
        (lambda r: r.update(threshold=0), "threshold is not a number above 0"),
        (lambda r: r.update(bound=-1), "bound is not a number above 0"),
        (lambda r: r["rows"][0].update(info={"bits": 8}), "info.bits is not an object"),
        (lambda r: r["rows"][0].update(info={"bits": {"conv": "8"}}), "conv is not a whole number"),
        (lambda r: r["nodes"][0].update(inputs=["b"]), "nodes[0] reads what does not stand"),
        (lambda r: r["nodes"][1].update(inputs=["b"]), "nodes[1] reads what does not stand"),
    ],
)
def test_what_no_measurement_gives_is_refused(
    change: Callable[[Any], object], message: str
) -> None:
    row = Row("torch source", "torch", AGREED, {"y": Figures(1.0, 1.0, 1.0, 1.0)})
    report = a_report(row, nodes=(a_node("a", "x"), a_node("b", "a")))
    assert from_json(to_json([report])) == [report]
    with pytest.raises(ReportError) as refused:
        from_json(changed(report, change))
    assert message in str(refused.value)


def test_a_report_does_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("\ud800", "torch", FAILED, reason="\x1b[2J\u202e", detail="red\nlines\x07")
    path = tmp_path / "report.json"
    path.write_text(to_json([a_report(row)]), encoding="utf-8")
    assert main(["judge", str(path)]) == 1
    printed = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in printed)
    assert "    lines\N{REPLACEMENT CHARACTER}\n" in printed


def test_a_page_shows_an_error_without_a_measure() -> None:
    endless = NodeError(math.inf, math.inf)
    assert endless.ratio == math.inf
    assert "inf" in page([a_report(nodes=(a_node("a", "x", error=endless),))])


# -- training


@pytest.mark.parametrize(
    ("error", "own"),
    [(math.nan, math.nan), (math.nan, 1.0), (math.inf, math.inf), (1.0, math.nan), (1e-9, 0.0)],
)
def test_training_without_a_measure_does_not_agree(error: float, own: float) -> None:
    row = TensorRow("gradient", "fc.weight", "fc", error, own)
    assert row.ratio == math.inf
    assert not TrainingReport("net", Course(), (row,), (), "")


def test_training_agrees_where_both_are_nothing() -> None:
    row = TensorRow("gradient", "fc.weight", "fc", 0.0, 0.0)
    assert TrainingReport("net", Course(), (row,), (), "")
    rate = RateRow("drop", "keras", 0.5, None)
    assert not TrainingReport("net", Course(), (row,), (rate,), "")


# -- running


def test_a_runtime_that_computes_nan_is_not_available() -> None:
    broken = Row("-", "torch", FAILED, reason="NaN", info={"bits": {"conv": 0, "matmul": 0}})
    few = Row("-", "torch", DISAGREED, reason="bfloat16", info={"bits": REDUCED})
    runtime = runtimes()["torch"]
    _, first, second = table([runtime, runtime], [broken, few])
    assert first.endswith("failed: NaN")
    assert second.endswith("available")


def test_the_sample_is_of_the_output_that_is_most_off() -> None:
    noise = np.zeros((1, 3, 2))
    truths = {"a": np.full((3, 2), 1e6), "b": np.ones((3, 2))}
    predictions = {name: Prediction(truth, noise) for name, truth in truths.items()}
    bench = Bench.__new__(Bench)
    object.__setattr__(bench, "predict", lambda lanes: predictions)
    results = {name: truth.copy() for name, truth in truths.items()}
    results["a"][0, 1] += 1e-3
    results["b"][2, 0] += 1e-1
    assert bench._worst_sample(results) == 2
    results["b"][1, 0] = np.nan
    assert bench._worst_sample(results) == 1
    assert bench._worst_sample({}) == 0


def test_a_file_named_as_an_export_is_not_judged_for_it(tmp_path: Path) -> None:
    plan = rounding_plan(["onnx"], ["onnxruntime"], tmp_path / "onnx export")
    files = [task.file for task in same_plan(plan) if isinstance(task, Task)]
    assert files == [None, tmp_path / "onnx export"]


def test_a_trace_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(path: Path, arrays: object) -> None:
        path.write_bytes(b"PK")
        raise MemoryError

    monkeypatch.setattr("netspec.exports.jobs.tracing.save_arrays", cut)
    with pytest.raises(MemoryError), Trace(0).saved(str(tmp_path / "values.npz")):
        pass
    assert not (tmp_path / "values.npz").exists()


MODEL = """\
import torch


class Model(torch.nn.Module):
    def forward(self, x):
        return x * (2.0 if torch.compiler.is_compiling() else 3.0)


def build_model():
    return Model()


def load_weights(model, path):
    pass
"""


def test_no_switch_of_the_user_leaves_the_compiler_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netspec.exports.arrays import load_arrays, save_arrays

    runtime = runtimes()["torch-compiled"]
    if reason := runtime.available():
        pytest.skip(f"torch: {reason}")
    for switch in ("TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE"):
        monkeypatch.setenv(switch, "1")
    source, inputs, result = tmp_path / "m.py", tmp_path / "x.npz", tmp_path / "y.npz"
    source.write_text(MODEL, encoding="utf-8")
    save_arrays(inputs, {"x": np.ones((2, 4), np.float32)})
    runtime.run(source=str(source), weights="", inputs=str(inputs), result=str(result), names=["y"])
    assert load_arrays(result)["y"].tolist() == [[2.0] * 4] * 2


# -- weights and options


def test_integers_do_not_fit_where_floats_belong() -> None:
    graph = netspec.load("lenet5")
    first, second = [w for w in graph.weights if w.trainable][:2]
    given = {first.key: np.ones(first.shape, np.int8), second.key: np.ones(second.shape)}
    found = read_fitting(graph, given)
    assert list(found.tensors) == [second.key]
    assert f"{first.key} {first.shape}: {first.shape} of integers in the file" in found.left


def test_a_size_of_thousands_of_digits_is_a_usage_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "lenet5", "--input", f"image={'9' * 5000},32,32"]) == 2
    assert "--input takes NAME=SIZES" in capsys.readouterr().err
