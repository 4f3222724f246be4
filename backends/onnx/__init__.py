"""ONNX straight from the graph, with no framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netspec.backends.onnx import ops
from netspec.backends.onnx.file import write_file
from netspec.backends.onnx.model import skeleton
from netspec.backends.onnx.registry import lowers
from netspec.graph import Graph

__all__ = ["lowers", "ops", "write"]


def write(
    graph: Graph,
    weights: Mapping[str, np.ndarray[Any, Any]],
    path: str | os.PathLike[str],
    opset: int = 18,
    *,
    dtype: str = "float32",
) -> None:
    """Write the inference part of a graph as an ONNX model, checked before it is written.

    Inputs and outputs are `(batch, channels, *spatial)` under the spec's names, initializers
    stand under their checkpoint keys. Weights are taken from the mapping one at a time; above
    2 GB they go to `<path>.data`. A failure leaves no file. With `dtype` "float64" the same
    function is written in double precision, for runtimes that evaluate it.

    Raises:
        NotLowered: an op has no ONNX lowering.
        ValueError: an opset but 17 to 22, another dtype, or a weight missing or misshapen.
        OSError: a file cannot be written.
    """
    model = skeleton(graph, opset, dtype)
    model.check()
    write_file(model, weights, Path(path))
