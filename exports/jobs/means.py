"""How the means over positions that an exported file computes are added up."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

from netspec.exports.onnx_file import read_model
from netspec.exports.rounding import LANES
from netspec.ops.adaptive import LONG

SMALL = 1024  # bytes


def lanes(model: str) -> int:
    """In how many sums at once what adds in vectors makes the long means of an exporter's file.

    Its terms must lie side by side: those of `ReduceMean` over the last axes of a map do, channels
    first. Others are added one after the other, or in an order that is not known.
    """
    loaded = read_model(model, data=False)
    graph = loaded.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    pooled = {node.input[0] for node in graph.node if node.op_type == "GlobalAveragePool"}
    terms = _positions(loaded, pooled) if pooled else {}
    return LANES if all(_in_vectors(node, constants, terms) for node in graph.node) else 1


def _positions(model: Any, names: Container[str]) -> dict[str, int]:
    """How many positions maps of these names have, as far as shapes tell."""
    from onnx import shape_inference

    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > SMALL:  # which no shape depends on
            tensor.ClearField("raw_data")
    graph = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.name in names
    }
    known = {name: sizes[2:] for name, sizes in shapes.items() if len(sizes) > 2}
    return {name: math.prod(sizes) for name, sizes in known.items() if all(sizes)}


def _in_vectors(node: Any, constants: Mapping[str, Any], terms: Mapping[str, int]) -> bool:
    """False only of what may make a long mean otherwise."""
    from onnx import AttributeProto, helper, numpy_helper

    given = {attribute.name: attribute for attribute in node.attribute}
    if any(attribute.type == AttributeProto.GRAPH for attribute in given.values()):
        return False  # the body of a loop or a branch is not looked into
    if node.op_type == "GlobalAveragePool":
        return terms.get(node.input[0], LONG + 1) <= LONG
    if node.op_type == "AveragePool":
        return bool(math.prod(given["kernel_shape"].ints) <= LONG)
    if node.op_type != "ReduceMean":
        return True
    if "axes" in given:
        axes = sorted(helper.get_attribute_value(given["axes"]))
    elif len(node.input) > 1 and node.input[1] in constants:
        axes = sorted(numpy_helper.to_array(constants[node.input[1]]).tolist())
    else:
        return False
    return axes in (list(range(2, 2 + len(axes))), list(range(-len(axes), 0)))
