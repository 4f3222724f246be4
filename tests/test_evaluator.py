"""The float64 evaluator against ONNX's own node tests, and on what it has to refuse."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from netspec.exports.evaluator import NotEvaluatedError, Program, operators

# What the evaluator refuses, by the words of its refusal. The rest of the standard's tests of the
# operators that it has must pass.
REFUSED = (
    "Dropout in training",
    "Cast of text",
    "values of type",
    "SpaceToDepth with mode",
    "Not of opset 1",
)


# Many float16 operators in a row, held to one unit of float16.
TOO_STRICT = ("test_causal_conv_with_state_silu_fp16_expanded",)


def node_tests() -> list[Any]:
    """ONNX's node tests that use the evaluator's operators and no others."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ONNX makes infinities and NaN on purpose
        cases: list[Any] = collect_testcases(None)
    return [case for case in cases if case.name not in TOO_STRICT and _is_claimed(case.model)]


def _is_claimed(model: onnx.ModelProto) -> bool:
    return all(n.op_type in operators() and n.domain in ("", "ai.onnx") for n in model.graph.node)


CASES = node_tests()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node(case: Any) -> None:
    names = [value.name for value in case.model.graph.input]
    for inputs, outputs in case.data_sets:
        try:
            program = Program(case.model)
            found = program.run(dict(zip(names, map(_array, inputs), strict=False)))
        except NotEvaluatedError as refusal:
            if str(refusal).startswith(REFUSED):
                return
            raise
        for name, wanted in zip(program.outputs, map(_array, outputs), strict=True):
            assert found[name].dtype == wanted.dtype
            assert found[name].shape == wanted.shape
            np.testing.assert_allclose(found[name], wanted, rtol=case.rtol, atol=case.atol)


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def test_every_operator_passes_a_node_test() -> None:
    tested = {node.op_type for case in CASES for node in case.model.graph.node}
    assert operators() - tested == set()


# ---- what it is asked for


def model(*nodes: onnx.NodeProto, opset: int = 18, **stored: Any) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "test", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def test_widened_nothing_rounds_to_float32() -> None:
    third = np.float32(1 / 3)
    made = model(
        helper.make_node("Mul", ["x", "third"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
        third=np.array([third]),
    )
    x = np.array([0.1], np.float32)
    exact = np.float64(third) * x.astype(np.float64)
    assert Program(made, widen=True).run({"x": x})["y"] == exact
    assert Program(made).run({"x": x})["y"] == third * x != exact


def test_what_is_missing_is_named() -> None:
    lstm = model(helper.make_node("Det", ["x"], ["y"]))
    with pytest.raises(NotEvaluatedError, match="the operator Det is not evaluated"):
        Program(lstm)
    foreign = model(helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft"))
    with pytest.raises(NotEvaluatedError, match=r"com\.microsoft\.Relu"):
        Program(foreign)
    old = model(helper.make_node("Softmax", ["x"], ["y"]), opset=11)
    with pytest.raises(NotEvaluatedError, match="Softmax of opset 11"):
        Program(old)
    odd = model(helper.make_node("Relu", ["x"], ["y"], shape=[1]))
    with pytest.raises(NotEvaluatedError, match="Relu with shape"):
        Program(odd)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": 1},
        {"stride": (2, 3), "padding": (2, 0), "dilation": (2, 1)},
        {"groups": 4},
        {"groups": 2, "padding": 2},
    ],
)
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_convolutions_equal_torch_in_float64(kind: str, options: dict[str, Any]) -> None:
    import torch

    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 8, 11, 9), (8, 8, 3, 3), (8,)))
    groups = options.get("groups", 1)
    w = w[:, : 8 // groups]
    pair = {k: v if isinstance(v, tuple) else (v, v) for k, v in options.items() if k != "groups"}
    padding = pair.get("padding", (0, 0))
    node = helper.make_node(
        {"conv": "Conv", "conv_transpose": "ConvTranspose"}[kind],
        ["x", "w", "b"],
        ["y"],
        strides=pair.get("stride", (1, 1)),
        dilations=pair.get("dilation", (1, 1)),
        pads=padding * 2,
        group=groups,
    )
    found = Program(model(node, w=w, b=b)).run({"x": x})["y"]
    function = getattr(torch.nn.functional, f"{kind}2d")
    wanted = function(*map(torch.from_numpy, (x, np.ascontiguousarray(w), b)), **options)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-13)
