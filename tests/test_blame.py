"""Blame: what departs is named, by its line, with a reproduction that stands alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

import netspec
from netspec.backends.onnx import write
from netspec.exports.arrays import load_arrays
from netspec.exports.blame.departure import Departure, locate
from netspec.exports.blame.matched import match
from netspec.exports.blame.recorded import Values
from netspec.exports.probe import probe_inputs, probe_weights
from netspec.exports.report import DISAGREED, FAILED, Blame, Report
from netspec.exports.verify import verify_graph
from netspec.graph import Graph, Value
from netspec.reference import evaluate, run

SPEC = """
netspec: 1
name: forked
inputs: {image: [3, 17, 14]}
body:
  stem: {conv: {out: 8, kernel: 3, stride: 2, padding: 1, bias: false}}
  norm: {batch_norm: {eps: 1e-3}}
  act: {leaky_relu: {slope: 0.1}}
  left: {conv: {out: 8, kernel: 1}}
  right: {from: act, conv: {out: 8, kernel: 3, padding: 1, groups: 2}}
  both: {concat: [left, right]}
  pool: {max_pool: {kernel: 3, stride: 2, ceil_mode: true}}
  wide: {conv: {out: 16, kernel: [1, 3], padding: [0, 1]}}
  sum: {add: [pool, wide]}
  flat: flatten
  fc: {linear: 5}
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = tmp_path_factory.mktemp("spec") / "forked.yaml"
    path.write_text(SPEC.lstrip())
    return netspec.load(path)


def source_of(graph: Graph) -> Callable[[str], str]:
    return lambda backend: importlib.import_module(f"netspec.backends.{backend}").source(graph)


def blame_of(report: Report) -> Blame:
    assert not report
    assert {row.status for row in report.same} <= {DISAGREED, FAILED}, report.render()
    (blame,) = report.blames
    assert blame.node in report.render()
    assert report.to_dict()["blames"][0]["node"] == blame.node
    return blame


# ---- sources


@pytest.mark.parametrize(
    ("backend", "old", "new", "node"),
    [
        (
            "torch",
            "(1, 3), padding=(0, 1)",
            "(1, 3), padding=(0, 1), padding_mode='circular'",
            "wide",
        ),
        ("keras", "epsilon=0.001", "epsilon=0.00101", "norm"),
    ],
)
def test_a_wrong_source(
    graph: Graph, tmp_path: Path, backend: str, old: str, new: str, node: str
) -> None:
    right = source_of(graph)(backend)
    assert old in right
    report = verify_graph(
        graph,
        lambda _: right.replace(old, new),
        backends=[backend],
        runtimes=[backend],
        folder=tmp_path,
    )
    blame = blame_of(report)
    assert (blame.node, blame.folded) == (node, ())
    assert f"{node}: " in blame.line
    assert "look at how it is connected" in blame.alone  # its own lowering is right


def test_a_wrong_lowering_departs_alone(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netspec.backends.torch import layer

    def wrong(site: Any) -> layer.Layer:
        return layer.Layer("nn.LeakyReLU(0.2)", "F.leaky_relu({x}, 0.2)")

    source_of(graph)("torch")  # the lowerings are there
    monkeypatch.setitem(layer._lowerings, "leaky_relu", wrong)
    report = verify_graph(
        graph, source_of(graph), backends=["torch"], runtimes=["torch"], folder=tmp_path
    )
    blame = blame_of(report)
    assert blame.node == "act"
    assert "it departs too" in blame.alone


# ---- files


def attribute(kind: str, **values: Any) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        node = next(n for n in model.graph.node if n.op_type == kind)
        kept = [a for a in node.attribute if a.name not in values]
        del node.attribute[:]
        node.attribute.extend(kept + [helper.make_attribute(*pair) for pair in values.items()])

    return change


def weight(name: str, change: Callable[[Any], Any]) -> Callable[[ModelProto], None]:
    def apply(model: ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == name)
        array = numpy_helper.to_array(tensor).copy()
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(array)), name))

    return apply


def one_percent(array: Any) -> Any:
    array.flat[7] *= np.float32(1.01)
    return array


def swap_inputs(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Concat")
    node.input[:] = node.input[::-1]


MUTANTS: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "epsilon": (attribute("BatchNormalization", epsilon=1.1e-3), "norm"),
    "padding side": (attribute("Conv", pads=[2, 1, 0, 1]), "stem"),
    "slope": (attribute("LeakyRelu", alpha=0.101), "act"),
    "one weight": (weight("right.weight", one_percent), "right"),
    "dropped bias": (weight("left.bias", np.zeros_like), "left"),
    "transposed kernel": (weight("right.weight", lambda w: w.swapaxes(2, 3)), "right"),
    "flatten order": (
        weight("fc.weight", lambda w: w.reshape(5, 16, 12).swapaxes(1, 2).reshape(5, -1)),
        "fc",
    ),
    "branches swapped": (swap_inputs, "both"),
    "ceil mode": (attribute("MaxPool", ceil_mode=0, pads=[1, 1, 1, 1]), "pool"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_file(graph: Graph, tmp_path: Path, mutant: str) -> None:
    change, node = MUTANTS[mutant]
    path = tmp_path / "mutant.onnx"
    write(graph, probe_weights(graph, 0), path)
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    report = verify_graph(graph, source_of(graph), model=path, folder=tmp_path / "found")
    blame = blame_of(report)
    assert (blame.node, blame.folded) == (node, ())
    assert blame.relative is None if mutant == "ceil mode" else (blame.relative or 0.0) > 1e-6


def test_what_an_exporter_folded_is_named_together(graph: Graph, tmp_path: Path) -> None:
    """torch.onnx makes one Conv of a convolution and the batch norm after it."""
    right = source_of(graph)("torch")
    report = verify_graph(
        graph,
        lambda _: right.replace("eps=0.001", "eps=0.00101"),
        backends=["torch"],
        runtimes=["onnxruntime"],
        folder=tmp_path,
    )
    blame = blame_of(report)
    assert (blame.node, blame.folded) == ("norm", ("stem",))


# ---- the reproduction


def test_the_reproduction_stands_alone(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "mutant.onnx"
    write(graph, probe_weights(graph, 0), path)
    model = onnx.load(path)
    weight("right.weight", one_percent)(model)
    onnx.save(model, path)
    blame = blame_of(verify_graph(graph, source_of(graph), model=path, folder=tmp_path))
    spec, file = map(Path, blame.files)
    assert {spec.parent, file.parent} == {tmp_path}
    arrays = load_arrays(file)
    alone = netspec.load(spec)
    parts: dict[str, dict[str, Any]] = {"input": {}, "weight": {}}
    for key, array in arrays.items():
        kind, _, name = key.partition(".")
        parts.setdefault(kind, {})[name] = array
    (found,) = run(alone, parts["weight"], parts["input"]).values()
    np.testing.assert_array_equal(found, arrays["expected"])
    at = (0, *blame.index)
    assert arrays["expected"][at] == blame.expected
    assert arrays["actual"][at] == blame.actual


# ---- the search


def test_every_value_is_found_whatever_its_name_and_layout(graph: Graph) -> None:
    truth = values_of(graph)
    first = {str(n): x for n, x in enumerate(truth.values())}
    assert departure_of(graph, first) is None
    last = {n: np.moveaxis(x, 1, -1) for n, x in first.items()}
    assert departure_of(graph, last) is None


def test_a_missing_value_is_explained_by_its_readers(graph: Graph) -> None:
    truth = values_of(graph)
    without = {v.name: x for v, x in truth.items() if v.name not in ("stem", "both")}
    assert departure_of(graph, without) is None
    del without["norm"], without["act"], without["pool"], without["wide"], without["sum"]
    del without["flat"], without["fc"]
    departure = departure_of(graph, without)
    assert departure is not None
    assert departure.node.path == "both"  # left and right explain all before it


def departure_of(graph: Graph, recorded: dict[str, Any]) -> Departure | None:
    inputs = {v: probe_inputs(graph, 0, 1)[v.name].astype(np.float64) for v in graph.inputs}
    matched = match(graph, probe_weights(graph, 0), inputs, Values(recorded))
    return locate(graph, matched.found)


def values_of(graph: Graph) -> dict[Value, Any]:
    inputs = probe_inputs(graph, 0, 1)
    values = {value: inputs[value.name].astype(np.float64) for value in graph.inputs}
    return evaluate(graph.inference_nodes, probe_weights(graph, 0), values, keep=True)
