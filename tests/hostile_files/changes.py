"""Ways to spoil the ONNX file of the small network."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.hostile_files.small import Change


def node(model: ModelProto, name: str) -> NodeProto:
    found: NodeProto = next(n for n in model.graph.node if n.name == name)
    return found


def tensor(model: ModelProto, name: str) -> TensorProto:
    found: TensorProto = next(t for t in model.graph.initializer if t.name == name)
    return found


def attribute(**given: Any) -> Change:
    """Of the second convolution."""

    def change(model: ModelProto) -> None:
        conv = node(model, "c2")
        kept = [a for a in conv.attribute if a.name not in given]
        del conv.attribute[:]
        conv.attribute.extend([*kept, *(helper.make_attribute(k, v) for k, v in given.items())])

    return change


def batch(size: int) -> Change:
    def change(model: ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size

    return change


def input_type(kind: int) -> Change:
    def change(model: ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    return change


def external(**given: object) -> Change:
    def change(model: ModelProto) -> None:
        weight = tensor(model, "c2.weight")
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in given.items():
            weight.external_data.add(key=key, value=str(value))

    return change


def add(model: ModelProto, name: str, value: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def beside(op: str, *inputs: Any, **attributes: Any) -> Change:
    """Add the largest element of what a node `big` makes to the output."""

    def change(model: ModelProto) -> None:
        for at, value in enumerate(inputs):
            add(model, f"big_{at}", value)
        names = [f"big_{at}" for at in range(len(inputs))]
        node(model, "fc").output[0] = "inner"
        model.graph.node.extend(
            [
                helper.make_node(op, names, ["big"], name="big", **attributes),
                helper.make_node("ReduceMax", ["big"], ["largest"], keepdims=0),
                helper.make_node("Add", ["inner", "largest"], [model.graph.output[0].name]),
            ]
        )

    return change


def wide_add(model: ModelProto) -> None:
    shapes = (2**20, 1), (1, 2**20)
    beside("Add", *(np.zeros(shape, np.float32) for shape in shapes))(model)


def loop(trips: int) -> Change:
    def change(model: ModelProto) -> None:
        value = helper.make_tensor_value_info
        body = helper.make_graph(
            [helper.make_node("Identity", [f"{x}in"], [f"{x}out"]) for x in "cx"],
            "body",
            [value("i", 7, []), value("cin", 9, []), value("xin", 1, None)],
            [value("cout", 9, []), value("xout", 1, None)],
        )
        add(model, "trips", np.int64(trips))
        add(model, "more", np.bool_(True))
        fc = node(model, "fc")
        output, fc.output[0] = fc.output[0], "inner"
        names = ["trips", "more", "inner"]
        model.graph.node.append(helper.make_node("Loop", names, [output], name="loop", body=body))

    return change


def doubling(depth: int) -> Change:
    """The activation is a function that calls another twice, and so on: 2^depth nodes."""

    def change(model: ModelProto) -> None:
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        model.opset_import.append(opsets[1])
        relu = node(model, "r1")
        relu.op_type, relu.domain = "f0", "own"
        for k in range(depth + 1):
            halves = [(f"f{k + 1}", "own", "x", "t"), (f"f{k + 1}", "own", "t", "y")]
            calls = halves if k < depth else [("Relu", "", "x", "y")]
            nodes = [helper.make_node(f, [x], [y], domain=d) for f, d, x, y in calls]
            model.functions.append(
                helper.make_function("own", f"f{k}", ["x"], ["y"], nodes, opsets)
            )

    return change


def more_input(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mystery", 1, ["batch", 3]))


def empty_weight(model: ModelProto) -> None:
    add(model, "none", np.zeros((0, 4, 3, 3), np.float32))
    node(model, "c2").input[1] = "none"


def type_99(model: ModelProto) -> None:
    tensor(model, "c2.weight").data_type = 99


def declared_77(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 77


def steering(model: ModelProto) -> None:
    """A name that would clear the screen, of a node that cannot be evaluated."""
    attribute(group=0)(model)
    node(model, "c2").name = "\x1b[2Jc2\n"


def resized(model: ModelProto) -> None:
    add(model, "scales", np.array([1, 1, 1e5, 1e5], np.float32))
    made = helper.make_node("Resize", ["r1", "", "scales"], ["wide"], name="resize")
    at = list(model.graph.node).index(node(model, "c2"))
    node(model, "c2").input[0] = "wide"
    model.graph.node.insert(at, made)


def cut_off(model: ModelProto) -> bytes:
    data: bytes = model.SerializeToString()
    return data[: len(data) // 2]
