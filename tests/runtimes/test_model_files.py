"""Files given to `verify --model`: those that are no models, and a fixed batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import netspec
from netspec import cli
from netspec.exports.probe import probe_weights
from netspec.exports.report import FAILED, Report
from netspec.exports.verify import verify


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no model", "bad.onnx is not a readable ONNX file"),
        (b"", "bad.onnx holds no network"),
    ],
)
def test_a_file_that_is_not_onnx_is_refused_in_a_line(
    content: bytes, words: str, spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    assert cli.main(["verify", str(spec), "--model", str(path)]) == 1
    out, err = capsys.readouterr()
    assert sum(words in line for line in out.splitlines()) == 2  # one for each question
    assert "Traceback" not in out + err
    assert "the end of its log" not in out


def broken(spec: Path, path: Path, change: Callable[[Any], None]) -> Report:
    """The verification of a file after a change to its model."""
    netspec.export(spec, path, backend="onnx")
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return verify(spec, model=path)


def _cycle(model: Any) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].input[0]


def _truncate(model: Any) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:5]


@pytest.mark.parametrize("change", [_cycle, _truncate])
def test_an_invalid_file_is_refused_in_a_line(
    change: Callable[[Any], None], spec: Path, tmp_path: Path
) -> None:
    report = broken(spec, tmp_path / "bad.onnx", change)
    assert [row.status for row in (*report.same, *report.rows)] == [FAILED, FAILED]
    assert report.same[0].reason.startswith("bad.onnx is not valid ONNX: ")
    assert report.rows[0].reason.startswith("ONNX Runtime makes no session: ")
    assert not report.same[0].detail + report.rows[0].detail
    assert not report.blames


def test_a_fixed_batch_need_not_divide_that_of_the_probes(spec: Path, tmp_path: Path) -> None:
    def fix(model: Any) -> None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 5

    path = tmp_path / "five.onnx"
    weights = probe_weights(netspec.load(spec), 0)
    netspec.export(spec, path, backend="onnx", weights=weights)
    model = onnx.load(path)
    fix(model)
    onnx.save(model, path)
    report = verify(spec, model=path)
    assert report, report.render()
