"""Which node departs: a running network's values, matched with the reference's.

A value is recognised by what it holds, whatever it is called and in whichever layout, so one search
serves torch, Keras and every ONNX file. A node is *found* if its reference value is there, and
*explained* if it is found or all that read it are explained: then a value that an exporter folded
away was right. The first node that is not explained departs, since all before it are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.arrays import load_arrays
from netspec.exports.noise import THRESHOLD, node_noise
from netspec.exports.report import Blame
from netspec.exports.reproduce import run_alone, write_reproduction
from netspec.exports.same import BOUND
from netspec.exports.worker import UnavailableError, WorkerError
from netspec.graph import Graph, Node, Value
from netspec.reference import evaluate

if TYPE_CHECKING:
    from netspec.exports.bench import Bench, Outcome

Array = NDArray[Any]
PROBES = 16  # places that are compared before all are


@dataclass(frozen=True, slots=True)
class Departure:
    """A node that is not explained, and the nodes folded into one with it, first to last."""

    node: Node
    folded: tuple[Node, ...]


def find_blame(bench: Bench, outcome: Outcome, target: Path) -> Blame | None:
    """Run a task again with its values recorded, and name the first node that departs.

    None where the runtime records nothing, or every value of the network is found.
    """
    task, sample = outcome.task, outcome.sample
    assert task is not None
    assert outcome.arguments is not None
    assert sample is not None
    trace = bench.folder / "trace.npz"
    trace.unlink(missing_ok=True)
    with suppress(WorkerError, UnavailableError):  # what it made before it failed was recorded
        bench.run(task, outcome.arguments, trace=str(trace), sample=sample)
    if not trace.exists():
        return None
    given = {v: bench.inputs[v.name][sample : sample + 1] for v in bench.graph.inputs}
    truth = evaluate(
        bench.graph.inference_nodes,
        bench.tensors,
        {value: x.astype(np.float64) for value, x in given.items()},
        keep=True,
    )
    if task.dtype == "float64":
        bounds = {value: BOUND * _largest(array) for value, array in truth.items()}
    else:
        single = {value.name: x for value, x in given.items()}
        noise = node_noise(bench.graph, bench.tensors, single, seed=bench.seed)
        bounds = {value: THRESHOLD * largest for value, largest in noise.items()}
    values = Values(load_arrays(trace))
    folds = task.is_export and task.backend != "onnx"
    departure = locate(bench.graph, truth, bounds, values, folds=folds)
    if departure is None:
        return None
    return _describe(bench, outcome, departure, truth, values, target)


def locate(
    graph: Graph,
    truth: Mapping[Value, Array],
    bounds: Mapping[Value, float],
    values: Values,
    *,
    folds: bool = False,
) -> Departure | None:
    """The first node in topological order that is not explained, or None.

    With `folds`, a batch norm after it counts as folded into one with it.
    """
    nodes = graph.inference_nodes
    found = {node.path: values.has(truth[node.output], bounds[node.output]) for node in nodes}
    readers: dict[Value, list[Node]] = {}
    for node in nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    outputs = {output.value for output in graph.inference_outputs}
    explained: dict[str, bool] = {}
    for node in reversed(nodes):
        after = readers.get(node.output, [])
        passed = node.output not in outputs and all(explained[r.path] for r in after)
        explained[node.path] = found[node.path] or passed
    first = next((node for node in nodes if not explained[node.path]), None)
    if first is None:
        return None
    # What is folded elsewhere in this network is folded here: the last of the chain can be seen.
    hidden = {node.op.kind for node in nodes if explained[node.path] and not found[node.path]}
    chain = [first]
    while len(after := readers.get(chain[-1].output, [])) == 1 and (
        chain[-1].op.kind in hidden or (folds and after[0].op.kind == "batch_norm")
    ):
        chain.append(after[0])
    return Departure(chain[-1], tuple(chain[:-1]))


class Values:
    """Recorded values, found by what they hold."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._by_size: dict[int, list[Array]] = {}
        for array in arrays.values():
            self._by_size.setdefault(array.size, []).append(array)

    def has(self, wanted: Array, bound: float) -> bool:
        """Whether a value is within the bound everywhere."""
        step = max(1, wanted.size // PROBES)
        for found in self._fitting(wanted):
            error = np.abs(found.reshape(-1)[::step] - wanted.reshape(-1)[::step]).max(initial=0.0)
            if error <= bound and np.abs(found - wanted).max(initial=0.0) <= bound:
                return True
        return False

    def nearest(self, wanted: Array) -> Array | None:
        """The value that is least off, or None if none has this shape."""
        fitting = [
            (float(np.abs(f - wanted).mean()), n, f) for n, f in enumerate(self._fitting(wanted))
        ]
        return min(fitting, key=lambda item: (not item[0] >= 0, *item[:2]), default=(0, 0, None))[2]

    def _fitting(self, wanted: Array) -> Iterator[Array]:
        """The values of the wanted size, channels first, in its shape."""
        last = np.moveaxis(wanted, 1, -1).shape
        for array in self._by_size.get(wanted.size, ()):
            if _bare(array.shape) == _bare(wanted.shape):
                yield array.reshape(wanted.shape)
            if wanted.ndim > 2 and _bare(array.shape) == _bare(last):
                yield np.moveaxis(array.reshape(last), -1, 1)


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in shape if axis != 1)


def _largest(array: Array) -> float:
    return float(np.abs(array).max(initial=0.0))


def _describe(
    bench: Bench,
    outcome: Outcome,
    departure: Departure,
    truth: Mapping[Value, Array],
    values: Values,
    target: Path,
) -> Blame:
    node = departure.node
    expected, actual = truth[node.output], values.nearest(truth[node.output])
    error = np.zeros(expected.shape) if actual is None else np.abs(actual - expected)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(error), np.inf, error))), error.shape)
    index = tuple(int(at) for at in worst)
    row, span = outcome.row, node.span
    lines = span.source.lines
    name = f"{bench.graph.name}-{row.subject}-{row.runtime}-{node.path}".replace(" ", "-")
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
        relative=None if actual is None else float(error[index] / (_largest(expected) or 1.0)),
        alone=run_alone(outcome.task, files, bench.folder),
        files=tuple(map(str, files)),
        channels=1.0 if actual is None else _departing_channels(expected, actual),
    )


def _departing_channels(expected: Array, actual: Array) -> float:
    axes = (0, *range(2, expected.ndim))
    error = np.abs(actual - expected).max(axes)
    return float(np.mean(~(error <= BOUND * _largest(expected))))
