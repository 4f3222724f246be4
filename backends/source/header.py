"""The docstring of a generated file: where it came from, what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netspec.backends.source.python import literal
from netspec.backends.source.text import docstring
from netspec.digest import spec_digest
from netspec.graph import Graph, Output, Value

Layout = Callable[[Sequence[int]], Sequence[int]]


def header(graph: Graph, framework: str, layout: Layout = tuple) -> str:
    """The module docstring of generated source.

    `layout` turns a shape without the batch, channels first, into the framework's.
    """
    from netspec import __version__

    run = graph.trace
    origin = f"{run.model.name} (sha256 {spec_digest(run.model)})"
    lines = [f"{graph.name} for {framework}, written by netspec {__version__} from {origin}.", ""]
    if run.model.source:
        lines.append(f"Architecture: {run.model.source}")
    if graph.params:
        params = ", ".join(f"{k}={literal(v)}" for k, v in graph.params.items())
        lines.append(f"Parameters: {params}")

    def shape(value: Value, name: str) -> str:
        return f"{name} (batch, {', '.join(map(str, layout(value.type.shape)))})"

    def result(output: Output) -> str:
        return shape(output.value, output.name) + (" in training" if output.training else "")

    inputs = ", ".join(shape(value, value.name) for value in graph.inputs)
    outputs = ", ".join(map(result, graph.outputs))
    lines.append(f"Shapes: {inputs} -> {outputs}")
    return "\n".join(docstring("\n".join(lines)))
