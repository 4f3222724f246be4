"""What a verification will do: which sources and files run where."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netspec.exports.export import BACKENDS
from netspec.exports.report import NOT_RUN, Row
from netspec.exports.runtimes import Runtime, missing, runtimes

DEFAULT_RUNTIMES = ("torch", "keras", "onnxruntime")

IN_FLOAT64 = {
    "torch": Runtime("torch", "torch_run", lambda: missing("torch"), "torch", {"dtype": "float64"}),
    "keras": Runtime(
        "keras", "keras_run", lambda: missing("keras", "tensorflow"), "keras", {"dtype": "float64"}
    ),
    None: Runtime("evaluator", "evaluator_run", lambda: missing("onnx")),
}
"""What evaluates a backend's source, or an ONNX file, in float64."""


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
    """The rows to fill, sources first; a runtime that nothing asked for fits is a row already.

    Raises:
        ValueError: a backend or runtime is not known.
    """
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
    tasks: list[Task | Row] = []
    for runtime in (known[name] for name in dict.fromkeys(names or DEFAULT_RUNTIMES)):
        fitting = list(_tasks(runtime, tuple(dict.fromkeys(backends)), file))
        if not fitting and names is not None:
            reason = f"{runtime.name} runs the {runtime.backend} source, which was not asked for"
            tasks.append(Row("-", runtime.name, NOT_RUN, reason=reason))
        tasks += fitting
    return tasks


def same_plan(plan: Iterable[Task | Row]) -> list[Task | Row]:
    """The same sources, exports and files, each once, in float64."""
    found: dict[str, Task | Row] = {}
    for task in plan:
        if isinstance(task, Task) and (runtime := IN_FLOAT64.get(task.runtime.backend)):
            found.setdefault(task.subject, Task(runtime, task.backend, task.file, "float64"))
    return list(found.values())


def _tasks(runtime: Runtime, backends: tuple[str, ...], file: Path | None) -> Iterable[Task]:
    for backend in backends:
        if runtime.backend in (None, backend):
            yield Task(runtime, backend)
    if file and runtime.backend is None:
        yield Task(runtime, file=file)
