"""A small network by hand: its graph, and its source as somebody else would write it.

The sources are independent of netspec's generators, and each has marked places for mistakes.
"""

from __future__ import annotations

from typing import Any

from netspec.diagnostics import SourceText, Span
from netspec.graph import Graph, Node, Output, Value, Weight
from netspec.ops import Op
from netspec.types import TensorType

SPAN = Span(SourceText.of("test.yaml", ""), 1, 1, 1, 1)


class Net:
    """Builds a graph node by node."""

    def __init__(self, **inputs: tuple[int, ...]) -> None:
        self.inputs = tuple(Value(name, TensorType(shape)) for name, shape in inputs.items())
        self.nodes: list[Node] = []

    def add(self, path: str, kind: str, *inputs: Value, **attributes: Any) -> Value:
        """Apply an op to values; without any, to the value before."""
        inputs = inputs or (self.nodes[-1].output if self.nodes else self.inputs[0],)
        types = tuple(value.type for value in inputs)
        op = Op.registry[kind](attributes, types)
        output = Value(path, op.infer(*types))
        weights = tuple(
            Weight(f"{path}.{p.name}", p.name, p.shape, p.init, p.trainable, p.dtype)
            for p in op.params(*types)
        )
        self.nodes.append(Node(path, op, inputs, output, weights, SPAN))
        return output

    def graph(self, **outputs: Value) -> Graph:
        named = tuple(Output(name, value) for name, value in outputs.items())
        return Graph("net", {}, self.inputs, named, tuple(self.nodes), None)


def small_net() -> Graph:
    """A fire module between a normalised stem and a grouped convolution; odd sizes throughout."""
    net = Net(image=(3, 19, 24))
    net.add("conv", "conv", out=8, kernel=3, stride=2, padding=1, bias=False)
    net.add("norm", "batch_norm")
    net.add("relu", "relu")
    net.add("pool", "max_pool", kernel=3, stride=2, ceil_mode=True)
    net.add("squeeze", "conv", out=4, kernel=1)
    squeezed = net.add("squeeze_relu", "relu")
    one = net.add("one", "conv", squeezed, out=6, kernel=1)
    three = net.add("three", "conv", squeezed, out=6, kernel=3, padding=1)
    net.add("expand", "concat", one, three)
    net.add("expand_relu", "relu")
    features = net.add("grouped", "conv", out=8, kernel=3, groups=2)
    net.add("flatten", "flatten")
    logits = net.add("fc", "linear", out=5)
    return net.graph(features=features, logits=logits)


TORCH = """
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8, eps=1e-5)
        self.squeeze = nn.Conv2d(8, 4, 1)
        self.one = nn.Conv2d(4, 6, 1)
        self.three = nn.Conv2d(4, 6, 3, padding=1)
        self.grouped = nn.Conv2d(12, 8, 3, groups=2)
        self.fc = nn.Linear(8 * 3 * 4, 5)

    def forward(self, image):
        x = F.relu(self.norm(self.conv(image)))
        x = F.relu(self.squeeze(F.max_pool2d(x, 3, 2, ceil_mode=True)))
        x = F.relu(torch.cat([self.one(x), self.three(x)], 1))
        features = self.grouped(x)
        return features, self.fc(features.flatten(1))


def build_model():
    return Net()


def load_weights(model, path):
    model.load_state_dict(load_file(path))
"""

KERAS = """
import keras
from keras import layers, ops
from safetensors.numpy import load_file


def build_model():
    image = keras.Input((19, 24, 3), name="image")
    x = layers.ZeroPadding2D(1)(image)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5, name="norm")(x))
    x = ops.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=float("-inf"))
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.ReLU()(layers.Conv2D(4, 1, name="squeeze")(x))
    one = layers.Conv2D(6, 1, name="one")(x)
    three = layers.Conv2D(6, 3, padding="same", name="three")(x)
    x = layers.ReLU()(layers.Concatenate()([one, three]))
    features = layers.Conv2D(8, 3, groups=2, name="grouped")(x)
    logits = layers.Dense(5, name="fc")(layers.Flatten()(layers.Permute((3, 1, 2))(features)))
    return keras.Model(image, {"features": features, "logits": logits})


def load_weights(model, path):
    weights = load_file(path)
    for name in ("conv", "squeeze", "one", "three", "grouped", "fc"):
        kernel = weights[name + ".weight"]
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        bias = weights.get(name + ".bias")
        model.get_layer(name).set_weights([kernel] if bias is None else [kernel, bias])
    parts = ("weight", "bias", "running_mean", "running_var")
    model.get_layer("norm").set_weights([weights["norm." + part] for part in parts])
"""

SOURCES = {"torch": TORCH, "keras": KERAS}
