"""The docstring of a generated file: where it came from, what goes in and what comes out."""

from __future__ import annotations

from netspec.backends.source.python import literal
from netspec.backends.source.text import docstring
from netspec.graph import Graph, Value


def header(graph: Graph, framework: str) -> str:
    """The module docstring of generated source."""
    from netspec import __version__

    model = graph.trace.model
    lines = [
        f"{graph.name} for {framework}.",
        "",
        f"Written by netspec {__version__} from the spec `{model.name}`.",
    ]
    if model.source:
        lines.append(f"Architecture: {model.source}")
    if graph.params:
        params = ", ".join(f"{k}={literal(v)}" for k, v in graph.params.items())
        lines.append(f"Parameters: {params}")
    lines.append(f"Inputs: {', '.join(_shape(v, v.name) for v in graph.inputs)}")
    outputs = [
        _shape(o.value, o.name) + (" in training" if o.training else "") for o in graph.outputs
    ]
    lines.append(f"Outputs: {', '.join(outputs)}")
    return "\n".join(docstring("\n".join(lines)))


def _shape(value: Value, name: str) -> str:
    return f"{name} (batch, {', '.join(map(str, value.type.shape))})"
