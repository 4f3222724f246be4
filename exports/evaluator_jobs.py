"""What a worker does with the float64 evaluator: run a file as the function that it is."""

from __future__ import annotations

from typing import Any

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.evaluator import NotEvaluatedError, Program
from netspec.exports.fit import run_fitted
from netspec.exports.onnx_file import interface
from netspec.exports.worker import UnavailableError


def run(model: str, inputs: str, result: str, outputs: dict[str, list[int]]) -> dict[str, Any]:
    """Run a file on an .npz of channels-first inputs; outputs by the spec's names go to an .npz.

    A file of a narrower type than float64 is evaluated in float64 all the same.

    Raises:
        UnavailableError: the file has something that the evaluator lacks.
    """
    ports = interface(model)
    try:
        program = Program.load(model, widen=ports.dtype != "float64")
        results = run_fitted(
            ports, load_arrays(inputs), outputs, lambda feeds: list(program.run(feeds).values())
        )
    except NotEvaluatedError as lack:
        raise UnavailableError(f"not evaluated: {lack}") from None
    save_arrays(result, results)
    return {"stored": ports.dtype}
