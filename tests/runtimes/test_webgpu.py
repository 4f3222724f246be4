"""What the WebGPU provider leaves to the processor is told, or fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from netspec.exports import runtimes as registry
from netspec.exports.report import AGREED, FAILED, NOT_RUN, Row
from netspec.exports.runtimes import Runtime
from netspec.exports.verify import verify
from netspec.exports.worker import UnavailableError, WorkerError, call
from tests.runtimes.rows import run_or_skip


def on_webgpu(
    spec: Path, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, str] | None = None
) -> Row:
    """The row of the WebGPU provider with options of its own."""
    found = registry.runtimes()["onnxruntime-webgpu"]
    given = {**found.options, "options": dict(options or {})}
    made = Runtime("gpu", found.job, found.available, None, given, found.environment)
    monkeypatch.setattr(registry, "BUILT_IN", (made,))
    return verify(spec, backends=["onnx"], runtimes=["gpu"]).rows[0]


def test_a_convolution_left_on_the_cpu_fails(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = run_or_skip(on_webgpu(spec, monkeypatch, {"forceCpuNodeNames": "grouped"}))
    assert (row.status, row.reason, row.detail) == (
        FAILED,
        "WebGpuExecutionProvider left to another provider: grouped",
        "",
    )


def test_any_other_node_left_on_the_cpu_is_listed(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = run_or_skip(on_webgpu(spec, monkeypatch, {"forceCpuNodeNames": "act"}))
    assert (row.status, row.reason) == (AGREED, "left to another provider: act")


def test_without_a_driver_it_is_not_run(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := registry.missing("onnxruntime_ep_webgpu"):
        pytest.skip(reason)
    monkeypatch.setenv("VK_ICD_FILENAMES", str(spec))  # which is no driver
    monkeypatch.setenv("VK_DRIVER_FILES", str(spec))
    report = verify(spec, backends=["onnx"], runtimes=["onnxruntime-webgpu"])
    assert report.rows[0].status == NOT_RUN
    assert "WebGPU finds no adapter" in report.rows[0].reason
    assert not report


FALLBACK = """
import sys
from netspec.exports.jobs import onnxruntime_run as jobs
from netspec.exports.precision import onnx_model

def fall_back():
    session = jobs._session(onnx_model(), jobs.WEBGPU, {})
    session.set_providers([jobs.CPU])  # what ONNX Runtime does by itself when a provider fails
    jobs._require(session, jobs.WEBGPU)
"""


def test_a_session_that_fell_back_while_it_ran_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := registry.missing("onnxruntime_ep_webgpu"):
        pytest.skip(reason)
    (tmp_path / "fallback_job.py").write_text(FALLBACK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = {"ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1"}
    try:
        with pytest.raises(WorkerError) as caught:
            call("fallback_job:fall_back", environment=environment)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    assert str(caught.value) == (
        "WebGpuExecutionProvider was asked for; CPUExecutionProvider is in use"
    )
