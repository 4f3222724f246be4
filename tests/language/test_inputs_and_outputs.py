"""Inputs, their shapes, and outputs."""

from __future__ import annotations

import pytest

import netspec
from netspec import UsageError
from tests.language.written import Specs, keys, wiring


def test_input_is_the_blocks_and_groups_do_not_rebind_it(specs: Specs) -> None:
    graph = specs.graph("""
        blocks:
          unit:
            body:
              a: {conv: {out: =input.channels * 2, kernel: 1}}
              g: [{conv: {out: =input.channels, kernel: 1}}]
              s: {add: [g, input]}
        body: [{conv: {out: 5, kernel: 1}}, unit]
    """)
    assert [w.shape[:2] for w in graph.weights if w.name == "weight"] == [(5, 3), (10, 5), (5, 10)]
    assert wiring(graph)[-1] == "1.s = add(1.g.0, 0)"


def test_shape_names(specs: Specs) -> None:
    graph = specs.graph("""
        inputs: {clip: [2, 4, 6, 8]}
        body: [{conv: {out: =input.depth + input.height * 10 + input.width * 100, kernel: 1}}]
    """)
    assert graph.weights[0].shape[0] == 864
    code, message = specs.refused("body: [{conv: {out: =input.depth, kernel: 1}}]")
    assert (code, message) == ("bad-formula", "the input is 3x8x8 and has no depth")


def test_formulas_in_inputs(specs: Specs) -> None:
    graph = specs.graph("params: {n: 6}\ninputs: {x: [3, =n, =n * 2]}\nbody: [relu]")
    assert str(graph.inputs[0].type) == "3x6x12"


def test_input_shapes_can_be_replaced(specs: Specs) -> None:
    path = specs.write("body: [{conv: {out: 2, kernel: 3}}]")
    graph = netspec.load(path, inputs={"image": (3, 5, 7)})
    assert str(graph.outputs[0].value.type) == "2x3x5"
    for inputs in ({"imag": (3, 5, 7)}, {"image": (3, 5)}, {"image": (3, 0, 5)}):
        with pytest.raises(UsageError):
            netspec.load(path, inputs=inputs)
    with pytest.raises(UsageError, match="no parameter 'n'"):
        netspec.load(path, n=3)


def test_several_inputs_and_outputs(specs: Specs) -> None:
    graph = specs.graph("""
        inputs: {left: [3, 4, 4], right: [5, 4, 4]}
        body:
          a: {from: left, relu: }
          b: {from: right, tanh: }
          c: {concat: [a, b]}
        outputs: {joined: c, left_only: {from: a, when: true}, gone: {from: a, when: false}}
    """)
    assert [(o.name, str(o.value.type)) for o in graph.outputs] == [
        ("joined", "8x4x4"),
        ("left_only", "3x4x4"),
    ]
    assert [v.name for v in graph.inputs] == ["left", "right"]


def test_several_inputs_have_no_first_value(specs: Specs) -> None:
    code, message = specs.refused("inputs: {l: [3], r: [3]}\nbody: [relu]")
    assert code == "no-input"
    assert "several inputs" in message


def test_only_training(specs: Specs) -> None:
    graph = specs.graph("""
        body: {a: relu, aux: [{conv: {out: 1, kernel: 1}}], b: {from: a, tanh: }}
        outputs: {out: b, aux: {from: aux, only: training}}
    """)
    assert [n.path for n in graph.inference_nodes] == ["a", "b"]
    assert keys(graph) == ["aux.0.weight"]
    assert [o.training for o in graph.outputs] == [False, True]
    assert graph.macs == 0


def test_an_output_must_be_left(specs: Specs) -> None:
    code, _ = specs.refused("body: {a: relu}\noutputs: {o: {from: a, only: training}}")
    assert code == "no-output"


def test_a_suspicious_input_is_a_warning(specs: Specs) -> None:
    (found,) = specs.findings("inputs: {image: [224, 224, 3]}\nbody: [relu]")
    assert (found.severity, found.code) == ("warning", "channels-last")
