"""Means of thousands of terms are held to the order in which a runtime adds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

import netspec
from netspec.exports.jobs.means import lanes as lanes_of
from netspec.exports.probe import probe_weights
from netspec.exports.report import NOT_RUN, Report
from netspec.exports.rounding import LANES, deviation
from netspec.exports.runtimes import BUILT_IN
from netspec.exports.verify import verify

SIDE = 60
SPEC = f"""
netspec: 1
name: long_mean
inputs: {{image: [3, {SIDE}, {SIDE}]}}
body: [conv: {{out: 8, kernel: 3, padding: 1}}, relu, global_avg_pool, flatten]
"""
BOTH = "mul: [{m: global_avg_pool}, {x: identity}], max_pool: 12, global_avg_pool"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("means") / "long_mean.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def added(terms: NDArray[np.float32], lanes: int) -> NDArray[np.float32]:
    """The float32 sums over the last axis, in lanes that are added up at the end."""
    parts = terms.reshape(len(terms), -1, lanes)
    ends = np.cumsum(parts, axis=1, dtype=np.float32)[:, -1]
    return np.asarray(np.cumsum(ends, axis=1, dtype=np.float32)[:, -1])


@pytest.mark.parametrize("lanes", [1, 2, 8, 32])
@pytest.mark.parametrize("centre", [0.0, 0.3, 3.0])
def test_prediction_of_sums_in_lanes(spec: Path, lanes: int, centre: float) -> None:
    """numpy's cumulative sums are made one after the other."""
    node = next(n for n in netspec.load(spec).inference_nodes if n.op.kind == "global_avg_pool")
    generator = np.random.default_rng(lanes)
    x = (generator.standard_normal((1, 200, 128, 160)) + centre).astype(np.float32)
    count = x[0, 0].size
    truth = x.astype(np.float64).mean((2, 3), keepdims=True)
    error = added(x.reshape(200, -1), lanes).astype(np.float64) / count - truth.reshape(-1)
    predicted = deviation(node, (x.astype(np.float64),), {}, truth, lanes)
    ratio = np.sqrt(np.mean(error**2) / np.mean(np.square(predicted)))
    assert 0.4 < ratio < 1.3


def holds(report: Report) -> None:
    assert report, report.render()
    ratios = {row.name: row.ratio_rms for row in report.rows}
    assert all(ratio is not None and 0.05 < ratio < 2 for ratio in ratios.values()), ratios


def test_every_subject_is_held_to_its_own_order(spec: Path) -> None:
    report = verify(spec)
    holds(report)
    lanes = {row.name: row.info["lanes"] for row in report.rows}
    assert lanes["torch source on torch"] == LANES
    assert lanes["torch export on onnxruntime"] == lanes["onnx export on onnxruntime"] == LANES
    assert lanes["keras source on keras"] == 1


def test_short_means_do_not_count(tmp_path: Path) -> None:
    """`GlobalAveragePool` adds one after the other, which matters where there are many terms."""
    (tmp_path / "both.yaml").write_text(SPEC.replace("global_avg_pool", BOTH), encoding="utf-8")
    path = tmp_path / "both.onnx"
    netspec.export(tmp_path / "both.yaml", path, backend="onnx")
    model = onnx.load(path)
    pools = [node for node in model.graph.node if node.op_type == "GlobalAveragePool"]
    assert len(pools) == 1
    assert lanes_of(str(path)) == LANES
    means = [node for node in model.graph.node if node.op_type == "ReduceMean"]
    pools[0].input[0] = means[0].input[0]
    onnx.save(model, path)
    assert lanes_of(str(path)) == 1


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_other_runtimes(spec: Path, backend: str) -> None:
    names = [runtime.name for runtime in BUILT_IN if runtime.backend == backend]
    rows = verify(spec, backends=[backend], runtimes=names).rows
    ratios = {row.runtime: row.ratio_rms for row in rows if row.status != NOT_RUN}
    assert len(ratios) > 1
    assert all(ratio is not None and 0.05 < ratio < 2 for ratio in ratios.values()), ratios


@pytest.mark.parametrize("form", ["a window as large as the map", "channels last"])
def test_of_somebody_elses_file_the_order_is_not_known(
    spec: Path, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "theirs.onnx"
    weights = probe_weights(netspec.load(spec), 0)
    netspec.export(spec, path, backend="onnx", weights=weights)
    model = onnx.load(path)
    index = next(i for i, n in enumerate(model.graph.node) if n.op_type == "ReduceMean")
    (x, *_), (y,) = model.graph.node[index].input, model.graph.node[index].output
    if form == "channels last":
        made = [
            helper.make_node("Transpose", [x], ["last"], perm=[0, 2, 3, 1]),
            helper.make_node("ReduceMean", ["last", "axes"], ["mean"], keepdims=1),
            helper.make_node("Transpose", ["mean"], [y], perm=[0, 3, 1, 2]),
        ]
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2]), name="axes"))
    else:
        made = [helper.make_node("AveragePool", [x], [y], kernel_shape=[SIDE, SIDE])]
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:index], *made, *nodes[index + 1 :]])
    onnx.save(model, path)
    report = verify(spec, model=path, weights=weights, runtimes=["onnxruntime", "openvino"])
    assert report, report.render()
