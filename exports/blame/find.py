"""A task that disagreed is run again with its values recorded, and the finding described."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.bench import Bench, Outcome
from netspec.exports.blame.departure import Departure, between, laid_out, locate
from netspec.exports.blame.matched import Matched, match
from netspec.exports.blame.recorded import Values, largest
from netspec.exports.blame.reproduce import run_alone, write_reproduction
from netspec.exports.blame.sight import Sight, worst_sight
from netspec.exports.noise import Noise
from netspec.exports.report import FAILED, ROUNDED, Blame
from netspec.exports.worker import UnavailableError, WorkerError
from netspec.graph import Graph

Array = NDArray[Any]
DRAWS = 8  # of the noise: a single number's bound must not be small by chance


def find_blame(bench: Bench, outcome: Outcome, target: Path) -> Blame | Sight | None:
    """Run a task again with its values recorded, and name the first node that departs.

    Of a file whose numbers are rounded, where every value is found or explained: what cannot be
    seen in it. Else it is the node of the first output that is not returned as it is. None where
    the runtime records nothing, or all is right when it runs again.
    """
    task = outcome.task
    assert task is not None
    values = record(bench, outcome)
    if values is None:
        return None
    kept = bench.kept if task.file and task.dtype == "float64" else frozenset[str]()
    matched = _matched(bench, outcome, values, kept)
    if outcome.row.status == FAILED and not matched.found:  # it never began
        return None
    folds = _folds(bench.graph, (outcome.arguments or {}).get("model"))
    # An evaluated file tells every value that it has; a runtime may keep some to itself.
    near = matched.near if task.dtype == "float64" and task.runtime.backend is None else set()
    departure = locate(bench.graph, matched.found, near=near, folds=folds, kept=kept)
    if departure is None and outcome.row.status == ROUNDED:
        return worst_sight(bench.graph, bench.tensors, matched)
    if departure is None:
        return _of_output(bench, outcome, matched, target)
    departure = laid_out(bench.graph, departure, matched, values)
    if outcome.row.status != FAILED:  # else what comes after was never made
        departure = between(bench.graph, bench.tensors, departure, matched, values)
    actual = values.nearest(matched.truth[departure.node.output])
    return _describe(bench, outcome, departure, matched, actual, target)


def _of_output(bench: Bench, outcome: Outcome, matched: Matched, target: Path) -> Blame | None:
    """The node of an output that is right inside the network, and not as it is returned."""
    assert outcome.task is not None
    assert outcome.arguments is not None
    sample = outcome.sample or 0
    with suppress(WorkerError, UnavailableError):
        results, _ = bench.run(outcome.task, outcome.arguments)
        made = {node.output: node for node in bench.graph.inference_nodes}
        for output in bench.graph.inference_outputs:
            expected, found = matched.truth.get(output.value), results.get(output.name)
            if expected is None:  # an input that is returned as it is
                continue
            actual = None if found is None else found[sample : sample + 1]
            if actual is not None and actual.shape != expected.shape:
                actual = None
            if actual is None or not largest(actual - expected) <= matched.bounds[output.value]:
                departure = Departure(made[output.value], ())
                alone = f"inside the network it is right: what is returned as {output.name} is not"
                return _describe(bench, outcome, departure, matched, actual, target, alone)
    return None


def _matched(bench: Bench, outcome: Outcome, values: Values, kept: Collection[str]) -> Matched:
    """What a task recorded, followed on the sample that is most off."""
    assert outcome.task is not None
    noise = None
    if outcome.task.dtype != "float64":
        lanes = bench.lanes(outcome.task, outcome.row)
        noise = Noise.of(bench.tensors, bench.seed, DRAWS, lanes=lanes)
    elif bench.is_finished(outcome.task):
        noise = Noise.of(bench.tensors, bench.seed, DRAWS, stored=True, kept=kept)
    sample = outcome.sample or 0
    given = {
        value: bench.inputs[value.name][sample : sample + 1].astype(np.float64)
        for value in bench.graph.inputs
    }
    return match(bench.graph, bench.tensors, given, values, noise)


def _folds(graph: Graph, model: str | None) -> bool:
    """Whether what ran is a file with fewer batch norms than the network has."""
    if model is None:
        return False
    import onnx

    nodes = onnx.load(model, load_external_data=False).graph.node
    kept = sum(node.op_type == "BatchNormalization" for node in nodes)
    return bool(kept < sum(n.op.kind == "batch_norm" for n in graph.inference_nodes))


def record(bench: Bench, outcome: Outcome) -> Values | None:
    """What a task's network holds inside on the sample that is most off; None if nothing is told.

    What a run in float64 tells is all of it, even if nothing.
    """
    assert outcome.task is not None
    arrays = bench.record(outcome, outcome.sample or 0)
    told = arrays or (arrays is not None and outcome.task.dtype == "float64")
    return Values(arrays or {}) if told else None


def _describe(
    bench: Bench,
    outcome: Outcome,
    departure: Departure,
    matched: Matched,
    actual: Array | None,
    target: Path,
    alone: str | None = None,
) -> Blame:
    """The finding; `actual` is what the network has there, `alone` what else is known of it."""
    node = departure.node
    expected = matched.truth[node.output]
    error = np.zeros(expected.shape) if actual is None else np.abs(actual - expected)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(error), np.inf, error))), error.shape)
    index = tuple(int(at) for at in worst)
    row, span = outcome.row, node.span
    lines = span.source.lines
    name = f"{bench.graph.name}-{row.subject}-{row.runtime}-{node.path}".replace(" ", "-")
    truth = {**matched.values, node.output: expected}
    files = write_reproduction(node, truth, bench.tensors, actual, target / name)
    assert outcome.task is not None
    return Blame(
        subject=row.subject,
        runtime=row.runtime,
        node=node.path,
        op=repr(node.op),
        where=str(span),
        line=lines[span.line - 1].strip() if span.line <= len(lines) else "",
        folded=tuple(n.path for n in departure.folded),
        index=index[1:],
        expected=float(expected[index]),
        actual=None if actual is None else float(actual[index]),
        relative=None if actual is None else float(error[index] / (largest(expected) or 1.0)),
        alone=run_alone(outcome.task, files, bench.folder) if alone is None else alone,
        files=tuple(map(str, files)),
    )
