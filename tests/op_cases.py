"""The case table of the ops as one network: each case has inputs and an output of its own.

So any backend is held to the whole table by one verification, on any runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from netspec.backends.lowering import NotLowered
from netspec.diagnostics import SourceText, Span
from netspec.graph import Graph, Node, Output, Value, Weight
from netspec.ops import Op
from netspec.ops.base import Case
from netspec.types import TensorType

SPAN = Span(SourceText.of("the case table", ""), 1, 1, 1, 1)
Branch = tuple[list[Value], Node]


def table(kinds: Iterable[str], accepts: Callable[[Graph], object] = lambda graph: None) -> Graph:
    """The network of all cases of these ops, less those for which `accepts` raises NotLowered."""
    branches = []
    for kind in kinds:
        for number, case in enumerate(Op.registry[kind].cases):
            branch = _branch(f"{kind}_{number}", kind, case)
            try:
                accepts(_graph([branch]))
            except NotLowered:
                continue
            branches.append(branch)
    return _graph(branches)


def _branch(name: str, kind: str, case: Case) -> Branch:
    shapes = enumerate(case.shapes)
    inputs = [Value(f"{name}_x{at}", TensorType(shape)) for at, shape in shapes]
    types = tuple(value.type for value in inputs)
    op = Op.registry[kind](case.attributes, types)
    weights = tuple(
        Weight(
            f"{name}.{p.name}" if p.name else name, p.name, p.shape, p.init, p.trainable, p.dtype
        )
        for p in op.params(*types)
    )
    return inputs, Node(name, op, tuple(inputs), Value(name, op.infer(*types)), weights, SPAN)


def _graph(branches: list[Branch]) -> Graph:
    inputs = tuple(value for values, _ in branches for value in values)
    nodes = tuple(node for _, node in branches)
    outputs = tuple(Output(node.path, node.output) for node in nodes)
    return Graph("cases", {}, inputs, outputs, nodes, None)
