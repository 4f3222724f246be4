"""ONNX files with one thing wrong: a line says what, on both rows, and no other node is blamed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from netspec.exports.onnx_bounds import NODES, excess
from netspec.exports.report import AGREED, FAILED, NOT_RUN
from netspec.graph import Graph
from tests.hostile_files.changes import (
    attribute,
    batch,
    beside,
    cut_off,
    declared_77,
    doubling,
    empty_weight,
    external,
    input_type,
    loop,
    more_input,
    resized,
    steering,
    type_99,
    wide_add,
)
from tests.hostile_files.small import Change, changed, verified

BOTH = None  # the runtime's row says what the evaluator's does


@dataclass(frozen=True)
class Case:
    """A change, and what the two rows say of it; what begins with `not evaluated` was not run."""

    change: Change
    evaluator: str
    runtime: str | None = BOTH


REFUSED = "ONNX Runtime makes no session: "
CASES = {
    "half a file": Case(cut_off, "bad.onnx is not a readable ONNX file: "),
    "no outputs": Case(lambda m: m.graph.ClearField("output"), "bad.onnx holds no network"),
    "batch 0": Case(batch(0), "has a batch of 0, which is not run"),
    "batch -1": Case(batch(-1), "has a batch of -1, which is not run"),
    "batch 2e7": Case(batch(20_000_000), "has a batch of 20,000,000, which is not run"),
    "batch 2^40": Case(batch(2**40), "which is not run"),
    "text": Case(input_type(TensorProto.STRING), "takes no float32"),
    "integers": Case(input_type(TensorProto.INT64), "image int64[batch, 3, 8, 8] takes no float32"),
    "no type": Case(input_type(0), "takes no float32"),
    "input of type 99": Case(input_type(99), "takes no float32"),
    "weight of type 99": Case(type_99, "the tensor c2.weight: ", REFUSED),
    "input more": Case(more_input, "the file has an input that the spec lacks: mystery"),
    "declared shape": Case(declared_77, "float32[batch, 77] comes out with the shape (6,)"),
    "stride 0": Case(attribute(strides=[0, 0]), "c2 (Conv): ", REFUSED + "Node (c2)"),
    "group 0": Case(attribute(group=0), "c2 (Conv): ", "c2 (Conv): "),
    "group 3": Case(attribute(group=3), "c2 (Conv): ", "c2 (Conv): "),
    "kernel_shape": Case(attribute(kernel_shape=[5, 5]), "c2 (Conv): ", "c2 (Conv): kernel_shape "),
    "pads short": Case(attribute(pads=[1]), "c2 (Conv): ", REFUSED + "Node (c2)"),
    "pads negative": Case(attribute(pads=[-99] * 4), "c2 (Conv): ", REFUSED + "Node (c2)"),
    "pads huge": Case(attribute(pads=[2**30] * 4), "not evaluated: c2 (Conv) with", ""),
    "dilation huge": Case(attribute(dilations=[2**31] * 2), "not evaluated: c2 (Conv) with", ""),
    "no weight": Case(empty_weight, "c2 (Conv): ", ""),
    "resize": Case(resized, "not evaluated: resize (Resize) with", "resize (Resize): "),
    "constant": Case(
        beside("ConstantOfShape", np.array([2**40])),
        "not evaluated: big (ConstantOfShape) with 1,099,511,627,776 elements",
        "big (ConstantOfShape): Failed to allocate",
    ),
    "expanded": Case(
        beside("Expand", np.float32(0), np.array([2**20, 2**20])),
        "not evaluated: big (Expand) with",
        "big (Expand): Failed to allocate",
    ),
    "broadcast": Case(wide_add, "not evaluated: big (Add) with", "big (Add): Failed to allocate"),
    "offset": Case(external(location="near", offset=2**50, length=4), "not a readable ONNX", ""),
    "length": Case(external(location="near", offset=0, length=2**50), "not a readable ONNX", ""),
    "length of text": Case(external(location="near", length="abc"), "not a readable ONNX", ""),
    "negative offset": Case(external(location="near", offset=-7), "not a readable ONNX", ""),
    "data too short": Case(external(location="near"), "the tensor c2.weight: ", "c2.weight"),
    "data elsewhere": Case(external(location="../x"), "points outside the directory", "c2.weight"),
    "endless loop": Case(loop(2**62), "loop is a Loop that is not known to end within"),
    "doubling functions": Case(doubling(30), f"it has more than {NODES:,} nodes"),
    "steering name": Case(steering, "c2 (Conv): ", "(Conv): "),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_refused_in_a_line(
    graph: Graph, right: Path, tmp_path: Path, here: None, name: str
) -> None:
    """The line says what is at fault; no other node is blamed, and no log is shown."""
    case = CASES[name]
    (tmp_path / "near").write_bytes(bytes(100))
    report = verified(graph, changed(right, tmp_path, case.change))
    (evaluated,), (run,) = report.same, report.rows
    assert evaluated.status == (NOT_RUN if case.evaluator.startswith("not eval") else FAILED)
    assert case.evaluator in evaluated.reason
    assert run.status == FAILED
    assert (case.evaluator if case.runtime is BOTH else case.runtime) in run.reason
    assert all(f"{blame.node} (" in evaluated.reason for blame in report.blames)
    for row in (evaluated, run):
        assert row.reason
        assert row.reason.isprintable()
        assert not row.detail
        assert "/onnxruntime_src/" not in row.reason


def test_what_is_much_but_ends_is_run(
    graph: Graph, right: Path, tmp_path: Path, here: None
) -> None:
    assert verified(graph, changed(right, tmp_path, doubling(6)))
    report = verified(graph, changed(right, tmp_path, loop(3)))
    assert [row.status for row in (*report.same, *report.rows)] == [NOT_RUN, AGREED]


def test_nodes_are_counted_before_they_are_made(right: Path) -> None:
    model = onnx.load(right)
    doubling(100_000 // 4)(model)  # a chain of calls deeper than Python's own
    assert excess(model)
    circle = onnx.load(right)
    doubling(1)(circle)
    circle.functions[1].node[0].CopyFrom(circle.functions[0].node[0])
    assert not excess(circle)  # it has no size; that it is invalid, its reader says
