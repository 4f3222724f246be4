"""The case table of the ops as one spec: each case has inputs and an output of its own.

So any backend is held to the whole table by one verification, on any runtime.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import netspec
from netspec.backends.lowering import NotLowered
from netspec.graph import Graph
from netspec.ops import Op
from netspec.ops.base import Case

Branch = tuple[dict[str, tuple[int, ...]], dict[str, Any]]
"""The inputs of a case, and its nodes; the last one's value is its output."""


def table(
    path: Path, kinds: Iterable[str], accepts: Callable[[Graph], object] = lambda graph: None
) -> Path:
    """Write the network of all cases of these ops, less those at which `accepts` says NotLowered.

    It replaces the file at `path`, which is returned.
    """
    branches = {}
    for kind in kinds:
        for number, case in enumerate(Op.registry[kind].cases):
            name = f"{kind}_{number}"
            branch = _branch(name, kind, case)
            try:
                accepts(netspec.load(_written(path, {name: branch})))
            except NotLowered:
                continue
            branches[name] = branch
    return _written(path, branches)


def _branch(name: str, kind: str, case: Case) -> Branch:
    inputs = {f"{name}_x{at}": shape for at, shape in enumerate(case.shapes)}
    if Op.registry[kind].join:
        return inputs, {name: {kind: list(inputs), "from": next(iter(inputs))}}
    node = {kind: case.attributes}
    if not inputs:  # it makes its value of nothing, and a network computes something of an input
        shape = Op.registry[kind](case.attributes, ()).infer().shape
        return {f"{name}_x": shape}, {name: node, f"{name}_sum": {"add": [name, f"{name}_x"]}}
    (source,) = inputs
    return inputs, {name: {**node, "from": source}}


def _written(path: Path, branches: dict[str, Branch]) -> Path:
    """JSON is YAML; a line for each part of the spec."""
    parts = {
        "inputs": {
            name: shape for inputs, _ in branches.values() for name, shape in inputs.items()
        },
        "body": {name: node for _, nodes in branches.values() for name, node in nodes.items()},
        "outputs": {f"{name}_y": list(nodes)[-1] for name, (_, nodes) in branches.items()},
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in parts.items()]
    path.write_text("\n".join(["netspec: 1", "name: cases", *lines]) + "\n", encoding="utf-8")
    return path
