"""The same function in float64: what is right agrees to 1e-12, and 1 % of one weight does not."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import netspec
from netspec.backends.onnx import write
from netspec.exports.model_source import load_model
from netspec.exports.noise import ComparisonError, Prediction
from netspec.exports.probe import probe_weights
from netspec.exports.report import AGREED, DISAGREED, NOT_RUN, ROUNDED, Row
from netspec.exports.same import BOUND, difference
from netspec.exports.verify import _sensitivity, verify_graph
from netspec.graph import Graph

# Every attribute that a float64 comparison can see by the rounding of its float32.
SPEC = """
netspec: 1
name: attributes
params: {slope: 0.1, eps: 1e-3}
inputs: {image: [3, 15, 13]}
body:
  scaled: {normalize: {mean: [0.485, 0.456, 0.406], std: 0.229}}
  stem: {conv: {out: 8, kernel: 3, stride: 2, padding: same, bias: false}}
  norm: {batch_norm: {eps: =eps}}
  act: {leaky_relu: {slope: =slope}}
  plain: batch_norm
  elu: {elu: {alpha: 0.7}}
  lrn: {local_response_norm: {size: 5, alpha: 1e-3, beta: 0.7, k: 1.1}}
  group: {conv: {out: 8, kernel: 3, groups: 4}}
  ln: layer_norm
  gelu: gelu
  gate: hard_sigmoid
  pool: {avg_pool: {kernel: 3, stride: 2, padding: 1}}
  up: {resize: {size: [7, 5], mode: bilinear}}
  flat: flatten
  fc: {linear: 5}
"""


PLAIN = """
netspec: 1
name: plain
inputs: {image: [3, 15, 13]}
body:
  stem: {conv: {out: 8, kernel: 3, stride: 2, padding: same, bias: false}}
  norm: batch_norm
  act: relu
  group: {conv: {out: 8, kernel: 3, groups: 4}}
  flat: flatten
  fc: {linear: 5}
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = tmp_path_factory.mktemp("spec") / "plain.yaml"
    path.write_text(PLAIN.lstrip())
    return netspec.load(path)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = tmp_path_factory.mktemp("spec") / "attributes.yaml"
    path.write_text(SPEC.lstrip())
    return netspec.load(path)


def source_of(graph: Graph) -> Callable[[str], str]:
    return lambda backend: importlib.import_module(f"netspec.backends.{backend}").source(graph)


def test_all_builds_and_exports_are_the_same_function(graph: Graph) -> None:
    report = verify_graph(graph, source_of(graph))
    assert report, report.render()
    assert [(row.subject, row.runtime, row.status) for row in report.same] == [
        ("torch source", "torch", AGREED),
        ("keras source", "keras", AGREED),
        ("torch export", "evaluator", AGREED),
        ("keras export", "evaluator", AGREED),
        ("onnx export", "evaluator", AGREED),
    ]
    assert all(0.0 < (row.relative or 0.0) <= BOUND for row in report.same)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["same"][0]["outputs"]["output"]["relative"] <= BOUND
    text = report.render()
    assert "the same function: 5 of 5, each within 1e-12" in text
    assert "weights have a gradient" in text


def test_float32_hides_what_float64_shows(graph: Graph) -> None:
    """One weight that is 1 % off, in a source: the float32 rows alone would let it pass."""
    right = source_of(graph)("torch")
    wrong = right.replace(
        "    model.load_state_dict(load_file(path))",
        "    model.load_state_dict(load_file(path))\n"
        "    model.stem.weight.data.view(-1)[7] *= 1 + 1e-7",
    )
    assert wrong != right
    report = verify_graph(graph, lambda _: wrong, backends=["torch"], runtimes=["torch"])
    assert [row.status for row in report.rows] == [AGREED]
    assert [row.status for row in report.same] == [DISAGREED]
    assert not report


# ---- finished files


def changed(graph: Graph, path: Path, change: Callable[[Any], Any]) -> Path:
    write(graph, probe_weights(graph, 0), path)
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.name == "group.weight")
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, path)
    return path


def of_file(graph: Graph, path: Path) -> Any:
    return verify_graph(graph, source_of(graph), model=path)


def test_a_file_whose_weights_are_exact_is_the_same_function(plain: Graph, tmp_path: Path) -> None:
    report = of_file(plain, changed(plain, tmp_path / "exact.onnx", lambda w: w.copy()))
    assert report, report.render()
    assert [row.status for row in report.same] == [AGREED]


def test_a_file_with_rounded_weights_says_what_it_hides(plain: Graph, tmp_path: Path) -> None:
    def one_unit(w: Any) -> Any:
        """Up or down, as rounding does: in one direction it would be a sum that rounding is not."""
        up_or_down = np.random.default_rng(0).choice(np.array([-9, 9], np.float32), w.shape)
        return np.nextafter(w, up_or_down)

    report = of_file(plain, changed(plain, tmp_path / "near.onnx", one_unit))
    assert report, report.render()
    assert [row.status for row in report.same] == [ROUNDED]
    assert "of its value and not be seen" in report.render()


def test_a_file_with_a_wrong_weight_is_another_function(plain: Graph, tmp_path: Path) -> None:
    def one_percent(w: Any) -> Any:
        w = w.copy()
        w.flat[5] *= np.float32(1.01)
        return w

    report = of_file(plain, changed(plain, tmp_path / "off.onnx", one_percent))
    assert [row.status for row in report.same] == [DISAGREED]
    assert not report


def test_what_is_not_evaluated_is_not_passed(plain: Graph, tmp_path: Path) -> None:
    path = changed(plain, tmp_path / "odd.onnx", lambda w: w.copy())
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Trilu", ["before"], ["output"], upper=1))
    onnx.save(model, path)
    report = of_file(plain, path)
    assert [(row.status, row.reason) for row in report.same] == [
        (NOT_RUN, "not evaluated: the operator Trilu is not evaluated")
    ]
    assert not report


# ---- the parts


def test_difference_is_relative_to_the_largest_output() -> None:
    truth = np.array([[-200.0, 1.0]])
    prediction = Prediction(truth, np.ones((4, 1, 2)))
    assert difference(prediction, truth).relative == 0.0
    assert difference(prediction, truth + np.array([[0.0, 1e-10]])).agreed
    assert difference(prediction, truth + np.array([[0.0, 1e-9]])).relative == pytest.approx(5e-12)
    with pytest.raises(ComparisonError, match="NaN"):
        difference(prediction, truth * np.nan)


def test_attributes_are_rounded_as_onnx_stores_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "net.py"
    code.write_text(
        "import torch\n"
        "def build_model(eps: float = 1e-3):\n"
        "    return torch.op(eps=eps, kept=3, huge=1e300, text='0.1')\n"
        "def load_weights(model, path):\n    model['path'] = path\n"
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(op=dict))
    attribute = helper.make_attribute("eps", 1e-3)
    assert attribute.type == onnx.AttributeProto.FLOAT
    rounded = load_model(str(code), "w", "float64")
    assert rounded == {"eps": attribute.f, "kept": 3, "huge": 1e300, "text": "0.1", "path": "w"}
    assert load_model(str(code), "w")["eps"] == 1e-3 != attribute.f


FORMULAS = """
netspec: 1
name: formulas
params: {a: 0.1, b: 0.3}
inputs: {image: [3, 11, 9]}
blocks:
  unit:
    params: {slope: float, eps: float}
    body:
      conv: {conv: {out: 8, kernel: 3, padding: 1, bias: false}}
      norm: {batch_norm: {eps: =eps * 0.7}}
      act: {leaky_relu: {slope: =slope * 3}}
      lrn: {local_response_norm: {size: 5, alpha: =slope / 7, beta: =1 - slope, k: =slope + 1}}
      elu: {elu: {alpha: =slope * 2 + 0.1}}
      pad: {pad: {padding: 1, value: =slope / 3}}
      affine: {affine: {scale: =slope * 9, shift: =eps / 3}}
body:
  scaled: {normalize: {mean: "=[a * 3, 0.456, b / 7]", std: =b * 0.7}}
  units{i}: {repeat: 2, unit: {slope: =a * (i + 1) / 3, eps: =b * 0.01}}
  ln: {layer_norm: {eps: =a * b}}
  flat: flatten
  fc: {linear: 5}
"""


def test_attributes_by_formulas_are_rounded_once(tmp_path: Path) -> None:
    """What generated Python computes from a parameter is rounded where an op takes it."""
    path = tmp_path / "formulas.yaml"
    path.write_text(FORMULAS.lstrip())
    graph = netspec.load(path)
    report = verify_graph(
        graph, source_of(graph), backends=["torch", "keras"], runtimes=["torch", "keras"]
    )
    assert report, report.render()
    assert len(report.same) == 2
    assert "slope * 3" in source_of(graph)("torch")  # else there is no formula to round


def test_weights_that_no_probe_reaches_are_told() -> None:
    def row(live: int) -> Row:
        return Row("torch source", "torch", AGREED, info={"weights": 1000, "live": live})

    assert "mistakes in the others would not be seen" in _sensitivity(row(980))
    assert _sensitivity(row(995)) == "99.50% of 1,000 weights have a gradient on these inputs"


def test_dead_weights_are_counted(tmp_path: Path) -> None:
    """A ReLU that never opens: of 4 and 4 weights only the last two biases move a thing."""
    path = tmp_path / "dead.yaml"
    path.write_text(
        "netspec: 1\nname: dead\ninputs: {x: [3, 4, 4]}\nbody:\n"
        "  c: {conv: {out: 1, kernel: 1}}\n  r: relu\n  p: global_avg_pool\n  f: flatten\n"
        "  fc: {linear: 2}\n"
    )
    graph = netspec.load(path)
    weights = {
        "c.weight": np.zeros((1, 3, 1, 1), np.float32),
        "c.bias": -np.ones(1, np.float32),
        "fc.weight": np.ones((2, 1), np.float32),
        "fc.bias": np.ones(2, np.float32),
    }
    report = verify_graph(
        graph, source_of(graph), backends=["torch"], runtimes=["torch"], weights=weights
    )
    (same,) = report.same
    assert (same.info["weights"], same.info["live"]) == (8, 2)
