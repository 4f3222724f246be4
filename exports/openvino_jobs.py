"""What a worker does with OpenVINO: run a file on its CPU plug-in, in float32."""

from __future__ import annotations

from typing import Any

import openvino  # type: ignore[import-not-found,unused-ignore]

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.fit import run_fitted
from netspec.exports.onnx_file import interface


def run(model: str, inputs: str, result: str, outputs: dict[str, list[int]]) -> dict[str, Any]:
    """Run a file on an .npz of channels-first inputs; outputs by the spec's names go to an .npz."""
    # The default precision is bfloat16 on processors with AMX.
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if precision != "f32":
        raise RuntimeError(f"OpenVINO computes in {precision}, not in f32")
    values = load_arrays(inputs)
    results = run_fitted(
        interface(model), values, outputs, lambda feeds: list(compiled(feeds).values())
    )
    save_arrays(result, results)
    return {"version": openvino.__version__, "precision": precision}
