"""Export a spec to an ONNX file: through torch, through Keras, or directly."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from netspec.arguments import Params, Shapes
from netspec.exports.onnx_file import check_interface, expected_interface
from netspec.exports.runtimes import missing
from netspec.exports.weights import Weights, WeightsLike
from netspec.exports.worker import UnavailableError, call
from netspec.graph import Graph
from netspec.zoo import UsageError

NEEDS = {
    "torch": ("torch", "onnx", "onnxscript"),
    "keras": ("keras", "tensorflow", "tf2onnx", "onnx"),
    "onnx": ("onnx",),
}
BACKENDS = tuple(NEEDS)
"""The backends that have an exporter; others write source alone."""

Source = Callable[[str], str]
"""Gives the source that a backend generates for the spec."""


def export(
    spec: str | os.PathLike[str],
    path: str | os.PathLike[str],
    /,
    *,
    backend: str = "onnx",
    seed: int | None = None,
    weights: WeightsLike | None = None,
    skip_mismatched: bool = False,
    inputs: Shapes | None = None,
    params: Params | None = None,
    **named: Any,
) -> None:
    """Write a spec's network as an ONNX file whose interface does not tell which backend made it.

    Inputs and outputs have the spec's names, float32, channels first, any batch; training-only
    outputs are left out. `path` ends in `.onnx`; the file appears whole or not at all. The other
    arguments are those of `netspec.build`.

    Raises:
        SpecError: the spec has errors.
        UsageError: there is no such spec, parameter, input or backend.
        TypeError: an argument is of the wrong type.
        ValueError: the path names no ONNX file, or the seed or the weights are not what they
            should be.
        UnavailableError: the backend's packages are not installed.
        WorkerError: the exporter failed.
    """
    import netspec
    from netspec.compiler import weights_for

    if Path(path).suffix != ".onnx":
        raise ValueError(f"{path} is no name of an ONNX file, which ends in .onnx")
    graph = netspec.load(spec, inputs=inputs, params=params, **named)
    tensors = weights_for(graph, seed, weights, skip_mismatched=skip_mismatched)
    export_graph(
        graph,
        lambda name: netspec.source(spec, backend=name, inputs=inputs, params=params, **named),
        tensors,
        path,
        backend=backend,
    )


def export_graph(
    graph: Graph,
    source: Source,
    weights: Weights,
    path: str | os.PathLike[str],
    *,
    backend: str,
    dtype: str = "float32",
) -> None:
    """`export` of a graph that is already there; `source` is asked only where it is needed.

    With `dtype` "float64" the same function is exported in double precision, its attributes
    rounded to float32, so that nothing is rounded in folding.
    """
    if backend not in BACKENDS:
        raise UsageError(f"no exporter for backend {backend!r}", f"there are {', '.join(BACKENDS)}")
    if reason := missing(*NEEDS[backend]):
        raise UnavailableError(reason)
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".netspec-", dir=target.parent) as folder:
        draft = Path(folder, target.name)
        if backend == "onnx":
            _direct(graph, weights, draft, dtype)
        else:
            _through(backend, graph, source, weights, draft, dtype)
        # The data first: a file must never stand there without the weights that it names.
        for file in (draft.with_name(f"{draft.name}.data"), draft):
            if file.exists():
                os.replace(file, target.with_name(file.name))


def save_weights(weights: Weights, path: Path) -> None:
    """Write tensors by key as safetensors, which looks at their memory alone."""
    import numpy as np
    from safetensors.numpy import save_file

    save_file({key: np.asarray(w, order="C") for key, w in weights.items()}, path)


def _direct(graph: Graph, weights: Weights, draft: Path, dtype: str) -> None:
    from netspec.backends.onnx import write

    write(graph, weights, draft, dtype=dtype)
    check_interface(draft, expected_interface(graph, dtype))


def _through(
    backend: str, graph: Graph, source: Source, weights: Weights, draft: Path, dtype: str
) -> None:
    code = draft.with_name("model.py")
    code.write_text(source(backend), encoding="utf-8")
    tensors = draft.with_name("model.safetensors")
    save_weights(weights, tensors)
    call(
        f"{backend}_export",
        source=str(code),
        weights=str(tensors),
        path=str(draft),
        interface=asdict(expected_interface(graph, dtype)),
    )
