"""A graph as text: one line, or a table of its nodes."""

from __future__ import annotations

import math
from typing import Any

from netspec.graph import Graph, Node

HEAD = ("path", "op", "attributes", "output", "params", "MACs")
RIGHT = (4, 5)  # columns of numbers
SEPARATOR = "  "


def summary(graph: Graph) -> str:
    """`lenet5: ok, image 1x32x32 -> output 10, 61,706 parameters, 416,520 MACs`.

    Outputs that only training has stand in parentheses.
    """
    inputs = ", ".join(f"{value.name} {value.type}" for value in graph.inputs)
    outputs = ", ".join(
        f"({o.name} {o.value.type})" if o.training else f"{o.name} {o.value.type}"
        for o in graph.outputs
    )
    return (
        f"{graph.name}: ok, {inputs} -> {outputs}, "
        f"{graph.param_count:,} parameters, {graph.macs:,} MACs"
    )


def table(graph: Graph) -> str:
    """The nodes in the order of computation, and totals.

    Parameters are the trainable ones and stand where they are stored. MACs are those of one sample
    at inference; a node that only training computes shows `training` instead.
    """
    needed = {id(node) for node in graph.inference_nodes}
    rows = [HEAD, *(_row(node, id(node) in needed) for node in graph.nodes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "-" * (sum(widths) + len(SEPARATOR) * (len(widths) - 1)))
    return "\n".join([*lines, "", summary(graph)])


def _row(node: Node, needed: bool) -> tuple[str, ...]:
    params = sum(math.prod(w.shape) for w in node.weights if w.trainable)
    owned = "shared" if node.shared else f"{params:,}" if params else ""
    macs = (f"{node.macs:,}" if node.macs else "") if needed else "training"
    return (node.path, node.op.kind, _attributes(node), str(node.output.type), owned, macs)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (
        cell.rjust(width) if column in RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return SEPARATOR.join(cells).rstrip()


def _attributes(node: Node) -> str:
    """What differs from the defaults, as a spec would say it; initialisers are left out."""
    defaults = type(node.op)(_required(node), node.input_types).values
    shown = []
    for name, value in node.op.values.items():
        attribute = node.op.attributes[name]
        if attribute.type != "Init" and (attribute.required or value != defaults[name]):
            shown.append(f"{name} {_text(value)}")
    return ", ".join(shown)


def _required(node: Node) -> dict[str, Any]:
    attributes = node.op.attributes
    return {name: v for name, v in node.op.values.items() if attributes[name].required}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        if value and all(item == value[0] for item in value):
            return _text(value[0])
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
