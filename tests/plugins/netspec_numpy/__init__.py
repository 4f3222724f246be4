"""A backend from outside netspec: five ops as NumPy source, straight from the graph."""

from __future__ import annotations

from collections.abc import Callable

from netspec.backends.lowering import NotLowered
from netspec.graph import Graph, Node

HEAD = '''\
"""{name} for NumPy."""

import numpy as np
from safetensors.numpy import load_file


class Model:
    """Applied to arrays (batch, channels, *spatial)."""

    weights: dict[str, np.ndarray]

    def __call__(self, {inputs}):
        w = self.weights
'''
TAIL = """\


def build_model():
    return Model()


def load_weights(model, path):
    model.weights = load_file(path)
"""
OPS: dict[str, Callable[..., str]] = {
    "relu": lambda x: f"np.maximum({x}, 0)",
    "flatten": lambda x: f"{x}.reshape(len({x}), -1)",
    "global_avg_pool": lambda x: f"{x}.mean(tuple(range(2, {x}.ndim)), keepdims=True)",
    "linear": lambda x, weight, bias="0": (
        f"np.moveaxis(np.moveaxis({x}, 1, -1) @ {weight}.T + {bias}, -1, 1)"
    ),
    "add": lambda *xs: " + ".join(xs),
}


def source(graph: Graph) -> str:
    """NumPy source of a graph: one statement per node.

    Raises:
        NotLowered: an op is none of the five.
    """
    names = {value: f"x{at}" for at, value in enumerate(graph.inputs)}
    head = HEAD.format(name=graph.name, inputs=", ".join(names.values()))
    lines = []
    for at, node in enumerate(graph.inference_nodes):
        names[node.output] = f"y{at}"
        lines.append(f"        y{at} = {_lowered(node, [names[value] for value in node.inputs])}")
    results = ", ".join(names[output.value] for output in graph.inference_outputs)
    return head + "\n".join([*lines, f"        return {results}"]) + "\n" + TAIL


def _lowered(node: Node, inputs: list[str]) -> str:
    if node.op.kind not in OPS:
        raise NotLowered(node.op.kind, "numpy")
    weights = {weight.name: f"w[{weight.key!r}]" for weight in node.weights}
    return OPS[node.op.kind](*inputs, **weights)
