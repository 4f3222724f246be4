"""The float64 evaluator against ONNX's own node tests, and on what it has to refuse."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.test_case import TestCase

from netspec.exports.evaluator import NotEvaluatedError, Program, operators

# What the evaluator refuses, by the words of its refusal. The rest of the standard's tests of the
# operators that it has must pass.
REFUSED = (
    "Dropout in training",
    "Cast of text",
    "values of type",
    "SpaceToDepth with mode",
)


def node_tests() -> list[TestCase]:
    """ONNX's node tests that use the evaluator's operators and no others."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ONNX makes infinities and NaN on purpose
        cases = collect_testcases(None)
    return [case for case in cases if case.kind == "node" and _is_claimed(case.model)]


def _is_claimed(model: onnx.ModelProto) -> bool:
    return all(n.op_type in operators() and n.domain in ("", "ai.onnx") for n in model.graph.node)


CASES = node_tests()


@pytest.fixture(scope="module")
def covered() -> Iterator[set[str]]:
    yield {node.op_type for case in CASES for node in case.model.graph.node}


def test_every_operator_has_node_tests(covered: set[str]) -> None:
    assert operators() - covered == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node(case: TestCase) -> None:
    names = [value.name for value in case.model.graph.input]
    for inputs, outputs in case.data_sets:
        try:
            program = Program(case.model)
            found = program.run(dict(zip(names, map(_array, inputs), strict=False)))
        except NotEvaluatedError as refusal:
            assert str(refusal).startswith(REFUSED)
            return
        for name, wanted in zip(program.outputs, map(_array, outputs), strict=True):
            assert found[name].dtype == wanted.dtype
            assert found[name].shape == wanted.shape
            np.testing.assert_allclose(found[name], wanted, rtol=case.rtol, atol=case.atol)


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
