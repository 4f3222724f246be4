"""Which numbers of the spec a finished file holds as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.onnx_file import interface
from netspec.graph import Graph

Array = NDArray[Any]

COUNTER = "num_batches_tracked"  # of batch norms; inference does not read it


def kept_nodes(model: Path, graph: Graph, weights: Mapping[str, Array]) -> frozenset[str]:
    """The nodes of which a file holds every number as it is; their values have no rounding of it.

    A node's weights are held if the file has them in whatever layout. A node without weights has
    numbers of its own where it is composed (1/6, the square root of 2, a matrix of shares): none of
    them can be rounded where all that the file stores are weights and numbers of few digits.
    """
    try:
        interface(model)  # refuses what is more than can be run, functions in functions among it
        stored = list(_stored(model))
    except Exception:  # whatever is wrong with the file, its run tells
        return frozenset()
    read = {n: [w.key for w in n.weights if w.name != COUNTER] for n in graph.inference_nodes}
    ours = {key: _multiset(weights[key]) for keys in read.values() for key in keys}
    held, known = set(map(_multiset, stored)), set(ours.values())
    exact = all(_is_short(x) or _multiset(x) in known for x in stored)
    return frozenset(
        node.path
        for node, keys in read.items()
        if (all(ours[key] in held for key in keys) if keys else exact)
    )


def _stored(model: Path) -> Iterator[Array]:
    """What a file stores in floating point and reads on the way to an output."""
    import onnx
    from onnx import inliner, numpy_helper

    file = onnx.load(model)
    graph = (inliner.inline_local_functions(file) if file.functions else file).graph
    wanted = {output.name for output in graph.output}
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    tensors = []
    for node in reversed(graph.node):  # a file's nodes stand in topological order
        if wanted.isdisjoint(node.output):
            continue
        wanted.update(node.input)
        if node.op_type == "Constant":
            tensors += [a.t for a in node.attribute]
            yield from (np.array([a.f, *a.floats]) for a in node.attribute if a.f or a.floats)
    tensors += [t for t in graph.initializer if t.name in wanted]
    yield from (numpy_helper.to_array(t) for t in tensors if t.data_type in floats)


def _multiset(x: Array) -> bytes:
    return np.sort(np.asarray(x, np.float64), axis=None).tobytes()


def _is_short(x: Array) -> bool:
    """Whether float16 holds these numbers: then none of them was rounded to float32."""
    with np.errstate(over="ignore"):
        return bool((x == x.astype(np.float16)).all())
