"""The network that the files should hold, and what is done with each file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from netspec.exports.report import Report
from netspec.exports.verify import verify_graph
from netspec.graph import Graph

SPEC = """\
netspec: 1
name: net
inputs: {image: [3, 8, 8]}
body:
  c1: {conv: {out: 4, kernel: 3, padding: 1, bias: false}}
  n1: batch_norm
  r1: relu
  c2: {conv: {out: 5, kernel: 3, stride: 2, padding: 1}}
  gap: global_avg_pool
  flat: flatten
  fc: {linear: 6}
"""

Change = Callable[[ModelProto], Any]


def verified(graph: Graph, model: Path) -> Report:
    return verify_graph(graph, lambda _: "", model=model)


def changed(right: Path, folder: Path, change: Change) -> Path:
    model = onnx.load(right)
    made = change(model)
    path = folder / "bad.onnx"
    path.write_bytes(made if isinstance(made, bytes) else model.SerializeToString())
    return path
