"""The docstring of a generated file: where it came from, what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netspec.backends.source.program import Program
from netspec.backends.source.python import literal
from netspec.backends.source.signature import arguments
from netspec.backends.source.text import NO_BREAK, docstring, unbroken
from netspec.digest import spec_digest
from netspec.graph import Output, Value

Layout = Callable[[Sequence[int]], Sequence[int]]


def header(program: Program, framework: str, layout: Layout = tuple) -> str:
    """The module docstring of generated source.

    `layout` turns a shape without the batch, channels first, into the framework's.
    """
    from netspec import __version__

    graph, run = program.graph, program.graph.trace
    origin = f"{run.model.name} (sha256 {spec_digest(run.model)})".replace(" ", NO_BREAK)
    lines = [f"{graph.name} for {framework}, written by netspec {__version__} from {origin}.", ""]
    if run.model.source:
        lines.append(f"Architecture: {run.model.source}")
    if graph.params:
        lines.append(_parameters(program))

    def shape(value: Value, name: str) -> str:
        return f"{name} (batch, {', '.join(map(str, layout(value.type.shape)))})"

    def result(output: Output) -> str:
        return shape(output.value, output.name) + (" in training" if output.training else "")

    inputs = ", ".join(shape(value, value.name) for value in graph.inputs)
    outputs = ", ".join(map(result, graph.outputs))
    lines.append(f"Shapes: {inputs} -> {outputs}")
    return "\n".join(docstring("\n".join(lines)))


def _parameters(program: Program) -> str:
    """The parameters' values: those of arguments first, then those that the source fixes."""
    model = program.model
    free = {param.name: model.names.spell(param.name) for param in arguments(model)}
    texts = {
        name: f"{free.get(name, name)}={unbroken(literal(value))}"
        for name, value in program.graph.params.items()
    }
    taken = ", ".join(text for name, text in texts.items() if name in free)
    fixed = ", ".join(text for name, text in texts.items() if name not in free)
    if not taken:
        return f"Fixed parameters: {fixed}"
    return f"Parameters: {taken}; fixed: {fixed}" if fixed else f"Parameters: {taken}"
