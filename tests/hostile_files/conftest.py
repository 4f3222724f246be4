"""Files that were made to do harm, or are merely broken: each is refused in a line, and soon."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import netspec
from netspec.exports import bench, worker
from netspec.exports.export import export_graph
from netspec.exports.probe import probe_weights
from netspec.graph import Graph
from tests.hostile_files.small import SPEC
from tests.mutants.laboratory import run_here

SECONDS = 60


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = tmp_path_factory.mktemp("spec") / "net.yaml"
    path.write_text(SPEC)
    return netspec.load(path)


@pytest.fixture(scope="module")
def right(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that agrees, made by the direct writer."""
    path = tmp_path_factory.mktemp("right") / "net.onnx"
    export_graph(graph, lambda _: "", probe_weights(graph, 0), path, backend="onnx")
    return path


@pytest.fixture(autouse=True)
def end() -> Iterator[None]:
    """What does not end fails."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no end within {SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


def _run(path: Path, log: Path, timeout: float, environment: object) -> int:
    """A job in this process, which would have been given the time of a finished file."""
    assert timeout == bench.FINISHED_S
    return run_here(path, log, timeout, environment)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_run", _run)
