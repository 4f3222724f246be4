"""Mistakes in finished ONNX files: attributes, stored tensors, operators and wires."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

Change = Callable[[ModelProto], None]
Array = Any


@dataclass(frozen=True, slots=True)
class FileMutant:
    """A change to what an exporter writes for `network`; `node` is to blame.

    `exporter` is `onnx`, whose file stores the spec's own weights, or `torch`, which folds.
    """

    name: str
    node: str
    network: str
    change: Change
    exporter: str = "onnx"

    @property
    def where(self) -> str:
        return f"{self.network}, {self.exporter} file"


def file_mutants() -> Iterator[FileMutant]:
    """The mistakes, by network."""
    for network, rows in _TABLE.items():
        for name, node, change in rows:
            yield FileMutant(name, node, network, change)
    for name, node, change in _FOLDED:
        yield FileMutant(name, node, "residual", change, "torch")


def node_of(model: ModelProto, name: str) -> NodeProto:
    """The node of an ONNX graph that bears a name.

    Raises:
        ValueError: none does.
    """
    for node in model.graph.node:
        if node.name == name:
            return cast(NodeProto, node)
    raise ValueError(f"the file has no node {name}")


def attribute(name: str, **values: Any) -> Change:
    def change(model: ModelProto) -> None:
        node = node_of(model, name)
        kept = [a for a in node.attribute if a.name not in values]
        del node.attribute[:]
        node.attribute.extend(kept + [helper.make_attribute(*pair) for pair in values.items()])

    return change


def tensor(name: str, change: Callable[[Array], Array]) -> Change:
    def apply(model: ModelProto) -> None:
        stored = next(t for t in model.graph.initializer if t.name == name)
        array = np.ascontiguousarray(change(numpy_helper.to_array(stored).copy()))
        stored.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))

    return apply


def of_conv(index: int, place: int, change: Callable[[Array], Array]) -> Change:
    """A change to a stored tensor of the file's conv of this number, by its place as an input."""

    def apply(model: ModelProto) -> None:
        convs = [node for node in model.graph.node if node.op_type == "Conv"]
        tensor(convs[index].input[place], change)(model)

    return apply


def operator(name: str, kind: str) -> Change:
    def change(model: ModelProto) -> None:
        node = node_of(model, name)
        node.op_type = kind
        del node.attribute[:]

    return change


def wires(name: str, *inputs: str) -> Change:
    def change(model: ModelProto) -> None:
        node_of(model, name).input[:] = inputs

    return change


def scaled(index: int, factor: float) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        array.flat[index] *= np.float32(factor)
        return array

    return change


def swapped(axis: int, first: int, second: int) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        order = np.arange(array.shape[axis])
        order[[first, second]] = second, first
        return array.take(order, axis)

    return change


def as_bfloat16(array: Array) -> Array:
    return (array.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def _flattened_last(array: Array) -> Array:
    return array.reshape(12, 8, 3, 2).transpose(0, 2, 3, 1).reshape(12, 48)


_TABLE: dict[str, list[tuple[str, str, Change]]] = {
    "lenet": [
        ("kernel transposed", "conv1", tensor("conv1.weight", lambda w: w.swapaxes(2, 3))),
        ("kernel mirrored", "conv1", tensor("conv1.weight", lambda w: w[:, :, ::-1])),
        ("input channels swapped", "conv2", tensor("conv2.weight", swapped(1, 0, 1))),
        ("output channels swapped", "conv2", tensor("conv2.weight", swapped(0, 2, 5))),
        ("padding at one side", "conv1", attribute("conv1", pads=[4, 2, 0, 2])),
        ("strides swapped", "conv2", attribute("conv2", strides=[1, 2])),
        ("relu left out", "relu1", operator("relu1", "Identity")),
        ("flattened channels last", "fc1", tensor("fc1.weight", _flattened_last)),
        ("bias dropped", "fc2", tensor("fc2.bias", np.zeros_like)),
        ("one weight 1 % off", "fc1", tensor("fc1.weight", scaled(77, 1.01))),
        ("slope 1 % off", "relu3", attribute("relu3", alpha=0.0101)),
        ("weights in bfloat16", "fc2", tensor("fc2.weight", as_bfloat16)),
        ("logarithm of the softmax", "prob", operator("prob", "LogSoftmax")),
        ("product negated", "fc2", attribute("fc2", alpha=-1.0)),
        ("tanh as sigmoid", "tanh2", operator("tanh2", "Sigmoid")),
    ],
    "residual": [
        ("epsilon of the default", "norm", attribute("norm", epsilon=1e-5)),
        ("epsilon 1 % off", "block1.norm1", attribute("block1.norm1", epsilon=1.01e-5)),
        ("one mean 1 % off", "block1.norm2", tensor("block1.norm2.running_mean", scaled(3, 1.01))),
        ("deviation for variance", "block2.norm3", tensor("block2.norm3.running_var", np.sqrt)),
        ("two variances swapped", "norm", tensor("norm.running_var", swapped(0, 1, 4))),
        ("one scale negated", "block2.norm1", tensor("block2.norm1.weight", scaled(0, -1.0))),
        (
            "groups in another order",
            "block1.depthwise",
            tensor("block1.depthwise.weight", swapped(0, 0, 11)),
        ),
        ("one weight 1 % off", "block2.down", tensor("block2.down.weight", scaled(9, 1.01))),
        ("weights in float16", "block2.up", tensor("block2.up.weight", np.float16)),
        ("gate added", "block1.scale", operator("block1.scale", "Add")),
        ("hard swish as relu", "block2.act1", operator("block2.act1", "Relu")),
        ("hard sigmoid of slope 0.2", "block1.gate", attribute("block1.gate", alpha=0.2)),
        ("residual of another place", "block2.sum", wires("block2.sum", "block2.norm3", "pool")),
        ("residual dropped", "block1.sum", wires("block1.sum", "block1.norm3", "block1.norm3")),
        ("mean as maximum", "block1.squeeze", operator("block1.squeeze", "GlobalMaxPool")),
        ("pool shifted", "pool", attribute("pool", pads=[0, 0, 2, 2])),
    ],
    "inception": [
        ("padding at the other side", "stem", attribute("stem", pads=[1, 1, 0, 1])),
        ("windows begin before", "pool", attribute("pool", pads=[1, 0, 0, 0])),
        ("branches swapped", "mixed", wires("mixed", "one", "tall", "wide", "pooled", "uncounted")),
        ("padding counted", "uncounted", attribute("uncounted", count_include_pad=1)),
        ("padding not counted", "pooled", attribute("pooled", count_include_pad=0)),
        ("dilation one less", "dilated", attribute("dilated", dilations=[1, 1], pads=[1, 1, 1, 1])),
        ("alpha of elu", "elu", attribute("elu", alpha=1.0)),
        ("difference turned round", "difference", wires("difference", "last", "first")),
        ("a branch reads another", "uncounted", wires("uncounted", "pooled")),
        ("one running mean off", "norm", tensor("norm.running_mean", scaled(8, 1.01))),
    ],
    "dense": [
        ("parts swapped", "layer1.grown", wires("layer1.grown", "layer1.conv2", "layer0.grown")),
        (
            "an older value joined",
            "layer2.grown",
            wires("layer2.grown", "layer2.norm1", "layer2.conv2"),
        ),
        ("one weight 1 % off", "layer1.conv1", tensor("layer1.conv1.weight", scaled(4, 1.01))),
        ("epsilon ten times as large", "norm", attribute("norm", epsilon=1e-4)),
        ("windows begin before", "pool", attribute("pool", pads=[1, 1, 0, 0])),
    ],
    "kinds": [
        ("offset 1 % off", "offset", tensor("offset", scaled(2, 1.01))),
        ("padding at one side", "spread", attribute("spread", pads=[0, 0, 2, 2])),
        ("epsilon of the default", "ln", attribute("ln/LayerNormalization", epsilon=1e-5)),
        ("slopes in the other order", "prelu", tensor("prelu.weight", lambda w: w[::-1])),
        ("groups of other channels", "shrink", tensor("shrink.weight", swapped(1, 0, 1))),
        ("softmax of another axis", "log", attribute("log", axis=2)),
        ("softplus as relu", "softplus", operator("softplus", "Relu")),
        ("abs left out", "abs", operator("abs", "Identity")),
    ],
    "sequence": [
        ("kernel mirrored", "mix", tensor("mix.weight", lambda w: w[:, :, ::-1])),
        ("shared weights applied once", "again", operator("again", "Identity")),
        ("stride one less", "pool", attribute("pool", strides=[1])),
        ("padding not counted", "avg", attribute("avg", count_include_pad=0)),
    ],
}

_FOLDED: list[tuple[str, str, Change]] = [
    ("one folded weight 1 % off", "norm", of_conv(0, 1, scaled(20, 1.01))),
    ("one folded weight 1e-4 off", "norm", of_conv(0, 1, scaled(20, 1.0001))),
    ("one folded weight 1 % off", "block2.norm2", of_conv(7, 1, scaled(31, 1.01))),
    ("folded weights in float16", "block1.norm1", of_conv(1, 1, np.float16)),
    ("folded weights in bfloat16", "block1.norm3", of_conv(5, 1, as_bfloat16)),
    ("folded bias dropped", "block1.norm2", of_conv(2, 2, np.zeros_like)),
    ("one folded bias 1 % off", "block2.norm3", of_conv(10, 2, scaled(3, 1.01))),
]
