"""The flat form of a resolved spec: typed values and nodes in topological order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netspec.diagnostics import Span
from netspec.ops.base import Init, Op
from netspec.record import record
from netspec.types import TensorType


@record
class Value:
    """A tensor that flows: an input of the network or the output of a node. Joined by identity."""

    name: str
    type: TensorType


@record
class Weight:
    """A stored tensor under its checkpoint key, in torch's shape and layout."""

    key: str
    name: str  # the op's own word for it: weight, bias, running_mean, ...
    shape: tuple[int, ...]
    init: Init
    trainable: bool
    dtype: str


@record
class Node:
    """One application of an op. A node made by `share` has the weights of the node it repeats."""

    path: str
    op: Op
    inputs: tuple[Value, ...]
    output: Value
    weights: tuple[Weight, ...]
    span: Span
    shared: bool = False

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        return tuple(value.type for value in self.inputs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample."""
        return self.op.macs(*self.input_types)


@record
class Output:
    """A named result; `training` marks one that exists only in training."""

    name: str
    value: Value
    training: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A spec with its parameters applied: flat, typed, in topological order.

    `params` holds the values of the model's parameters; `trace` is the resolved tree from which
    source is generated.
    """

    name: str
    params: dict[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Output, ...]
    nodes: tuple[Node, ...]
    trace: Any = field(repr=False)

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """Every stored tensor, in checkpoint order (the order of the spec's text)."""
        return tuple(w for node in self.declared for w in node.weights)

    @property
    def declared(self) -> Iterator[Node]:
        """The nodes that own their weights, in the order of the text."""
        return (node for node in self.nodes if not node.shared)

    @property
    def param_count(self) -> int:
        """Trainable parameters."""
        return sum(_size(w.shape) for w in self.weights if w.trainable)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample at inference."""
        return sum(node.macs for node in self.inference_nodes)

    @cached_property
    def inference_outputs(self) -> tuple[Output, ...]:
        return tuple(output for output in self.outputs if not output.training)

    @cached_property
    def inference_nodes(self) -> tuple[Node, ...]:
        """The nodes that an inference output needs."""
        return self.needed_for(self.inference_outputs)

    def needed_for(self, outputs: tuple[Output, ...]) -> tuple[Node, ...]:
        """The nodes that these outputs depend on, in topological order."""
        needed = {id(output.value) for output in outputs}
        kept = []
        for node in reversed(self.nodes):
            if id(node.output) in needed:
                kept.append(node)
                needed.update(id(value) for value in node.inputs)
        return tuple(reversed(kept))


def _size(shape: tuple[int, ...]) -> int:
    result = 1
    for axis in shape:
        result *= axis
    return result
