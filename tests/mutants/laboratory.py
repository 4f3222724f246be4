"""Verification without the start of a process for each job, so that hundreds take minutes.

Everything else is what `netspec verify` does. One framework a process, as ever.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import netspec
from netspec.compiler import source_backend
from netspec.exports import worker
from netspec.exports.report import Report
from netspec.exports.verify import verify_graph
from netspec.graph import Graph

NETWORKS = Path(__file__).with_name("networks")

_one_job = threading.Lock()  # jobs set a framework's default type, which is the process's


@contextmanager
def jobs_in_this_process() -> Iterator[None]:
    """Run workers' jobs here. Their environment is set before a framework is imported."""
    os.environ.update({**worker.ENVIRONMENT, **worker.FIXED})
    with mock.patch.object(worker, "_run", run_here):
        yield


@cache
def network(name: str) -> Graph:
    """A network of the folder beside this file."""
    return netspec.load(NETWORKS / f"{name}.yaml")


@cache
def source(name: str, backend: str) -> str:
    """What a backend generates for it."""
    return source_backend(backend).source(network(name))


def of_source(name: str, backend: str, text: str) -> Report:
    """Verify a source that should be the network's."""
    with jobs_in_this_process(), tempfile.TemporaryDirectory() as folder:
        return verify_graph(
            network(name), lambda _: text, backends=[backend], runtimes=[backend], folder=folder
        )


def of_file(name: str, path: Path, **options: Any) -> Report:
    """Verify an ONNX file that should compute the network."""
    graph = network(name)
    with jobs_in_this_process(), tempfile.TemporaryDirectory() as folder:
        return verify_graph(graph, lambda _: "", model=path, folder=folder, **options)


def run_here(path: Path, log: Path, _timeout: float, _environment: object) -> int:
    """What a worker's process does with a job, but bound its memory, which would be ours."""
    job = json.loads(path.read_text())
    path.write_text(json.dumps({**job, "bounded": False}))
    with _one_job, log.open("w") as stream, redirect_stderr(stream):
        worker._main(path)
    return 0
