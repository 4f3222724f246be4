"""What a verification will do: which sources and files run where."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.compiler import backend_names
from netspec.exports.export import BACKENDS
from netspec.exports.report import NOT_RUN, Row
from netspec.exports.runtimes import Runtime, missing, runtimes
from netspec.zoo import UsageError

DEFAULT_BACKENDS = ("torch", "keras", "onnx")
DEFAULT_RUNTIMES = ("torch", "keras", "onnxruntime")

EVALUATOR = Runtime("evaluator", "evaluator_run", lambda: missing("onnx"))
"""What evaluates an ONNX file in float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A row to be filled: a source, an export (`backend`), or a file (`file`) on a runtime."""

    runtime: Runtime
    backend: str | None = None
    file: Path | None = None
    dtype: str = "float32"

    @property
    def subject(self) -> str:
        if self.file:
            return self.file.name
        return f"{self.backend} {'source' if self.runtime.backend else 'export'}"

    @property
    def is_export(self) -> bool:
        """Whether the task's file has to be made first."""
        return self.runtime.backend is None and self.file is None


def rounding_plan(
    backends: Sequence[str] | None,
    names: Sequence[str] | None,
    model: str | os.PathLike[str] | None,
) -> list[Task | Row]:
    """The rows to fill, sources first; what was asked for and cannot be run is a row already.

    Raises:
        UsageError: a backend or runtime is not known.
    """
    known = runtimes()
    _require_known("runtime", names, known)
    _require_known("backend", backends, backend_names())
    if backends is None:
        backends = DEFAULT_BACKENDS if model is None else ()
    asked = tuple(dict.fromkeys(backends))
    chosen = tuple(dict.fromkeys(_default_runtimes(asked, known) if names is None else names))
    file = Path(model).resolve() if model is not None else None
    plan: list[Task | Row] = []
    for runtime in (known[name] for name in chosen):
        fitting = list(_tasks(runtime, asked, file))
        if not fitting and names is not None:
            what = f"{runtime.backend} source" if runtime.backend else "ONNX files"
            reason = f"{runtime.name} runs {what}, which was not asked for"
            fitting = [Row("-", runtime.name, NOT_RUN, reason=reason)]
        plan += fitting
    run = {task.backend for task in plan if isinstance(task, Task)}
    for backend in asked if names is None else ():
        if backend not in run:
            reason = f"no runtime is known that runs {backend} source"
            plan.append(Row(f"{backend} source", "-", NOT_RUN, reason=reason))
    return plan


def same_plan(plan: Iterable[Task | Row]) -> list[Task | Row]:
    """The same sources, exports and files, each once, in float64."""
    doubles = _doubles(runtimes())
    found: dict[object, Task | Row] = {}
    for task in plan:
        if isinstance(task, Task) and (runtime := doubles.get(task.runtime.backend)):
            subject = task.runtime.backend, task.backend, task.file  # a file may have any name
            found.setdefault(subject, Task(runtime, task.backend, task.file, "float64"))
    return list(found.values())


def _doubles(known: Mapping[str, Runtime]) -> dict[str | None, Runtime]:
    """What evaluates each backend's source in float64, and an ONNX file (None)."""
    found: dict[str | None, Runtime] = {None: EVALUATOR}
    for runtime in known.values():
        if runtime.doubles:
            options = {**runtime.options, "dtype": "float64"}
            found.setdefault(runtime.backend, replace(runtime, options=options))
    return found


def _default_runtimes(asked: Sequence[str], known: Mapping[str, Runtime]) -> list[str]:
    """The usual ones, and for a backend that has none of them the first that runs its source."""
    chosen = list(DEFAULT_RUNTIMES)
    for backend in asked:
        if backend not in BACKENDS:
            chosen += [name for name, r in known.items() if r.backend == backend][:1]
    return chosen


def _require_known(word: str, names: Sequence[str] | None, known: Iterable[str]) -> None:
    for name in names or ():
        if name not in known:
            raise UsageError(f"no {word} is called {name}: there are {', '.join(known)}")


def _tasks(runtime: Runtime, backends: tuple[str, ...], file: Path | None) -> Iterable[Task | Row]:
    for backend in backends:
        if runtime.backend == backend or (runtime.backend is None and backend in BACKENDS):
            yield Task(runtime, backend)
    if file and runtime.backend is None:
        yield Task(runtime, file=file)
