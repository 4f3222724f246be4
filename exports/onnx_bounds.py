"""What an ONNX file may ask for: a few lines of it can hold more work than ever ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

NODES = 200_000  # some 20 times those of the largest network that we know of
TRIPS = 10_000

Key = tuple[str, str]


def excess(model: ModelProto) -> str:
    """Why a model is more than can be run, in words; empty if it is not."""
    if _size(model) > NODES:
        return f"it has more than {NODES:,} nodes, those of its functions counted at each call"
    nodes = [*_nodes(model.graph.node)]
    nodes += [node for function in model.functions for node in _nodes(function.node)]
    trips = {name: count for name, count in _counts(model, nodes) if 0 <= count <= TRIPS}
    for node in nodes:
        if node.op_type == "Loop" and (not node.input or node.input[0] not in trips):
            name = node.name or next(iter(node.output), "")
            return f"{name} is a Loop that is not known to end within {TRIPS:,} rounds"
    return ""


def _size(model: ModelProto) -> int:
    """The nodes that there are when every call of a function is replaced by its nodes."""
    called = {(f.domain, f.name): [_key(n) for n in _nodes(f.node)] for f in model.functions}
    sizes: dict[Key, int] = {}
    try:
        for key in TopologicalSorter(called).static_order():
            sizes[key] = min(sum(sizes[k] for k in called.get(key, ())), NODES + 1) or 1
    except CycleError:
        return 0  # which makes the file invalid: whoever reads it says so
    return sum(sizes.get(_key(node), 1) for node in _nodes(model.graph.node))


def _key(node: NodeProto) -> Key:
    return node.domain, node.op_type


def _nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those of the graphs inside them, which protobuf lets nest 100 deep at most."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes(graph.node)


def _counts(model: ModelProto, nodes: Iterable[NodeProto]) -> Iterator[tuple[str, int]]:
    """Stored integers by name."""
    from onnx import numpy_helper

    constants = [n for n in nodes if n.op_type == "Constant" and n.output]
    stored = [(tensor.name, tensor) for tensor in model.graph.initializer]
    stored += [(n.output[0], a.t) for n in constants for a in n.attribute if a.name == "value"]
    for name, tensor in stored:
        if tensor.data_type == tensor.INT64 and list(tensor.dims) in ([], [1]):
            try:
                yield name, int(numpy_helper.to_array(tensor).item())
            except Exception:  # of a broken tensor it may be any; its reader says so
                continue
    yield from ((n.output[0], a.i) for n in constants for a in n.attribute if a.name == "value_int")
