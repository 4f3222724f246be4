"""One node by itself: a spec and its arrays, and what a task makes of them."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.export import export_graph, save_weights
from netspec.exports.plan import Task
from netspec.exports.same import BOUND
from netspec.exports.worker import UnavailableError, WorkerError, call
from netspec.graph import Node, Value

Array = NDArray[Any]

NAME = "node"


def one_node_spec(node: Node) -> str:
    """A spec of this node alone, its attributes written out; inputs are `x`, or `x0`, `x1`, ..."""
    names = input_names(node)
    attributes = {
        name: value
        for name, value in node.op.values.items()
        if node.op.attributes[name].type != "Init" or node.op.attributes[name].required
    }
    call = {node.op.kind: names if node.op.join else attributes}
    inputs = {n: list(t.shape) for n, t in zip(names, node.input_types, strict=True)}
    lines = [
        f"# {node.path} at {node.span}, alone",
        "netspec: 1",
        f"name: {NAME}",
        *([f"inputs: {json.dumps(inputs)}"] if inputs else []),
        "body:",
        f"  {NAME}: {json.dumps(call)}",
    ]
    return "\n".join(lines) + "\n"


def input_names(node: Node) -> list[str]:
    return ["x"] if len(node.inputs) == 1 else [f"x{at}" for at in range(len(node.inputs))]


def write_reproduction(
    node: Node,
    truth: Mapping[Value, Array],
    weights: Mapping[str, Array],
    actual: Array | None,
    path: Path,
) -> tuple[Path, Path]:
    """Write `<path>.yaml` and `<path>.npz`.

    The arrays are `input.<name>`, `weight.<key>` (keys of the spec), `expected`, and `actual` where
    there is one.
    """
    base = path.with_name(re.sub(r"[^\w.-]", "_", path.name))
    spec, arrays = (base.with_name(f"{base.name}{ending}") for ending in (".yaml", ".npz"))
    spec.write_text(one_node_spec(node), encoding="utf-8")
    inputs = zip(input_names(node), node.inputs, strict=True)
    save_arrays(
        arrays,
        {
            **{f"input.{name}": truth[value] for name, value in inputs},
            **{f"weight.{_own_key(w.name)}": np.asarray(weights[w.key]) for w in node.weights},
            "expected": truth[node.output],
            **({} if actual is None else {"actual": actual}),
        },
    )
    return spec, arrays


def run_alone(task: Task, files: tuple[Path, Path], folder: Path) -> str:
    """What the blamed node does by itself in float64, fed the reference's inputs."""
    if task.file or task.dtype != "float64" or task.backend is None:
        return ""
    arrays = load_arrays(files[1])
    try:
        found = _alone(task, task.backend, files[0], arrays, folder)
    except (WorkerError, UnavailableError, ValueError) as problem:
        return f"alone it does not run: {str(problem).splitlines()[0]}"
    expected = arrays["expected"]
    if found.shape != expected.shape:
        return f"alone it departs too: its shape is {found.shape}, not {expected.shape}"
    error = np.abs(found - expected).max(initial=0.0) / (np.abs(expected).max(initial=0.0) or 1.0)
    if error <= BOUND:
        return "alone, fed the reference's inputs, it agrees: look at how it is connected or loaded"
    return f"alone, fed the reference's inputs, it departs too, by {error:.1e}"


def _alone(
    task: Task, backend: str, spec: Path, arrays: Mapping[str, Array], scratch: Path
) -> Array:
    import netspec
    from netspec.compiler import source_backend

    graph = netspec.load(spec)
    weights = {w.key: arrays[f"weight.{w.key}"] for w in graph.weights}
    name = graph.outputs[0].name
    with tempfile.TemporaryDirectory(dir=scratch) as made:
        folder = Path(made)
        inputs, result = folder / "inputs.npz", folder / "result.npz"
        save_arrays(inputs, {v.name: arrays[f"input.{v.name}"] for v in graph.inputs})
        arguments: dict[str, Any]
        if task.runtime.backend:
            code, tensors = folder / "alone.py", folder / "alone.safetensors"
            code.write_text(source_backend(backend).source(graph), encoding="utf-8")
            save_weights(weights, tensors)
            arguments = {"source": str(code), "weights": str(tensors), "names": [name]}
        else:
            model = folder / "alone.onnx"
            export_graph(
                graph,
                lambda wanted: source_backend(wanted).source(graph),
                weights,
                model,
                backend=backend,
                dtype="float64",
            )
            arguments = {"model": str(model), "outputs": {name: graph.outputs[0].value.type.shape}}
        call(
            task.runtime.job,
            inputs=str(inputs),
            result=str(result),
            **arguments,
            **task.runtime.options,
        )
        return load_arrays(result)[name]


def _own_key(name: str) -> str:
    return f"{NAME}.{name}" if name else NAME
