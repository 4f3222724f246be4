"""Export through `torch.onnx`, in a worker."""

from __future__ import annotations

from typing import Any

import torch

from netspec.exports.onnx_file import BATCH, OPSET, Interface, finish
from netspec.exports.torch_jobs import load


def export(source: str, weights: str, path: str, interface: dict[str, Any]) -> dict[str, Any]:
    """Export the source's model to an ONNX file with the given interface, of its dtype.

    Raises:
        ValueError: what torch exported does not have this interface.
    """
    wanted = Interface.of(interface)
    model = load(source, weights, wanted.dtype)
    # A batch of 1 would be taken for a constant, and one that verifications use would pass as one.
    # torch's stubs take sizes of one kind, an int or a symbol, and no unpacked shape.
    arguments = tuple(torch.zeros(3, *port.shape[1:]) for port in wanted.inputs)  # type: ignore[arg-type]
    program = torch.onnx.export(
        model,
        arguments,
        dynamo=True,
        opset_version=OPSET,
        input_names=[port.name for port in wanted.inputs],
        output_names=[port.name for port in wanted.outputs],
        dynamic_shapes=tuple({0: BATCH} for _ in wanted.inputs),
    )
    if program is None:
        raise ValueError("torch.onnx.export returned no program")
    finish(program.model_proto, wanted, path)
    return {"version": torch.__version__}
