"""Other layouts and other widths of numbers than the spec's: which are told, which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import netspec
from netspec.exports.export import export_graph
from netspec.exports.probe import probe_weights
from netspec.exports.report import AGREED, DISAGREED, FAILED, NOT_RUN
from netspec.graph import Graph
from tests.hostile_files.changes import tensor
from tests.hostile_files.small import SPEC, changed, verified


def transposed(model: ModelProto, declared: list[Any]) -> None:
    """The output, four axes of it, comes out channels last and is declared so or otherwise."""
    out = model.graph.output[0]
    made = next(n for n in model.graph.node if out.name in n.output)
    made.output[0] = "first"
    perm = [0, 2, 3, 1]
    model.graph.node.append(helper.make_node("Transpose", ["first"], [out.name], perm=perm))
    out.CopyFrom(helper.make_tensor_value_info(out.name, 1, declared))


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (["batch", 4, 4, 5], "its output output is channels last"),
        (["batch", "h", "w", "c"], "its output output is channels last"),
        (
            ["batch", 5, 4, 4],
            "the file's output output float32[batch, 5, 4, 4] comes out with the shape (4, 4, 5)",
        ),
    ],
)
def test_channels_last_must_not_be_denied(
    tmp_path: Path, here: None, declared: list[Any], reason: str
) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("\n".join(SPEC.splitlines()[:-3]) + "\n")
    graph = netspec.load(spec)
    path = tmp_path / "net.onnx"
    export_graph(graph, lambda _: "", probe_weights(graph, 0), path, backend="onnx")
    report = verified(graph, changed(path, tmp_path, lambda m: transposed(m, declared)))
    rows = (*report.same, *report.rows)
    assert [row.reason for row in rows] == [reason] * 2
    assert {row.status for row in rows} == {FAILED if 5 in declared[:2] else AGREED}


def test_numbers_of_16_bits_are_told(graph: Graph, right: Path, tmp_path: Path, here: None) -> None:
    def change(model: ModelProto) -> None:
        weight = tensor(model, "c2.weight")
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), "half")
        model.graph.initializer.append(half)
        model.graph.initializer.remove(weight)
        cast = helper.make_node("Cast", ["half"], ["c2.weight"], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)

    report = verified(graph, changed(right, tmp_path, change))
    (row,) = report.same
    assert row.status == DISAGREED
    assert "; 180 of " in row.reason
    assert row.reason.endswith(" of its stored numbers are float16")


def test_doubles_that_a_provider_lacks_are_not_run(
    graph: Graph, tmp_path: Path, here: None
) -> None:
    path = tmp_path / "double.onnx"
    weights = probe_weights(graph, 0)
    export_graph(graph, lambda _: "", weights, path, backend="onnx", dtype="float64")
    report = verified(graph, path)
    assert report.same[0].status == AGREED
    (row,) = report.rows
    assert (row.status, row.reason) == (NOT_RUN, "CPUExecutionProvider has no float64 Conv")
