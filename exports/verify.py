"""Hold every build of a spec, and every export on every runtime, against the float64 reference.

Two questions are answered apart: is it the same function (in float64), and does it round rightly
(in float32, in units of the rounding that float32 must cause).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netspec.exports.bench import Bench, Outcome, Progress
from netspec.exports.export import Source
from netspec.exports.noise import predict
from netspec.exports.plan import rounding_plan, same_plan
from netspec.exports.probe import insensitive, probe_inputs, probe_weights
from netspec.exports.report import DISAGREED, PASSED, ROUNDED, Blame, Report, Row
from netspec.exports.weights import WeightsLike, read_weights
from netspec.graph import Graph

BATCH = 2
FEW = 0.5  # the share of a node's channels below which they were not rounded by folding
LIVE = 0.99  # the share of weights that the probes have to reach


def verify(
    spec: str | os.PathLike[str],
    /,
    *,
    backends: Sequence[str] | None = None,
    runtimes: Sequence[str] | None = None,
    weights: WeightsLike | None = None,
    seed: int = 0,
    model: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> Report:
    """Measure whether builds and exports of a spec compute its function, rightly rounded.

    Without `backends` and `runtimes`: torch, Keras, and the three exports on ONNX Runtime's CPU
    provider. With `model`, an ONNX file, it alone is measured unless `backends` are named as well.
    Without `weights`: probe weights by `seed`, made to expose mistakes. Where something departs,
    a reproduction of one node is written to `folder`, or to a new temporary one.

    Raises:
        SpecError: the spec has errors.
        ValueError: a backend or runtime is not known, or the weights are another network's.
        OSError: the weight file cannot be read.
    """
    import netspec

    return verify_graph(
        netspec.load(spec, **params),
        lambda backend: netspec.source(spec, backend=backend, **params),
        backends=backends,
        runtimes=runtimes,
        weights=weights,
        seed=seed,
        model=model,
        folder=folder,
        progress=progress,
    )


def verify_graph(
    graph: Graph,
    source: Source,
    *,
    backends: Sequence[str] | None = None,
    runtimes: Sequence[str] | None = None,
    weights: WeightsLike | None = None,
    seed: int = 0,
    model: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """`verify` of a graph that is already there, with the source that each backend gives it."""
    say = progress or (lambda text: None)
    plan = rounding_plan(backends, runtimes, model)
    say("making probe weights" if weights is None else "reading weights")
    tensors = probe_weights(graph, seed) if weights is None else read_weights(graph, weights)
    inputs = probe_inputs(graph, seed, BATCH)
    say("computing the float64 reference and its predicted noise")
    predictions = predict(graph, tensors, inputs, seed=seed)
    with tempfile.TemporaryDirectory(prefix="netspec-") as scratch:
        bench = Bench(graph, source, tensors, inputs, predictions, Path(scratch), seed, say)
        same, rounding = bench.measure(same_plan(plan), plan)
        same, blames = _blames(bench, same, rounding, folder)
    notes = [
        f"two different inputs give nearly the same {name}: this comparison says little"
        for name in insensitive({name: p.truth for name, p in predictions.items()})
    ]
    notes += [note for outcome in same if (note := _sensitivity(outcome.row))]
    kind = "probe weights" if weights is None else "given weights"
    rows = tuple(outcome.row for outcome in rounding)
    same_rows = tuple(outcome.row for outcome in same)
    return Report(graph.name, kind, seed, rows, tuple(notes), same_rows, blames)


def _blames(
    bench: Bench,
    same: Sequence[Outcome],
    rounding: Sequence[Outcome],
    folder: str | os.PathLike[str] | None,
) -> tuple[list[Outcome], tuple[Blame, ...]]:
    """Where each subject departs: in float64 if it does so there, else in float32.

    A file that seemed rounded is another function if few channels of the first node that departs
    do: folding rounds them all, and a wrong weight leaves the others exact.
    """
    departed = [outcome for outcome in same if outcome.departed]
    explained = {outcome.row.subject for outcome in departed}
    departed += [o for o in rounding if o.departed and o.row.subject not in explained]
    if not departed:
        return list(same), ()
    target = Path(folder or tempfile.mkdtemp(prefix="netspec-blame-")).resolve()
    target.mkdir(parents=True, exist_ok=True)
    blames = []
    settled = {id(outcome): outcome for outcome in same}
    for outcome in departed:
        blame = bench.blame(outcome, target)
        row = outcome.row
        if row.status == ROUNDED:
            if blame is None:
                continue
            if blame.channels > FEW:
                for file in blame.files:
                    Path(file).unlink()
                continue
            share = f"{blame.channels:.1%} of the channels"
            reason = f"another function: at {blame.node} {share} depart"
            row = replace(row, status=DISAGREED, reason=reason)
            settled[id(outcome)] = replace(outcome, row=row)
        if blame is not None:
            blames.append(blame)
    return list(settled.values()), tuple(blames)


def _sensitivity(row: Row) -> str:
    """What the gradients of a float64 run say about the probes."""
    weights, live = row.info.get("weights"), row.info.get("live")
    if row.status not in PASSED or not weights:
        return ""
    share = live / weights
    text = f"{share:.2%} of {weights:,} weights have a gradient on these inputs"
    return text if share >= LIVE else f"{text}: mistakes in the others would not be seen"
