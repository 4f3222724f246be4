"""Finished files: each node is judged by what the file stores for it, and by its own value."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

import netspec
from netspec.backends.onnx import write
from netspec.exports.blame.departure import locate
from netspec.exports.finished import kept_nodes
from netspec.exports.probe import probe_weights
from netspec.exports.report import AGREED, DISAGREED, ROUNDED, Report
from netspec.exports.verify import verify_graph
from netspec.graph import Graph
from tests.mutants.laboratory import jobs_in_this_process

SPEC = """
netspec: 1
name: gated
inputs: {image: [3, 12, 12]}
body:
  stem: {conv: {out: 8, kernel: 3, padding: 1, bias: false}}
  norm: batch_norm
  act: relu
  wide: {conv: {out: 6, kernel: 3, stride: 2}}
  gate: sigmoid
  soft: softplus
  drop: {dropout: 0.3}
  pool: {max_pool: 2}
  flat: flatten
  fc: {linear: 5}
"""

PLAIN = """
netspec: 1
name: plain
inputs: {image: [3, 12, 12]}
body:
  c1: {conv: {out: 6, kernel: 3, bias: false}}
  r1: relu
  p1: {max_pool: 2}
  c2: {conv: {out: 6, kernel: 3, padding: 1, bias: false}}
  r2: relu
  c3: {conv: {out: 6, kernel: 3, padding: 1, bias: false}}
  r3: relu
  gap: global_avg_pool
  flat: flatten
  fc: {linear: 5}
"""

Change = Callable[[ModelProto], Any]


def loaded(folder: Path, text: str) -> Graph:
    (folder / "net.yaml").write_text(text.lstrip())
    return netspec.load(folder / "net.yaml")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return loaded(tmp_path_factory.mktemp("spec"), SPEC)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return loaded(tmp_path_factory.mktemp("spec"), PLAIN)


def changed(graph: Graph, path: Path, *changes: Change) -> Path:
    write(graph, probe_weights(graph, 0), path)
    model = onnx.load(path)
    for change in changes:
        change(model)
    onnx.save(model, path)
    return path


def of_file(graph: Graph, path: Path) -> Report:
    with jobs_in_this_process(), tempfile.TemporaryDirectory() as folder:
        return verify_graph(graph, lambda _: "", model=path, folder=folder)


def status(report: Report) -> str:
    (row,) = report.same
    return row.status


def kept(graph: Graph, path: Path) -> frozenset[str]:
    return kept_nodes(path, graph, probe_weights(graph, 0))


# ---- changes to a file


def array(model: ModelProto, name: str) -> Any:
    stored = next(t for t in model.graph.initializer if t.name == name)
    return numpy_helper.to_array(stored).copy()


def store(model: ModelProto, name: str, values: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), name))


def node_of(model: ModelProto, name: str) -> Any:
    return next(node for node in model.graph.node if node.name == name)


def scaled(name: str, factor: float, index: int | None = None) -> Change:
    def change(model: ModelProto) -> None:
        values = array(model, name).astype(np.float64)
        values.flat[slice(None) if index is None else index] *= factor
        stored = next(t for t in model.graph.initializer if t.name == name)
        stored.CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))

    return change


def median(graph: Graph, name: str) -> int:
    order = np.argsort(np.abs(probe_weights(graph, 0)[name]), axis=None)
    return int(order[len(order) // 2])


def folded(model: ModelProto) -> None:
    """The norm goes into the conv before it; what the file stored stays in it, and is not read."""
    conv, norm = node_of(model, "stem"), node_of(model, "norm")
    scale, shift, mean, variance = (array(model, name).astype(float) for name in norm.input[1:])
    scale /= np.sqrt(variance + np.float32(1e-5))
    store(model, "folded", array(model, "stem.weight") * scale[:, None, None, None])
    store(model, "shift", shift - mean * scale)
    conv.input[:] = [conv.input[0], "folded", "shift"]
    conv.output[:] = norm.output
    model.graph.node.remove(norm)


def epsilon(model: ModelProto) -> None:
    (attribute,) = [a for a in node_of(model, "norm").attribute if a.name == "epsilon"]
    attribute.f *= 1 + 3e-5


def multiplied(name: str) -> Change:
    """A node's right value is made, and what reads it reads another."""

    def change(model: ModelProto) -> None:
        store(model, "factor", 1.5)
        for node in model.graph.node:
            node.input[:] = ["wrong" if value == name else value for value in node.input]
        at = list(model.graph.node).index(node_of(model, name))
        model.graph.node.insert(at + 1, helper.make_node("Mul", [name, "factor"], ["wrong"]))

    return change


# ---- what a file holds


def test_what_no_node_reads_is_not_held(graph: Graph, tmp_path: Path) -> None:
    everything = {node.path for node in graph.inference_nodes}
    assert kept(graph, changed(graph, tmp_path / "right.onnx")) == everything
    path = changed(graph, tmp_path / "folded.onnx", folded)
    assert kept(graph, path) & {"stem", "norm", "wide", "fc"} == {"wide", "fc"}
    report = of_file(graph, path)
    assert report, report.render()
    assert status(report) == ROUNDED


def test_one_weight_that_is_off_leaves_the_others_as_they_are(graph: Graph, tmp_path: Path) -> None:
    path = changed(graph, tmp_path / "off.onnx", scaled("wide.weight", 1 + 1e-6, 3))
    assert {node.path for node in graph.inference_nodes if node.weights} - kept(graph, path) == {
        "wide"
    }


def test_numbers_of_many_digits_may_be_those_of_a_composed_node(
    graph: Graph, tmp_path: Path
) -> None:
    def store_and_read(value: float) -> Change:
        def change(model: ModelProto) -> None:
            node_of(model, "gate").input[:] = ["changed"]
            store(model, "number", value)
            node = helper.make_node("Mul", ["wide", "number"], ["changed"])
            model.graph.node.insert(list(model.graph.node).index(node_of(model, "gate")), node)

        return change

    assert "gate" in kept(graph, changed(graph, tmp_path / "half.onnx", store_and_read(0.5)))
    third = kept(graph, changed(graph, tmp_path / "third.onnx", store_and_read(1 / 3)))
    assert "gate" not in third
    assert "wide" in third


# ---- what is seen


@pytest.mark.parametrize("node", ["wide", "fc"])
def test_what_the_row_says_is_what_is_seen(graph: Graph, tmp_path: Path, node: str) -> None:
    name, at = f"{node}.weight", median(graph, f"{node}.weight")

    def off(by: float) -> Report:
        return of_file(graph, changed(graph, tmp_path / "off.onnx", scaled(name, 1 + by, at)))

    hidden = off(2.0**-22)
    assert status(hidden) == ROUNDED
    words = hidden.same[0].reason.partition("may be off by ")[2]
    assert f"(in {node}; " in words
    said = float(words.split()[0])
    assert 1e-7 < said < 1e-5
    assert status(off(said / 4)) == ROUNDED
    found = off(said * 2)
    assert status(found) == DISAGREED
    assert [blame.node for blame in found.blames] == [node]


def test_an_epsilon_that_is_a_little_off(graph: Graph, tmp_path: Path) -> None:
    report = of_file(graph, changed(graph, tmp_path / "epsilon.onnx", epsilon))
    assert status(report) == DISAGREED
    assert [blame.node for blame in report.blames] == ["norm"]


def test_a_scale_that_many_nodes_carry_is_no_other_function(plain: Graph, tmp_path: Path) -> None:
    path = changed(plain, tmp_path / "a.onnx", scaled("c1.weight", 3), scaled("fc.weight", 1 / 3))
    report = of_file(plain, path)
    assert report, report.render()
    assert status(report) == ROUNDED
    # Of values that are not there as they should be only the last can be seen.
    said = float(report.same[0].reason.partition("may be off by ")[2].split()[0])
    assert said > 1e-5


def test_a_right_file_has_nothing_to_say(graph: Graph, tmp_path: Path) -> None:
    report = of_file(graph, changed(graph, tmp_path / "right.onnx"))
    assert [(row.status, row.reason) for row in report.same] == [(AGREED, "")]


# ---- what is blamed


def test_what_changes_nothing_is_looked_through(graph: Graph, tmp_path: Path) -> None:
    report = of_file(graph, changed(graph, tmp_path / "wrong.onnx", multiplied("soft")))
    (blame,) = report.blames
    assert (blame.node, blame.folded) == ("pool", ("soft", "drop"))


def test_a_value_that_is_near_was_not_folded_away(graph: Graph) -> None:
    found = {node.path for node in graph.inference_nodes} - {"stem", "wide"}
    assert locate(graph, found) is None
    departure = locate(graph, found, near={"wide"})
    assert departure is not None
    assert (departure.node.path, departure.folded) == ("wide", ())
