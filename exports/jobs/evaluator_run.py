"""What a worker does with the float64 evaluator: run a file as the function that it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.evaluator import EvaluationError, NotEvaluatedError, Program
from netspec.exports.fit import Array, Arrays, run_fitted
from netspec.exports.jobs.refusals import over_file
from netspec.exports.jobs.tracing import Trace
from netspec.exports.onnx_file import interface
from netspec.exports.worker import UnavailableError, one_line, shortened


def _told(error: Exception) -> str:
    """An error that names its node or tensor stands for itself."""
    return shortened(str(error)) if isinstance(error, EvaluationError) else one_line(error)


@over_file(_told)
def run(
    model: str,
    inputs: str,
    result: str,
    outputs: dict[str, list[int]],
    trace: str | None = None,
    sample: int = 0,
) -> dict[str, Any]:
    """Run a file on an .npz of channels-first inputs; outputs by the spec's names go to an .npz.

    A file of a narrower type than float64 is evaluated in float64 all the same. With `trace`,
    every value of one sample goes to that .npz, and what the file stores.

    Raises:
        UnavailableError: the file has something that the evaluator lacks.
        JobError: the file is not valid, or its inputs are not the spec's.
    """
    ports = interface(model)
    recorded = Trace(sample)
    traced = sample if trace else None
    notes: list[str] = []
    done = 0

    def once(feeds: Arrays) -> Sequence[Array]:
        nonlocal done
        batch = len(next(iter(feeds.values())))
        seen = partial(recorded.add, batch=batch, first=done) if trace else None
        done += batch
        return list(program.run(feeds, seen).values())

    try:
        program = Program.load(model, widen=ports.dtype != "float64")
        with recorded.saved(trace):
            if trace:
                recorded.constants(program.stored)
            results = run_fitted(ports, load_arrays(inputs), outputs, once, traced, notes=notes)
    except NotEvaluatedError as lack:
        raise UnavailableError(f"not evaluated: {lack}") from None
    save_arrays(result, results)
    notes += [program.halves] if program.halves else []
    return {"stored": ports.dtype, "notes": notes}
