"""Reports as files: JSON that is judged again, JUnit XML, and per-node errors."""

from __future__ import annotations

import json
import math
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from netspec.backends.onnx import write
from netspec.cli import main
from netspec.exports.noise import Figures
from netspec.exports.probe import probe_weights
from netspec.exports.report import (
    AGREED,
    DISAGREED,
    FAILED,
    NOT_RUN,
    ROUNDED,
    Blame,
    NodeError,
    NodeRow,
    Report,
    Row,
)
from netspec.exports.reports.junit import junit
from netspec.exports.reports.report_file import ReportError, from_json, judged_again, to_json
from netspec.exports.same import Difference
from netspec.exports.training import Course, RateRow, TensorRow, TrainingReport
from netspec.exports.verify import verify_graph
from netspec.exports.worker import WorkerError

Capture = pytest.CaptureFixture[str]

_hand = runpy.run_path(str(Path(__file__).with_name("agreement_net.py")))
NET, SOURCES = _hand["small_net"](), _hand["SOURCES"]

HOSTILE = "<script>alert(1)</script> \"' & \x00\x1b[31m \u202e ]]> </svg>"


def figures(rms: float, largest: float) -> Figures:
    """Errors of these sizes where 2 is predicted."""
    return Figures(rms, largest, 2.0, 2.0)


def a_report(text: str = "net") -> Report:
    """A row of each status; the figures are small numbers, so that ratios are exact."""
    good, bad = Difference(1e-15), Difference(1e-3)
    beyond = f"beyond the noise: y; {text}"
    return Report(
        spec=text,
        weights="probe weights",
        seed=3,
        rows=(
            Row("torch source", "torch", AGREED, {"y": figures(2.0, 4.0)}, info={"version": text}),
            Row("keras source", "keras", AGREED, {"y": figures(1.0, 1.0), "z": figures(0.0, 0.0)}),
            Row("onnx export", "onnxruntime", DISAGREED, {"y": figures(9.0, 1.0)}, beyond),
            Row("torch export", "onnxruntime", FAILED, reason="NaN", detail=text, seconds=1.25),
            Row("-", "openvino", NOT_RUN, reason="not installed"),
            Row("keras export", "zero", DISAGREED, {"y": Figures(1.0, 1.0, 0.0, 0.0)}, beyond),
        ),
        notes=(text,),
        same=(
            Row("torch source", "torch", AGREED, differences={"y": good}),
            Row(
                *("onnx export", "evaluator", DISAGREED),
                differences={"y": bad, "z": good},
                reason="another function: y",
            ),
            Row("net.onnx", "evaluator", ROUNDED, differences={"y": Difference(1e-7)}),
        ),
        blames=(
            Blame(
                *("onnx export", "evaluator", text, "relu()", f"{text}:3:1", text),
                folded=("a", text),
                index=(0, 2),
                expected=1.0,
                actual=None,
                relative=None,
                alone=text,
                files=(text, "b.npz"),
            ),
        ),
        nodes=(
            NodeRow(
                path=text,
                op="conv(out=4)",
                inputs=("image",),
                shape="4x6x6",
                where=f"{text}:3:1",
                errors={"torch source on torch": NodeError(1.0, 2.0), text: None},
            ),
            NodeRow(
                path="relu",
                op="relu()",
                inputs=(text,),
                shape="4x6x6",
                where="net.yaml:4:1",
                errors={"torch source on torch": NodeError(math.inf, 0.0), text: None},
            ),
        ),
        command=f"netspec verify {text}",
        versions={"netspec": "0", text: text},
    )


# -- JSON


@pytest.mark.parametrize("text", ["net", HOSTILE])
def test_json_holds_all_of_a_report(text: str) -> None:
    reports = [a_report(text), replace(a_report(text), nodes=(), blames=())]
    written = to_json(reports)
    assert from_json(written) == reports
    assert json.loads(written)["agreed"] is False


def changed(*path: Any, to: Any) -> str:
    data = json.loads(to_json([a_report()]))
    *way, last = path
    place = data
    for step in way:
        place = place[step]
    if to is None:
        del place[last]
    else:
        place[last] = to
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        pytest.param("[" * 100_000, "not JSON", id="deep"),
        ('{"schema": NaN}', "NaN is no number of JSON"),
        ("[]", "not a report"),
        ('{"name": "package"}', "not a report"),
        (changed("schema", to=2), "schema 2"),
        (changed("schema", to="3"), "schema '3'"),
        (changed("reports", to={}), "reports is not a list"),
        (changed("reports", 0, to=7), "reports[0] has no 'spec'"),
        (changed("reports", 0, "seed", to=None), "reports[0] has no 'seed'"),
        (changed("reports", 0, "seed", to=True), "reports[0].seed is not a whole number"),
        (changed("reports", 0, "rows", 0, "outputs", to=[]), "rows[0].outputs is not an object"),
        (
            changed("reports", 0, "rows", 0, "outputs", "y", "rms", to="1"),
            "reports[0].rows[0].outputs.y.rms is not a number",
        ),
        (changed("reports", 0, "threshold", to=10**400), "not a number that a float holds"),
        (changed("reports", 0, "same", 1, "status", to=[]), "same[1].status is not text"),
    ],
)
def test_foreign_files_are_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(ReportError) as refused:
        from_json(text)
    assert message in str(refused.value)


# -- judging again


@pytest.mark.parametrize(
    ("limit", "agreed"),
    [
        # Ratios are rms/2 and max/2: 2 at most in the first row, 0.5 in the second, 4.5 in the
        # third; the last is without bound, because nothing was predicted.
        (4.0, [True, True, False, False, False, False]),
        (2.0, [True, True, False, False, False, False]),
        (1.9, [False, True, False, False, False, False]),
        (0.4, [False, False, False, False, False, False]),
        (5.0, [True, True, True, False, False, False]),
    ],
)
def test_another_limit_is_applied_to_the_figures(limit: float, agreed: list[bool]) -> None:
    again = judged_again(a_report(), limit, None)
    assert [row.status == AGREED for row in again.rows] == agreed
    assert again.limit == limit
    assert [row.status for row in again.same] == [row.status for row in a_report().same]
    assert again.rows[3].status == FAILED
    assert again.rows[4].status == NOT_RUN


def test_another_bound_is_applied_to_the_differences() -> None:
    wide = judged_again(a_report(), None, 0.01)
    assert [row.status for row in wide.same] == [AGREED, AGREED, ROUNDED]
    assert [row.reason for row in wide.same] == ["", "", ""]
    assert wide.rows == a_report().rows
    narrow = judged_again(a_report(), None, 1e-16)
    assert [row.status for row in narrow.same] == [DISAGREED, DISAGREED, ROUNDED]
    assert narrow.same[0].reason == "another function: y"


def test_a_row_that_its_figures_did_not_decide_keeps_its_status() -> None:
    # As where a runtime computed in reduced precision, and its figures would have passed.
    row = Row("onnx export", "openvino", DISAGREED, {"y": figures(1.0, 1.0)}, "bfloat16")
    report = replace(a_report(), rows=(row,))
    assert judged_again(report, 100.0, None).rows == (row,)
    # As where a file's nodes are off by more than rounding, though its outputs are not.
    reason = "another function: fc is off by more than rounded numbers explain"
    row = Row("a.onnx", "evaluator", DISAGREED, differences={"y": Difference(1e-7)}, reason=reason)
    report = replace(a_report(), same=(row,))
    assert judged_again(report, None, 1e-3).same == (row,)


def test_judging_back_gives_the_first_verdicts() -> None:
    report = a_report()
    back = judged_again(judged_again(report, 0.1, 1e-17), report.limit, report.bound)
    assert [row.status for row in back.rows] == [row.status for row in report.rows]
    assert [row.status for row in back.same] == [row.status for row in report.same]
    assert judged_again(report, report.limit, None) is report


# -- JUnit


@pytest.mark.parametrize("text", ["net", HOSTILE])
def test_junit_has_a_test_for_each_row(text: str) -> None:
    report = a_report(text)
    root = ElementTree.fromstring(junit([report, report]).encode())
    suites = root.findall("testsuite")
    assert [suite.get("tests") for suite in suites] == ["9", "9"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("18", "6", "4")
    found = [
        (case.get("name"), [child.tag for child in case]) for case in suites[0].iter("testcase")
    ]
    assert found[2] == ("net.onnx on evaluator", ["system-out"])
    assert found[5] == ("onnx export on onnxruntime", ["failure"])
    assert found[6] == ("torch export on onnxruntime", ["error"])
    assert found[7] == ("- on openvino", ["error"])
    assert not root.findall(".//skipped")
    failure = root.find(".//testcase[@classname]/failure[@message]")
    assert failure is not None
    assert failure.get("type") == DISAGREED


def test_junit_of_a_good_run_has_no_failures() -> None:
    report = replace(a_report(), rows=a_report().rows[:2], same=a_report().same[:1])
    root = ElementTree.fromstring(junit([report]).encode())
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "0", "0")


# -- nodes


def test_nodes_are_right_up_to_the_mistake_and_wrong_from_there(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write(NET, probe_weights(NET, 0), path)
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.name == "three.bias")
    tensor.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.5), "three.bias")
    )
    onnx.save(model, path)
    report = verify_graph(NET, SOURCES.__getitem__, model=path, nodes=True, folder=tmp_path)
    assert not report
    right = {"conv", "norm", "relu", "pool", "squeeze", "squeeze_relu", "one"}
    for node in report.nodes:
        error = node.errors["net.onnx on onnxruntime"]
        assert error is not None
        assert (error.ratio <= report.limit) == (node.path in right), node.path
    assert [node.path for node in report.nodes] == [node.path for node in NET.nodes]
    assert report.nodes[0].inputs == ("image",)
    written = to_json([report])
    assert to_json(from_json(written)) == written


def test_a_folded_node_is_not_seen() -> None:
    report = verify_graph(
        NET, SOURCES.__getitem__, backends=["torch"], runtimes=["onnxruntime"], nodes=True
    )
    assert report, report.render()
    errors = {node.path: node.errors["torch export on onnxruntime"] for node in report.nodes}
    assert errors["conv"] is None  # torch.onnx folds the batch norm into it
    seen = [error for path, error in errors.items() if path != "conv"]
    assert all(error is not None and error.ratio <= report.limit for error in seen)


# -- the commands


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    good = replace(a_report(), rows=a_report().rows[:2], same=(), blames=())
    path.write_text(to_json([good]), encoding="utf-8")
    return path


def test_judge_says_what_another_limit_gives(saved: Path, capsys: Capture) -> None:
    assert main(["judge", str(saved)]) == 0
    assert "net: agreed (2 of 2, each at most 4)" in capsys.readouterr().out
    assert main(["judge", str(saved), "--limit", "1"]) == 1
    out = capsys.readouterr().out
    assert "net: NOT agreed (1 of 2 agreed)" in out
    assert "beyond the noise: y" in out


def test_judge_writes_the_same_files(saved: Path, tmp_path: Path) -> None:
    names = [str(tmp_path / "new" / f"again.{kind}") for kind in ("json", "xml", "html")]
    options = ["--json", names[0], "--junit", names[1], "--html", names[2]]
    assert main(["judge", str(saved), "--limit", "1", *options]) == 1
    assert from_json(Path(names[0]).read_text())[0].limit == 1.0
    assert ElementTree.parse(names[1]).getroot().get("failures") == "1"
    assert "<svg" in Path(names[2]).read_text(encoding="utf-8")
    assert {p.name for p in (tmp_path / "new").iterdir()} == {
        *("again.json", "again.xml", "again.html")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["no.json"], "no report 'no.json'"),
        (["report.json", "--html", "."], "--html names a file, and . is a directory"),
        (["report.json", "--html", "a", "--junit", "./a"], "--junit and --html name one file"),
        (["report.json", "--json", "report.json/x"], "report.json takes no files"),
    ],
)
def test_a_wrong_judge_exits_with_2(
    options: list[str],
    message: str,
    saved: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(saved.parent)
    assert main(["judge", *options]) == 2
    assert message in capsys.readouterr().err
    assert [p.name for p in saved.parent.iterdir()] == ["report.json"]


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "four"])
def test_a_limit_is_a_number_above_0(limit: str, saved: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["judge", str(saved), f"--limit={limit}"])
    assert refused.value.code == 2
    assert "a limit is a number above 0" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"{}", b"\xff\xfe", b"", b'{"schema": 1, "reports": []}'])
def test_what_is_no_report_exits_with_1(content: bytes, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    assert main(["judge", str(path), "--html", str(tmp_path / "page.html")]) == 1
    assert "other.json cannot be judged" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["other.json"]


def test_a_report_of_nothing_is_no_agreement(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text(to_json([]))
    assert main(["judge", str(path)]) == 1


def test_verify_writes_every_kind_of_file(tmp_path: Path, capsys: Capture) -> None:
    command = ["verify", "lenet5", "--set", "num_classes=7", "--backend", "onnx"]
    command += ["--runtime", "onnxruntime"]
    files = ["--json", "r.json", "--junit", "r.xml", "--html", "r.html"]
    named = [str(tmp_path / word) if "." in word else word for word in files]
    assert main([*command, *named]) == 0
    capsys.readouterr()
    (report,) = from_json((tmp_path / "r.json").read_text())
    assert report.command == f"netspec {' '.join(command)} --seed 0"
    assert report.versions["onnx"] == onnx.__version__
    assert len(report.nodes) == 12
    errors = [node.errors["onnx export on onnxruntime"] for node in report.nodes]
    assert all(error is not None and error.ratio <= 4 for error in errors)
    assert ElementTree.parse(tmp_path / "r.xml").getroot().get("tests") == "2"
    assert main(["judge", str(tmp_path / "r.json"), "--limit", "1e-6"]) == 1


# -- training


def test_training_is_part_of_the_report_and_of_the_exit_code(
    tmp_path: Path, capsys: Capture
) -> None:
    good, bad = (
        TensorRow("gradient", "fc.weight", "fc", 2.0, 1.0),
        RateRow("drop", "keras", 0.5, 0.4),
    )
    course = Course(batch=2, steps=3)
    right = TrainingReport("net", course, (good,), (), "")
    wrong = TrainingReport("net", course, (good,), (bad, RateRow("b", "torch", 0.5, None)), "drop")
    report = replace(a_report(), rows=a_report().rows[:2], same=())
    assert replace(report, training=right)
    path = tmp_path / "r.json"
    for training, code, failures in ((right, 0, "0"), (wrong, 1, "1")):
        path.write_text(to_json([replace(report, training=training)]))
        assert from_json(path.read_text()) == [replace(report, training=training)]
        files = [str(tmp_path / name) for name in ("r.xml", "r.html")]
        assert main(["judge", str(path), "--junit", files[0], "--html", files[1]]) == code
        assert training.render() in capsys.readouterr().out
        suites = ElementTree.parse(files[0]).getroot()
        assert (suites.get("tests"), suites.get("failures")) == ("3", failures)
        assert "Do they train alike?" in Path(files[1]).read_text(encoding="utf-8")


def test_training_that_fails_is_a_row(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def broken(*unused: Any, **options: Any) -> TrainingReport:
        raise WorkerError("torch ran out of patience", "the last line")

    monkeypatch.setattr("netspec.exports.training.training_of", broken)
    command = ["verify", "lenet5", "--backend", "onnx", "--runtime", "onnxruntime", "--training"]
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "torch ran out of patience" in out
    assert "the last line" in out


def test_training_goes_with_no_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "net.onnx").write_bytes(b"")
    assert main(["verify", "lenet5", "--training", "--model", str(tmp_path / "net.onnx")]) == 2
    assert "--training is of fresh networks" in capsys.readouterr().err
