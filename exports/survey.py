"""What runs on this machine: every runtime is given a small network, and its results are judged."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import netspec
from netspec.compiler import source_backend
from netspec.exports.bench import Bench, Progress
from netspec.exports.noise import predictor
from netspec.exports.plan import Task
from netspec.exports.probe import probe_inputs, probe_weights
from netspec.exports.report import Row
from netspec.exports.runtimes import Runtime

# Two products of matrices, because a provider must take these; few ops, because a backend may
# have few. Convolutions are among the probes that a runtime's own job makes.
SPEC = """\
netspec: 1
name: survey
inputs: {x: [16]}
body: [linear: 16, relu, linear: 8]
"""
BATCH, SEED = 2, 0


def survey(runtimes: Sequence[Runtime], say: Progress = lambda text: None) -> list[Row]:
    """A row for each runtime: what its worker told, how it rounds, or why it did not run.

    File runtimes are given the file that the direct writer makes.
    """
    with tempfile.TemporaryDirectory(prefix="netspec-") as scratch:
        path = Path(scratch, "survey.yaml")
        path.write_text(SPEC, encoding="utf-8")
        graph = netspec.load(path)
        weights, inputs = probe_weights(graph, SEED), probe_inputs(graph, SEED, BATCH)
        bench = Bench(
            graph=graph,
            source=lambda backend: source_backend(backend).source(graph),
            tensors=weights,
            inputs=inputs,
            predict=predictor(graph, weights, inputs, seed=SEED),
            rounded={},
            folder=Path(scratch),
            seed=SEED,
            say=say,
        )
        (outcomes,) = bench.measure([Task(r, r.backend or "onnx") for r in runtimes])
        return [outcome.row for outcome in outcomes]
