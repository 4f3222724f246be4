"""Hold every build of a spec, and every export on every runtime, against the float64 reference."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.export import (
    BACKENDS,
    Source,
    export_graph,
    save_weights,
)
from netspec.exports.noise import ComparisonError, Figures, Prediction, judge, predict
from netspec.exports.probe import insensitive, probe_inputs, probe_weights
from netspec.exports.report import AGREED, DISAGREED, FAILED, NOT_RUN, Report, Row
from netspec.exports.runtimes import Runtime, runtimes
from netspec.exports.weights import Weights, WeightsLike, read_weights
from netspec.exports.worker import UnavailableError, WorkerError, call, one_line
from netspec.graph import Graph

BATCH = 2
WORKERS = 2
DEFAULT_RUNTIMES = ("torch", "keras", "onnxruntime")

Progress = Callable[[str], None]


def verify(
    spec: str | os.PathLike[str],
    /,
    *,
    backends: Sequence[str] | None = None,
    runtimes: Sequence[str] | None = None,
    weights: WeightsLike | None = None,
    seed: int = 0,
    model: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> Report:
    """Measure whether builds and exports of a spec compute its function, rightly rounded.

    Without `backends` and `runtimes`: torch, Keras, and the three exports on ONNX Runtime's CPU
    provider. With `model`, an ONNX file, it alone is measured unless `backends` are named as well.
    Without `weights`: probe weights by `seed`, made to expose mistakes.

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
    progress: Progress | None = None,
) -> Report:
    """`verify` of a graph that is already there, with the source that each backend gives it."""
    say = progress or (lambda text: None)
    plan = _plan(backends, runtimes, model)
    say("making probe weights" if weights is None else "reading weights")
    tensors = probe_weights(graph, seed) if weights is None else read_weights(graph, weights)
    inputs = probe_inputs(graph, seed, BATCH)
    say("computing the float64 reference and its predicted noise")
    predictions = predict(graph, tensors, inputs, seed=seed)
    with tempfile.TemporaryDirectory(prefix="netspec-") as folder:
        bench = _Bench(graph, source, tensors, predictions, Path(folder), say)
        save_arrays(bench.inputs, inputs)
        save_weights(tensors, bench.weights)
        rows = bench.measure(plan)
    weak = insensitive({name: p.truth for name, p in predictions.items()})
    note = "two different inputs give nearly the same {}: this comparison says little"
    kind = "probe weights" if weights is None else "given weights"
    return Report(graph.name, kind, seed, rows, tuple(note.format(name) for name in weak))


@dataclass(frozen=True, slots=True)
class _Task:
    """A row to be filled: a source, an export (`backend`), or a file (`file`) on a runtime."""

    runtime: Runtime
    backend: str | None = None
    file: Path | None = None

    @property
    def subject(self) -> str:
        if self.file:
            return self.file.name
        return f"{self.backend} {'source' if self.runtime.backend else 'export'}"


def _plan(
    backends: Sequence[str] | None,
    names: Sequence[str] | None,
    model: str | os.PathLike[str] | None,
) -> list[_Task | Row]:
    """The rows to fill, sources first; a runtime that nothing asked for fits is a row already."""
    known = runtimes()
    for name in names or ():
        if name not in known:
            raise ValueError(f"no runtime is called {name}: there are {', '.join(known)}")
    for name in backends or ():
        if name not in BACKENDS:
            raise ValueError(f"no backend is called {name}: there are {', '.join(BACKENDS)}")
    if backends is None:
        backends = BACKENDS if model is None else ()
    file = Path(model).resolve() if model is not None else None
    tasks: list[_Task | Row] = []
    for runtime in (known[name] for name in dict.fromkeys(names or DEFAULT_RUNTIMES)):
        fitting = list(_tasks(runtime, tuple(dict.fromkeys(backends)), file))
        if not fitting and names is not None:
            reason = f"{runtime.name} runs the {runtime.backend} source, which was not asked for"
            fitting = [Row("-", runtime.name, NOT_RUN, reason=reason)]
        tasks += fitting
    return tasks


def _tasks(runtime: Runtime, backends: tuple[str, ...], file: Path | None) -> Iterable[_Task | Row]:
    for backend in backends:
        if runtime.backend in (None, backend):
            yield _Task(runtime, backend)
    if file and runtime.backend is None:
        yield _Task(runtime, file=file)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every measurement of one graph shares: its files and its predictions."""

    graph: Graph
    source: Source
    tensors: Weights
    predictions: Mapping[str, Prediction]
    folder: Path
    say: Progress

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs.npz"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    def measure(self, plan: Sequence[_Task | Row]) -> tuple[Row, ...]:
        """Fill the plan's rows; each export is made once, while sources already run."""
        exporting = [
            task.backend
            for task in plan
            if isinstance(task, _Task) and not task.runtime.backend and not task.runtime.available()
        ]
        with ThreadPoolExecutor(WORKERS) as first, ThreadPoolExecutor(WORKERS) as then:
            exports = {
                backend: first.submit(self._export, backend)
                for backend in dict.fromkeys(exporting)
                if backend is not None
            }
            rows = [
                task if isinstance(task, Row) else then.submit(self._row, task, exports)
                for task in plan
            ]
            return tuple(row if isinstance(row, Row) else row.result() for row in rows)

    def _row(self, task: _Task, exports: Mapping[str, Future[Path]]) -> Row:
        name = (task.subject, task.runtime.name)
        start = time.perf_counter()
        try:
            if reason := task.runtime.available():
                raise UnavailableError(reason)
            arguments = self._subject(task, exports)
            self.say(f"running the {task.subject} on {task.runtime.name}")
            results, info = self._run(task.runtime, arguments)
            figures, reason = self._judge(results)
        except UnavailableError as problem:
            return Row(*name, NOT_RUN, reason=str(problem))
        except WorkerError as failure:
            return Row(*name, FAILED, reason=failure.reason, detail=failure.tail)
        except Exception as error:  # whatever it is, a row must say it
            return Row(*name, FAILED, reason=one_line(error))
        status = AGREED if not reason else DISAGREED if figures else FAILED
        seconds = time.perf_counter() - start
        return Row(*name, status, figures, reason, info=info, seconds=seconds)

    def _subject(self, task: _Task, exports: Mapping[str, Future[Path]]) -> dict[str, Any]:
        """The job's arguments that name what it runs."""
        if task.runtime.backend:
            path = self.folder / f"{task.runtime.backend}_model.py"
            path.write_text(self.source(task.runtime.backend), encoding="utf-8")
            names = list(self.predictions)
            return {"source": str(path), "weights": str(self.weights), "names": names}
        model = task.file or exports[str(task.backend)].result()
        if not model.is_file():
            raise FileNotFoundError(f"there is no file {model.name}")
        shapes = {output.name: output.value.type.shape for output in self.graph.inference_outputs}
        return {"model": str(model), "outputs": shapes}

    def _run(
        self, runtime: Runtime, arguments: dict[str, Any]
    ) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            result = Path(folder, "result.npz")
            info = call(
                runtime.job,
                inputs=str(self.inputs),
                result=str(result),
                **arguments,
                **runtime.options,
            )
            return load_arrays(result), info

    def _export(self, backend: str) -> Path:
        self.say(f"exporting through {backend}" if backend != "onnx" else "writing ONNX directly")
        path = self.folder / f"{backend}.onnx"
        export_graph(self.graph, self.source, self.tensors, path, backend=backend)
        return path

    def _judge(self, results: Mapping[str, Any]) -> tuple[dict[str, Figures], str]:
        """Figures by output, and why the results do not agree, if they do not.

        A result that cannot be compared has no figures, whatever the other outputs are.
        """
        figures = {}
        for name, prediction in self.predictions.items():
            try:
                figures[name] = judge(prediction, results.get(name))
            except ComparisonError as problem:
                return {}, f"{name}: {problem}"
        wrong = [name for name, f in figures.items() if not f.agreed]
        return figures, f"beyond the noise: {', '.join(wrong)}" if wrong else ""
