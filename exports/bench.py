"""Runs what a plan asks for, each in a worker, and judges what comes back."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.export import Source, export_graph, save_weights
from netspec.exports.finished import kept_nodes
from netspec.exports.fit import require_fit
from netspec.exports.noise import ComparisonError, Prediction, judge
from netspec.exports.onnx_file import interface
from netspec.exports.parsing import whole_parsing
from netspec.exports.plan import Task
from netspec.exports.qualify import explained, is_reduced, proven, qualified
from netspec.exports.report import AGREED, DISAGREED, FAILED, NOT_RUN, ROUNDED, Row
from netspec.exports.rounding import longest_mean
from netspec.exports.same import difference
from netspec.exports.weights import Weights
from netspec.exports.worker import JobError, UnavailableError, WorkerError, one_line
from netspec.graph import Graph
from netspec.ops.adaptive import LONG

WORKERS = 2
LARGE = 2**24  # weights, above which exports are made one at a time
FINISHED_S = 600.0  # for one run of a finished file, which may be made never to end
HUGE = 2**26
"""Weights, above which one process runs at a time, and none exports through Keras in float64, which
would take 12 GiB of memory and more."""

Array = NDArray[Any]
Progress = Callable[[str], None]
Exports = Mapping[tuple[str, str], Future[Path]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A filled row, with what it takes to run it again; `sample` is the one that is most off."""

    row: Row
    task: Task | None = None
    arguments: dict[str, Any] | None = None
    sample: int | None = None

    @property
    def departed(self) -> bool:
        """Whether it ran, and what came of it is not the reference's."""
        return self.sample is not None


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement of one graph shares: its files and its predictions."""

    graph: Graph
    source: Source
    tensors: Weights
    inputs: Mapping[str, NDArray[np.float32]]
    predict: Callable[[int], Mapping[str, Prediction]]  # by the lanes in which means are summed
    rounded: Mapping[str, Prediction]  # by the rounding of stored numbers; for finished files
    folder: Path
    seed: int
    say: Progress
    kept: frozenset[str] = frozenset()  # nodes whose numbers the finished file holds unrounded

    def measure(self, *plans: Sequence[Task | Row]) -> tuple[list[Outcome], ...]:
        """Fill the plans' rows; each export is made once, while sources already run."""
        save_arrays(self._inputs, self.inputs)
        save_weights(self.tensors, self._weights)
        tasks = [task for plan in plans for task in plan if isinstance(task, Task)]
        exporting = [t for t in tasks if t.is_export and not t.runtime.available()]
        exporters = 1 if self._size > LARGE else WORKERS
        pools = (ThreadPoolExecutor(exporters), ThreadPoolExecutor(WORKERS))
        with whole_parsing(), pools[0] as first, pools[1] as second:
            then = first if self._size > HUGE else second
            exports = {
                key: first.submit(self._export, *key)
                for key in dict.fromkeys((str(t.backend), self._stored(t)) for t in exporting)
            }
            # What waits for an export comes last, or it would keep a source from running.
            futures = {
                task: then.submit(self._outcome, task, exports)
                for task in sorted(tasks, key=lambda task: task.is_export)
            }
            found = tuple(
                [Outcome(t) if isinstance(t, Row) else futures[t].result() for t in plan]
                for plan in plans
            )
        same = proven([outcome.row for plan in found for outcome in plan])
        return tuple([replace(o, row=explained(o.row, same)) for o in plan] for plan in found)

    @property
    def predictions(self) -> Mapping[str, Prediction]:
        """Truth and noise of every output, terms of means added one after the other."""
        return self.predict(1)

    def run(
        self, task: Task, arguments: dict[str, Any], **options: Any
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """A task's results by output, and what its worker told.

        Raises:
            UnavailableError: something is missing on this machine.
            WorkerError: the job failed.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            result = Path(folder, "result.npz")
            given = {"inputs": str(self._inputs), "result": str(result), **arguments}
            given |= {"timeout": FINISHED_S} if task.file else {}
            info = task.runtime.run(**given, **options)
            return load_arrays(result), info

    def record(self, outcome: Outcome, sample: int) -> dict[str, Array] | None:
        """What an outcome's network holds inside on one sample; None if its runtime tells nothing.

        A run that fails has told what it made before.
        """
        assert outcome.task is not None
        assert outcome.arguments is not None
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            trace = Path(folder, "values.npz")
            with suppress(WorkerError, UnavailableError):
                self.run(outcome.task, outcome.arguments, trace=str(trace), sample=sample)
            return load_arrays(trace) if trace.exists() else None

    def is_finished(self, task: Task) -> bool:
        """Whether the task's file holds rounded numbers: somebody else's, or too large for more."""
        return task.file is not None or self._stored(task) != task.dtype

    def lanes(self, task: Task, row: Row) -> int:
        """In how many sums at once a run made its means, if there are long ones; 1 if unknown.

        In somebody else's file a mean may be anything, a matrix product among it.
        """
        known = task.file is None and longest_mean(self.graph) > LONG
        return int(row.info.get("lanes", 1)) if known else 1

    def kept_nodes(self, model: str | os.PathLike[str] | None) -> frozenset[str]:
        """The nodes whose numbers the one finished file holds as they are, if it is this."""
        if model is None or self._size > HUGE or not Path(model).is_file():
            return frozenset()
        return kept_nodes(Path(model), self.graph, self.tensors)

    @property
    def _inputs(self) -> Path:
        return self.folder / "inputs.npz"

    @property
    def _weights(self) -> Path:
        return self.folder / "weights.safetensors"

    def _outcome(self, task: Task, exports: Exports) -> Outcome:
        name = (task.subject, task.runtime.name)
        start = time.perf_counter()
        arguments = None
        try:
            if reason := task.runtime.available():
                raise UnavailableError(reason)
            arguments = self._subject(task, exports)
            self.say(f"running the {task.subject} on {task.runtime.name} in {task.dtype}")
            results, info = self.run(task, arguments)
            row = Row(*name, AGREED, info=info, seconds=time.perf_counter() - start)
            row = qualified(self._judge(row, task, results))
            departed = row.status in (DISAGREED, FAILED, ROUNDED) and not is_reduced(row)
            sample = self._worst_sample(results) if departed else None
        except UnavailableError as problem:
            return Outcome(Row(*name, NOT_RUN, reason=str(problem)))
        except JobError as problem:  # the file is refused before a worker starts
            return Outcome(Row(*name, FAILED, reason=str(problem)))
        except WorkerError as failure:
            row = Row(*name, FAILED, reason=failure.reason, detail=failure.tail)
            return Outcome(row, task, arguments, 0 if arguments and failure.answered else None)
        except Exception as error:  # whatever it is, a row must say it
            return Outcome(Row(*name, FAILED, reason=one_line(error)))
        return Outcome(row, task, arguments, sample)

    def _subject(self, task: Task, exports: Exports) -> dict[str, Any]:
        """The job's arguments that name what it runs."""
        if task.runtime.backend:
            path = self.folder / f"{task.runtime.name}_{task.dtype}.py"
            path.write_text(self.source(task.runtime.backend), encoding="utf-8")
            names = list(self.predictions)
            return {"source": str(path), "weights": str(self._weights), "names": names}
        model = task.file or exports[str(task.backend), self._stored(task)].result()
        shapes = {output.name: output.value.type.shape for output in self.graph.inference_outputs}
        if task.file:  # what no runtime can read is refused here, in one line
            require_fit(interface(model), self.inputs, shapes)
        return {"model": str(model), "outputs": shapes}

    @property
    def _size(self) -> int:
        return sum(tensor.size for tensor in self.tensors.values())

    def _stored(self, task: Task) -> str:
        """The dtype of the file that an export's task runs.

        TensorFlow takes some 170 bytes of memory to freeze each float64 weight: of a huge network
        the float32 file is evaluated in float64 instead, as somebody else's finished file is.
        """
        through_keras = task.is_export and task.backend == "keras"
        return "float32" if through_keras and self._size > HUGE else task.dtype

    def _export(self, backend: str, dtype: str) -> Path:
        how = f"exporting through {backend}" if backend != "onnx" else "writing ONNX directly"
        self.say(f"{how} in {dtype}")
        path = self.folder / f"{backend}_{dtype}.onnx"
        export_graph(self.graph, self.source, self.tensors, path, backend=backend, dtype=dtype)
        return path

    def _judge(self, row: Row, task: Task, results: Mapping[str, Array]) -> Row:
        """The row with its status and figures.

        A result that cannot be compared has no figures, whatever the other outputs are.
        """
        figures, differences = {}, {}
        noise = self._noise(task, self.lanes(task, row))
        for name, prediction in self.predictions.items():
            try:
                figures[name] = judge(noise[name], results.get(name))
                differences[name] = difference(prediction, results.get(name))
            except ComparisonError as problem:
                return replace(row, status=FAILED, reason=f"{name}: {problem}")
        noisy = [name for name, f in figures.items() if not f.agreed]
        if task.dtype != "float64":
            reason = f"beyond the noise: {', '.join(noisy)}" if noisy else ""
            return replace(row, status=_status(noisy), reason=reason, figures=figures)
        wrong = [name for name, d in differences.items() if not d.agreed]
        row = replace(row, status=_status(wrong), differences=differences)
        if wrong and not noisy and self.is_finished(task):
            return replace(row, status=ROUNDED, reason="its stored numbers are rounded")
        return replace(row, reason=f"another function: {', '.join(wrong)}" if wrong else "")

    def _noise(self, task: Task, lanes: int) -> Mapping[str, Prediction]:
        """What a task's outputs are judged by: in float64 nothing rounds but a file's numbers."""
        finished = self.is_finished(task)
        if finished and task.dtype == "float64":
            return self.rounded
        predictions = self.predict(lanes)
        if not finished:
            return predictions
        return {
            name: Prediction(found.truth, found.noise + self.rounded[name].noise)
            for name, found in predictions.items()
        }

    def _worst_sample(self, results: Mapping[str, Array]) -> int:
        """The sample that is most off in the output that is, each by its own largest value."""
        worst, sample = 0.0, 0
        for name, prediction in self.predictions.items():
            truth, found = prediction.truth, results.get(name)
            if found is not None and found.shape == truth.shape:
                errors = np.abs(found - truth).reshape(len(found), -1).max(1, initial=0.0)
                errors = np.where(np.isfinite(errors), errors, np.inf)
                largest = float(errors.max() / (np.abs(truth).max() or 1.0))
                if largest > worst:
                    worst, sample = largest, int(np.argmax(errors))
        return sample


def _status(wrong: Sequence[str]) -> str:
    return DISAGREED if wrong else AGREED
