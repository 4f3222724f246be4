"""The user's environment and source may lower the precision: what is measured says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.exports.report import AGREED, DISAGREED
from netspec.exports.verify import verify, verify_graph
from netspec.exports.worker import call

AUTOCAST = '''
def in_bfloat16(model):
    """Autocast leaves float64 alone."""
    forward = model.forward

    def cast(x):
        with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.float32):
            return forward(x).to(x.dtype)

    model.forward = cast
'''
PATCH = """

_load_weights = load_weights


def load_weights(model, path):
    _load_weights(model, path)
    in_bfloat16(model)
"""

ENVIRONMENT_JOB = """
import os

def tell(names):
    return {name: os.environ.get(name) for name in names}
"""


def test_what_the_user_sets_is_what_is_measured(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN may do as it is told or not; the verdict goes by what it did."""
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    row = verify(spec, backends=["torch"], runtimes=["torch"]).rows[0]
    assert row.info["settings"]["ONEDNN_DEFAULT_FPMATH_MODE"] == "BF16"
    reduced = min(row.info["bits"].values()) < 20
    assert row.info["arithmetic"] == ("bfloat16: 8 bits" if reduced else "float32")
    assert row.status == (DISAGREED if reduced else AGREED)


def test_source_that_turns_float32_off_is_found(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layers under autocast are the same function, and their error shows the bits."""

    def source(backend: str) -> str:
        text = netspec.source(spec, backend=backend)
        loader = "def load_weights("
        assert text.count(loader) == 1
        return text.replace(loader, f"{AUTOCAST}\n\n{loader}") + PATCH

    graph = netspec.load(spec)
    report = verify_graph(graph, source, backends=["torch"], runtimes=["torch"])
    assert [row.status for row in report.same] == [AGREED]
    assert report.rows[0].status == DISAGREED
    assert "the same function in float64, so it computes as in" in report.rows[0].reason


def test_a_workers_environment_is_the_users_but_for_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "environment_job.py").write_text(ENVIRONMENT_JOB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "no-such-engine")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.delenv("ONEDNN_DEFAULT_FPMATH_MODE", raising=False)
    names = ["KERAS_BACKEND", "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE"]
    told = call("environment_job:tell", names=names)
    assert told == dict(zip(names, ["tensorflow", "1", "STRICT"], strict=True))
    named = {"KERAS_BACKEND": "jax"}
    assert call("environment_job:tell", environment=named, names=names[:1]) == named
