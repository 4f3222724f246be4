"""Hold every build of a spec, and every export on every runtime, against the float64 reference.

Two questions are answered apart: is it the same function (in float64), and does it round rightly
(in float32, in units of the rounding that float32 must cause).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netspec import arguments
from netspec.arguments import Params, Shapes
from netspec.exports.bench import Bench, Outcome, Progress
from netspec.exports.blame.find import find_blame
from netspec.exports.blame.sight import Sight
from netspec.exports.export import Source
from netspec.exports.node_errors import node_rows
from netspec.exports.noise import predict, predictor
from netspec.exports.plan import Task, rounding_plan, same_plan
from netspec.exports.probe import enough_inputs, insensitive, probe_weights, unseen
from netspec.exports.report import DISAGREED, PASSED, ROUNDED, Blame, Report, Row
from netspec.exports.versions import versions
from netspec.exports.weights import WeightsLike, read_weights
from netspec.graph import Graph

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
    nodes: bool = False,
    progress: Progress | None = None,
    inputs: Shapes | None = None,
    params: Params | None = None,
    **named: Any,
) -> Report:
    """Measure whether builds and exports of a spec compute its function, rightly rounded.

    Without `backends` and `runtimes`: torch, Keras, and the three exports on ONNX Runtime's CPU
    provider. With `model`, an ONNX file, it alone is measured unless `backends` are named as well.
    Without `weights`: probe weights by `seed`, made to expose mistakes. Where something departs,
    a reproduction of one node is written to `folder`, or to a new temporary one. With `nodes` every
    row is run once more, and the report tells the error of each node inside it.

    `inputs`, `params` and other arguments are those of `netspec.load`.

    Raises:
        SpecError: the spec has errors.
        UsageError: there is no such spec, parameter, input, backend or runtime.
        TypeError: an argument is of the wrong type.
        ValueError: the seed is below 0, or the weights are another network's.
        OSError: the weight file cannot be read, or `folder` is a file.
    """
    import netspec

    report = verify_graph(
        netspec.load(spec, inputs=inputs, params=params, **named),
        lambda name: netspec.source(spec, backend=name, inputs=inputs, params=params, **named),
        backends=backends,
        runtimes=runtimes,
        weights=weights,
        seed=seed,
        model=model,
        folder=folder,
        nodes=nodes,
        progress=progress,
    )
    shown = "..." if isinstance(weights, Mapping) else weights and os.fspath(weights)
    given: dict[str, Any] = {"backends": backends, "runtimes": runtimes, "weights": shown}
    given |= {"seed": seed, "model": model and os.fspath(model)}
    given |= {"inputs": inputs, "params": params, **named}
    words = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    command = f"netspec.verify({', '.join([repr(os.fspath(spec)), *words])})"
    return replace(report, command=command)


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
    nodes: bool = False,
    progress: Progress | None = None,
) -> Report:
    """`verify` of a graph that is already there, with the source that each backend gives it."""
    say = progress or (lambda text: None)
    seed = arguments.seed(seed)
    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise NotADirectoryError(20, "not a folder", os.fspath(folder))
    backends = arguments.names(backends, "backends")
    plan = rounding_plan(backends, arguments.names(runtimes, "runtimes"), model)
    say("making probe weights" if weights is None else "reading weights")
    tensors = probe_weights(graph, seed) if weights is None else read_weights(graph, weights)
    inputs = enough_inputs(graph, tensors, seed)
    say("computing the float64 reference and its predicted noise")
    predicted = predictor(graph, tensors, inputs, seed=seed)
    predicted(1)
    with tempfile.TemporaryDirectory(prefix="netspec-") as scratch:
        bench = Bench(graph, source, tensors, inputs, predicted, {}, Path(scratch), seed, say)
        if any(isinstance(task, Task) and bench.is_finished(task) for task in same_plan(plan)):
            kept = bench.kept_nodes(model)
            rounded = predict(graph, tensors, inputs, seed=seed, stored=True, kept=kept)
            bench = replace(bench, rounded=rounded, kept=kept)
        same, rounding = bench.measure(same_plan(plan), plan)
        same, blames = _blames(bench, same, rounding, folder)
        node_errors = node_rows(bench, rounding) if nodes else ()
    notes = [
        f"two different inputs give nearly the same {name}: this comparison says little"
        for name in insensitive({name: p.truth for name, p in predicted(1).items()})
    ]
    notes += [
        f"{place} on these inputs: a mistake there would not be seen"
        for place in unseen(graph, tensors, inputs)
    ]
    notes += [note for outcome in same if (note := _sensitivity(outcome.row))]
    kind = "probe weights" if weights is None else "given weights"
    rows = tuple(outcome.row for outcome in rounding)
    same_rows = tuple(outcome.row for outcome in same)
    return Report(
        graph.name,
        kind,
        seed,
        rows,
        tuple(notes),
        same_rows,
        blames,
        node_errors,
        versions=versions(),
    )


def _blames(
    bench: Bench,
    same: Sequence[Outcome],
    rounding: Sequence[Outcome],
    folder: str | os.PathLike[str] | None,
) -> tuple[list[Outcome], tuple[Blame, ...]]:
    """Where each subject departs: in float64 if it does so there, else in float32.

    A file that seemed rounded is another function if a node departs by more than rounding does.
    """
    if not any(outcome.departed for outcome in (*same, *rounding)):
        return list(same), ()
    target = Path(folder or tempfile.mkdtemp(prefix="netspec-blame-")).resolve()
    target.mkdir(parents=True, exist_ok=True)
    settled, blames = [], []
    for outcome in same:
        found = _blame(bench, outcome, target) if outcome.departed else None
        settled.append(_settled(outcome, found))
        blames.append(found)
    explained = {found.subject for found in blames if isinstance(found, Blame)}
    departed = {o.row.subject: o for o in reversed(rounding) if o.departed}
    blames += [
        _blame(bench, outcome, target)
        for subject, outcome in departed.items()
        if subject not in explained
    ]
    if not folder and not any(target.iterdir()):
        target.rmdir()
    return settled, tuple(found for found in blames if isinstance(found, Blame))


def _blame(bench: Bench, outcome: Outcome, target: Path) -> Blame | Sight | None:
    bench.say(f"looking for the node where the {outcome.row.subject} departs")
    return find_blame(bench, outcome, target)


def _settled(outcome: Outcome, found: Blame | Sight | None) -> Outcome:
    """What a file that seemed rounded is, now that its nodes have been looked at one by one."""
    row = outcome.row
    if row.status != ROUNDED:
        return outcome
    if isinstance(found, Blame):
        reason = f"another function: {found.node} is off by more than rounded numbers explain"
        row = replace(row, status=DISAGREED, reason=reason)
    elif found:
        row = replace(row, reason=f"{row.reason}; {found}")
    return replace(outcome, row=row)


def _sensitivity(row: Row) -> str:
    """What the gradients of a float64 run say about the probes."""
    weights, live = row.info.get("weights"), row.info.get("live")
    if row.status not in PASSED or not weights:
        return ""
    share = live / weights
    text = f"{share:.2%} of {weights:,} weights have a gradient on these inputs"
    return text if share >= LIVE else f"{text}: mistakes in the others would not be seen"
