"""What verification runs a network on: mistakes that hide from one batch, or from small values."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.compiler import source_backend
from netspec.exports.batches import holding, joined, one_then_all
from netspec.exports.noise import Prediction
from netspec.exports.probe import probe_inputs, probe_weights
from netspec.exports.report import AGREED, DISAGREED, FAILED, Report, Row
from netspec.exports.reports.report_file import from_json, judged_again, to_json
from netspec.exports.same import BOUND, FINER, difference
from netspec.exports.verify import verify_graph
from netspec.exports.worker import JobError
from netspec.graph import Graph
from tests.mutants.laboratory import jobs_in_this_process

SPEC = """\
netspec: 1
name: probed
inputs: {image: [3, 10, 12]}
body:
  pixels: {normalize: {mean: [100.0, 110.0, 120.0], std: [50.0, 60.0, 70.0]}}
  conv1: {conv: {out: 6, kernel: 3}}
  norm1: batch_norm
  act1: relu
  conv2: {conv: {out: 6, kernel: 3}}
  act2: prelu
  drop: {dropout: 0.5}
  pool: global_avg_pool
  flat: flatten
  fc: {linear: 5}
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = tmp_path_factory.mktemp("probed") / "probed.yaml"
    path.write_text(SPEC)
    return netspec.load(path)


def same(graph: Graph, change: tuple[str, str]) -> Row:
    """The float64 row of torch source after a change."""
    return measured(graph, change).same[0]


def measured(graph: Graph, change: tuple[str, str]) -> Report:
    text = source_backend("torch").source(graph)
    assert change[0] in text
    changed = text.replace(*change)
    with jobs_in_this_process(), tempfile.TemporaryDirectory() as folder:
        return verify_graph(
            graph, lambda _: changed, backends=["torch"], runtimes=["torch"], folder=folder
        )


def test_the_source_as_it_is_agrees(graph: Graph) -> None:
    assert same(graph, ("return", "return")).status == AGREED


CHANGES = {
    "a clipped activation": ("F.relu(", "F.relu6("),
    "a clipped activation, far out": ("F.relu(", "(lambda y: y.clamp(0, 20))("),
    "prelu as a maximum": (
        "self.act2(",
        "(lambda y: torch.maximum(y, y * self.act2.weight.reshape(-1, 1, 1)))(",
    ),
    "no batch of one": ("torch.flatten(", "(lambda y, _: y.squeeze())("),
    "only batches of seven": ("torch.flatten(", "(lambda y, _: y.reshape(7, -1))("),
    "another result of one sample": (
        "F.relu(",
        "(lambda y: F.relu(y) * (0.9 if len(y) == 1 else 1.0))(",
    ),
    "another result at the second call": (
        "        return self.fc(",
        "        self.calls = getattr(self, 'calls', 0) + 1\n        return self.calls * self.fc(",
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_mistake_that_hides_is_found(graph: Graph, change: tuple[str, str]) -> None:
    assert same(graph, change).status in (DISAGREED, FAILED)


def test_what_is_returned_wrongly_is_blamed_on_its_output(graph: Graph) -> None:
    report = measured(graph, ("        return self.fc(", "        return 1.01 * self.fc("))
    (blame,) = report.blames
    assert blame.node == "fc"
    assert "what is returned as output is not" in blame.render()
    (shapeless,) = measured(graph, CHANGES["no batch of one"]).blames
    assert shapeless.node == "flat"


def test_a_sample_alone_has_the_first_row() -> None:
    x = np.arange(6.0).reshape(3, 2)
    found = one_then_all(lambda given: {"y": given["x"] + len(given["x"])}, {"x": x})
    np.testing.assert_array_equal(found["y"], x + np.array([[1], [3], [3]]))
    with pytest.raises(JobError, match=r"y: of one sample it makes the shape \(2,\), and of 3"):
        joined({"y": x[0]}, {"y": x})
    assert [len(holding({"x": x}, sample)["x"]) for sample in (0, 2)] == [1, 3]


def test_pixels_are_scaled_to_what_the_network_expects(graph: Graph) -> None:
    image = probe_inputs(graph, 0, 7)["image"]
    assert 30.0 < image.std() < 120.0
    mean, std = (np.array(x).reshape(1, 3, 1, 1) for x in ((100, 110, 120), (50, 60, 70)))
    normal = (image - mean) / std
    assert 0.5 < normal.std() < 2.0


def test_scales_and_slopes_are_of_both_signs(tmp_path: Path) -> None:
    path = tmp_path / "signs.yaml"
    path.write_text(SPEC.replace("out: 6", "out: 64"))
    weights = probe_weights(netspec.load(path), 0)
    for key in ("norm1.weight", "act2.weight"):
        assert (weights[key] < 0).any()
        assert (weights[key] > 0).any()
    assert (weights["act2.weight"] > 1).any()


def test_what_float64_itself_rounds_is_no_other_function() -> None:
    """The float32 noise, in steps 2^29 times finer, four times over; else 1e-12."""
    truth = np.array([[1.0, -2.0]])
    noise = np.full((4, 1, 2), 1e-2)
    calm, rough = Prediction(truth, 0.0 * noise), Prediction(truth, noise)
    allowed = 4 * 1e-2 * FINER / 2.0
    assert allowed > 10 * BOUND
    for factor, agreed in ((0.9, True), (1.1, False)):
        found = truth + np.array([[0.0, factor * allowed * 2.0]])
        assert difference(rough, found).agreed is agreed
        assert not difference(calm, found).agreed


def test_the_rounding_is_saved_and_judged_again(graph: Graph) -> None:
    with jobs_in_this_process():
        report = verify_graph(
            graph,
            lambda name: source_backend(name).source(graph),
            backends=["torch"],
            runtimes=["torch"],
        )
    (back,) = from_json(to_json([report]))
    assert back.same[0].differences == report.same[0].differences
    assert judged_again(back, None, 1e-30).same[0].status == AGREED  # rounding explains it
