"""Do torch and Keras train the same network alike? In float64, on equal weights and samples.

Gradients after one step, and after some steps of SGD with momentum the parameters and the running
statistics. How far two right programs part depends on the network: some turn 1e-16 into 1e-9 in
five steps. So each tensor is held against what torch does to itself when its weights are changed by
one unit in the last place.

Dropout and stochastic depth draw random numbers that no two frameworks share: their rates are read,
compared with the spec's, and set to 0.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.arguments import Params, Shapes
from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.export import Source, save_weights
from netspec.exports.parsing import whole_parsing
from netspec.exports.probe import probe_inputs, probe_weights
from netspec.exports.worker import call
from netspec.graph import Graph
from netspec.ops.base import f32

Array = NDArray[Any]

TIMES = 100.0  # torch's own divergence that a difference may be
PERTURBED = 2  # runs of torch whose weights are one unit in the last place off
EPS = 2.0**-52
JOBS = {
    "torch": "netspec.exports.jobs.torch_training:train",
    "keras": "netspec.exports.jobs.keras_training:train",
}
GRADIENT, FIRST, LAST = "gradient", "first step", "last step"


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is trained: samples at a time, steps, and SGD's learning rate and momentum."""

    batch: int = 4
    steps: int = 5
    rate: float = 0.001
    momentum: float = 0.9


@dataclass(frozen=True, slots=True)
class TensorRow:
    """A tensor of one node after a stage of training: its gradient, or its value.

    `error` is the largest difference of the two frameworks, `own` torch's from itself; neither is
    less than a unit in the last place of the tensor's largest value.
    """

    stage: str
    key: str
    node: str
    error: float
    own: float

    @property
    def ratio(self) -> float:
        """The error in units of torch's own; infinite where either has no number to compare."""
        if self.error == 0.0:
            return 0.0
        measurable = math.isfinite(self.error) and 0.0 < self.own < math.inf
        return self.error / self.own if measurable else math.inf

    @property
    def agreed(self) -> bool:
        return self.ratio <= TIMES


@dataclass(frozen=True, slots=True)
class RateRow:
    """The rate of a random layer in the spec and in a framework; None if it has no such layer."""

    node: str
    backend: str
    expected: float
    found: float | None

    @property
    def agreed(self) -> bool:
        return self.found is not None and f32(self.found) == f32(self.expected)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """True if every tensor and every rate agrees. `blamed` is where the first mistake stands."""

    spec: str
    course: Course
    rows: tuple[TensorRow, ...]
    rates: tuple[RateRow, ...]
    blamed: str

    def __bool__(self) -> bool:
        verdicts = [row.agreed for row in self.rows] + [row.agreed for row in self.rates]
        return bool(self.rows) and all(verdicts) and not self.blamed

    def render(self) -> str:
        """A line for each stage, its worst tensor first, and the verdict."""
        course = self.course
        lines = [
            f"{self.spec}: training in float64, batch {course.batch}, {course.steps} steps of SGD "
            f"at {course.rate:g} with momentum {course.momentum:g}",
            "  stage       tensors  torch and Keras  torch and itself  ratio  at",
        ]
        for stage in (GRADIENT, FIRST, LAST):
            rows = [row for row in self.rows if row.stage == stage]
            if rows:
                worst = max(rows, key=lambda row: row.ratio)
                lines.append(
                    f"  {stage:10}  {len(rows):7}  {worst.error:15.1e}  {worst.own:16.1e}  "
                    f"{worst.ratio:5.1f}  {worst.key}"
                )
        lines += [
            f"  {row.node}: the rate is {row.found} in {row.backend}, not {row.expected:g}"
            for row in self.rates
            if not row.agreed
        ]
        if self:
            text = f"agreed ({len(self.rows)} tensors, each at most {TIMES:g} times torch's own)"
        else:
            verdicts = [row.agreed for row in self.rows] + [row.agreed for row in self.rates]
            wrong = verdicts.count(False)
            text = f"NOT agreed: {wrong} tensors or rates, first of all at {self.blamed}"
        return "\n".join([*lines, f"{self.spec}: {text}"])

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        course, rows, rates = self.course, self.rows, self.rates
        names = ("stage", "key", "node", "error", "own", "ratio", "agreed")
        return {
            "spec": self.spec,
            "agreed": bool(self),
            "blamed": self.blamed,
            **{name: getattr(course, name) for name in ("batch", "steps", "rate", "momentum")},
            "tensors": [{name: getattr(row, name) for name in names} for row in rows],
            "rates": [
                {n: getattr(row, n) for n in ("node", "backend", "expected", "found")}
                for row in rates
            ],
        }


def verify_training(
    spec: str | os.PathLike[str],
    /,
    *,
    course: Course = Course(),
    seed: int = 0,
    inputs: Shapes | None = None,
    params: Params | None = None,
    **named: Any,
) -> TrainingReport:
    """Train a spec's network with torch and with Keras, and compare what becomes of it.

    The loss is the mean square of the distance of every output, heads for training included, from
    random targets. `inputs`, `params` and other arguments are those of `netspec.load`.

    Raises:
        SpecError: the spec has errors.
        UnavailableError: a framework is not installed.
        WorkerError: a framework failed.
    """
    import netspec

    return training_of(
        netspec.load(spec, inputs=inputs, params=params, **named),
        lambda name: netspec.source(spec, backend=name, inputs=inputs, params=params, **named),
        course=course,
        seed=seed,
    )


def training_of(
    graph: Graph,
    source: Source,
    *,
    course: Course = Course(),
    seed: int = 0,
) -> TrainingReport:
    """`verify_training` of a graph that is already there."""
    with tempfile.TemporaryDirectory(prefix="netspec-") as scratch:
        folder = Path(scratch)
        files = _write(graph, seed, course, folder)
        with whole_parsing(), ThreadPoolExecutor(2) as pool:
            torch = pool.submit(_train, "torch", source, graph, course, files, folder)
            keras = pool.submit(_train, "keras", source, graph, course, files[:1], folder)
        (ours, *others), torch_rates = torch.result()
        (theirs,), keras_rates = keras.result()
    rows = tuple(
        _row(graph, name, array, theirs.get(name), [other[name] for other in others])
        for name, array in ours.items()
    )
    rates = (*_rates(graph, "torch", torch_rates), *_rates(graph, "keras", keras_rates))
    return TrainingReport(graph.name, course, rows, rates, _blamed(graph, rows, rates))


def _write(graph: Graph, seed: int, course: Course, folder: Path) -> list[Path]:
    """Write the samples and their targets; return the weights and their perturbed copies."""
    rng = np.random.Generator(np.random.Philox([seed, 2 << 32]))
    save_arrays(folder / "inputs.npz", probe_inputs(graph, seed, course.batch))
    targets = {
        output.name: rng.standard_normal((course.batch, *output.value.type.shape))
        for output in graph.outputs
    }
    save_arrays(folder / "targets.npz", targets)
    weights = {
        key: w.astype(np.float64) if w.dtype.kind == "f" else w
        for key, w in probe_weights(graph, seed).items()
    }
    files = []
    for number in range(1 + PERTURBED):
        files.append(folder / f"weights{number}.safetensors")
        save_weights(weights if not number else _perturbed(weights, rng), files[-1])
    return files


def _perturbed(weights: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Every number moved to a neighbour, up or down at random."""
    return {
        key: np.nextafter(w, np.where(rng.random(w.shape) < 0.5, -np.inf, np.inf))
        if w.dtype.kind == "f"
        else w
        for key, w in weights.items()
    }


def _train(
    backend: str,
    source: Source,
    graph: Graph,
    course: Course,
    weights: list[Path],
    folder: Path,
) -> tuple[list[dict[str, Array]], dict[str, float]]:
    """A framework's tensors, `stage:key`, for each file of weights, and its rates by path."""
    code = folder / f"{backend}.py"
    code.write_text(source(backend), encoding="utf-8")
    results = [folder / f"{backend}{number}.npz" for number in range(len(weights))]
    info = call(
        JOBS[backend],
        source=str(code),
        weights=[str(path) for path in weights],
        inputs=str(folder / "inputs.npz"),
        targets=str(folder / "targets.npz"),
        results=[str(path) for path in results],
        keys=[w.key for w in graph.weights if w.dtype != "int64"],
        steps=course.steps,
        rate=course.rate,
        momentum=course.momentum,
    )
    return [load_arrays(path) for path in results], info["rates"]


def _row(
    graph: Graph, name: str, ours: Array, theirs: Array | None, others: list[Array]
) -> TensorRow:
    stage, _, key = name.partition(":")
    least = EPS * float(np.abs(ours).max(initial=0.0))
    own = max([least, *(float(np.abs(ours - other).max(initial=0.0)) for other in others)])
    right = theirs is not None and theirs.shape == ours.shape and np.isfinite(theirs).all()
    error = float(np.abs(ours - theirs).max(initial=0.0)) if right else np.inf
    node = next(n.path for n in graph.declared for w in n.weights if w.key == key)
    return TensorRow(stage, key, node, max(error, least), own)


def _rates(graph: Graph, backend: str, found: Mapping[str, float]) -> list[RateRow]:
    return [
        RateRow(node.path, backend, node.op.values["rate"], found.get(node.path))
        for node in graph.declared
        if node.op.training_only and "rate" in node.op.values
    ]


def _blamed(graph: Graph, rows: tuple[TensorRow, ...], rates: tuple[RateRow, ...]) -> str:
    """Where the first mistake stands, or nothing.

    After one step a running statistic tells of the way there alone; a gradient of the way back, so
    the last node in topological order whose gradient is off comes first.
    """
    order = {node.path: number for number, node in enumerate(graph.nodes)}

    def wrong(stage: str) -> list[str]:
        return [row.node for row in rows if row.stage == stage and not row.agreed]

    if statistics := wrong(FIRST):
        return min(statistics, key=order.__getitem__)
    if gradients := wrong(GRADIENT):
        return max(gradients, key=order.__getitem__)
    if off := [row.node for row in rates if not row.agreed]:
        return off[0]
    return next(iter(wrong(LAST)), "")
