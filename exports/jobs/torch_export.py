"""Export through `torch.onnx`, in a worker."""

from __future__ import annotations

import re
from typing import Any

import torch
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError
from torch.onnx.errors import OnnxExporterError

from netspec.exports.jobs.torch_run import load
from netspec.exports.onnx_file import BATCH, OPSET, Interface, finish
from netspec.exports.worker import JobError, one_line, shortened


def export(source: str, weights: str, path: str, interface: dict[str, Any]) -> dict[str, Any]:
    """Export the source's model to an ONNX file with the given interface, of its dtype.

    Raises:
        JobError: torch.onnx cannot export the model, or writes an invalid file.
        ValueError: what torch exported does not have this interface.
    """
    wanted = Interface.of(interface)
    model = load(source, weights, wanted.dtype)
    # A batch of 1 would be taken for a constant, and one that verifications use would pass as one.
    # torch's stubs take sizes of one kind, an int or a symbol, and no unpacked shape.
    arguments = tuple(torch.zeros(3, *port.shape[1:]) for port in wanted.inputs)  # type: ignore[arg-type]
    try:
        program = torch.onnx.export(
            model,
            arguments,
            dynamo=True,
            opset_version=OPSET,
            input_names=[port.name for port in wanted.inputs],
            output_names=[port.name for port in wanted.outputs],
            dynamic_shapes=tuple({0: BATCH} for _ in wanted.inputs),
        )
    except OnnxExporterError as error:
        raise JobError(_reason(error)) from error
    if program is None:
        raise ValueError("torch.onnx.export returned no program")
    try:
        finish(program.model_proto, wanted, path)
    except (ValidationError, InferenceError) as error:
        text = shortened(str(error).replace("[ShapeInferenceError] ", ""))
        raise JobError(f"torch.onnx wrote an invalid file: {text}") from error
    return {"version": torch.__version__}


def _reason(error: Exception) -> str:
    """What the exporter broke down with: the first cause of the error, without its advice."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    if lacking := re.search(r"No ONNX function found for <OpOverload\(op='(.*?)'", str(error)):
        return f"torch.onnx has no translation of {lacking[1]}"
    return f"torch.onnx fails with {one_line(error)}"
