"""Every runtime runs or says why not, and is right about one network."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from netspec import cli
from netspec.commands import runtimes as command
from netspec.exports.precision import CONV, MATMUL
from netspec.exports.report import AGREED, DISAGREED, NOT_RUN, Report, Row
from netspec.exports.runtimes import BUILT_IN, Runtime
from netspec.exports.verify import verify
from tests.runtimes.rows import judged, run_or_skip
from tests.software_vulkan import environment

VULKAN = environment()
FILE_RUNTIMES = ("onnxruntime", "openvino", "openvino-bf16", "onnxruntime-webgpu")


@cache
def survey() -> dict[str, dict[str, Any]]:
    """What `netspec runtimes --json` prints, by name."""
    out = StringIO()
    with redirect_stdout(out):
        assert cli.main(["runtimes", "--json"]) == 0
    return {row["name"]: row for row in json.loads(out.getvalue())}


@pytest.mark.parametrize("name", [runtime.name for runtime in BUILT_IN])
def test_a_runtime_runs_or_says_why_not(name: str) -> None:
    row = survey()[name]
    if row["status"] == NOT_RUN:
        assert row["reason"]
        pytest.skip(f"{name}: {row['reason']}")
    assert row["status"] == "available", row["reason"]
    assert row["version"]
    assert row["device"]
    assert set(row["bits"]) == {CONV, MATMUL}
    if name == "openvino-bf16":
        assert row["arithmetic"] == "bfloat16: 8 bits"
        assert row["settings"] == {"INFERENCE_PRECISION_HINT": "bf16"}
    else:
        assert row["arithmetic"] == "float32"


def test_the_table_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Made of what was found, so that nothing runs twice."""
    absent = Runtime("absent", "no:job", lambda: "no such device", "torch")
    rows = [
        judged(0.5, version="1.2", device="CPU", bits={CONV: 24}, arithmetic="float32"),
        Row("b source", "absent", NOT_RUN, reason="no such device"),
    ]
    lines = command.table([BUILT_IN[0], absent], rows)
    assert [line.split() for line in lines] == [
        ["runtime", "runs", "version", "device", "arithmetic", "status"],
        ["torch", "torch", "source", "1.2", "CPU", "float32", "available"],
        ["absent", "torch", "source", "-", "-", "-", "not", "run:", "no", "such", "device"],
    ]


@pytest.fixture(scope="module")
def report(spec: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VULKAN.items():
            patch.setenv(name, value)
        return verify(spec, backends=["onnx"], runtimes=FILE_RUNTIMES)


@pytest.mark.parametrize("name", FILE_RUNTIMES)
def test_convolutions_are_right_on_every_runtime_of_files(name: str, report: Report) -> None:
    row = run_or_skip(next(row for row in report.rows if row.runtime == name))
    if name == "openvino-bf16":
        assert row.status == DISAGREED
        assert row.reason.startswith("computed in bfloat16: 8 bits of 24 in conv and matmul")
        return
    assert row.status == AGREED, row.reason
    assert 0.05 < (row.ratio_rms or 0.0) < 2.0


def test_every_node_is_on_the_gpu(report: Report) -> None:
    row = run_or_skip(next(row for row in report.rows if row.runtime == "onnxruntime-webgpu"))
    assert list(row.info["placement"]) == ["WebGpuExecutionProvider"]
    assert row.info["placement"]["WebGpuExecutionProvider"] >= 7
    assert row.info["elsewhere"] == []


def test_one_source_runs_on_two_engines_side_by_side(spec: Path) -> None:
    """Each has a source file of its own; dropout brings variables that are no floats."""
    report = verify(spec, backends=["keras"], runtimes=["keras", "keras-torch"])
    rows = [run_or_skip(row) for row in report.rows]
    assert [(row.status, row.reason) for row in rows] == [(AGREED, "")] * 2
    assert ["tensorflow" in row.info["version"] for row in rows] == [True, False]
