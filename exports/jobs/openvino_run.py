"""What a worker does with OpenVINO: run a file on its CPU plug-in, told which precision to use."""

from __future__ import annotations

from typing import Any

# An extra without types: mypy may run with it and without.
import openvino  # type: ignore[import-not-found,import-untyped,unused-ignore]

from netspec.exports import precision
from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.fit import run_fitted
from netspec.exports.jobs.refusals import over_file
from netspec.exports.onnx_file import interface
from netspec.exports.worker import JobError, one_line

HINT = "INFERENCE_PRECISION_HINT"


@over_file()
def run(
    model: str, inputs: str, result: str, outputs: dict[str, list[int]], hint: str = "f32"
) -> dict[str, Any]:
    """Run a file on an .npz of channels-first inputs; outputs by the spec's names go to an .npz.

    Without a hint OpenVINO computes in bfloat16 where the processor can.

    Raises:
        JobError: the file cannot be loaded.
    """
    ports, values = interface(model), load_arrays(inputs)
    compiled = _compiled(model, hint)
    results = run_fitted(ports, values, outputs, lambda feeds: list(compiled(feeds).values()))
    save_arrays(result, results)
    probe = _compiled(precision.onnx_model(), hint)
    return {
        "version": openvino.__version__.partition("-")[0],  # the rest names its build
        "device": openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"),
        "settings": {HINT: compiled.get_property(HINT).get_type_name()},
        "bits": precision.measure(lambda *values: tuple(probe(list(values)).values())),
    }


def _compiled(model: str | bytes, hint: str) -> Any:
    try:
        core = openvino.Core()
        read = core.read_model(model)
        return core.compile_model(read, "CPU", {HINT: hint})
    except RuntimeError as error:
        raise JobError(f"OpenVINO compiles no such model: {one_line(error)}") from None
