"""keras.applications held against the zoo: `python keras_applications.py NAME,SIZES ...`.

A program of its own, because TensorFlow and torch never share a process. For each name it makes
keras.applications' model with random weights, gives them to netspec's float64 reference, and prints
as JSON how far the logits of the two are apart, and how far those of two images, in units of the
largest logit.

The mapping is the one that docs/zoo.md describes: met from the output towards the input, inputs
from first to last, Keras's layers with weights stand in the order of the spec.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

import netspec
from netspec.graph import Graph, Node
from netspec.reference import run

Array = NDArray[np.float64]

MODELS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50_keras": "ResNet50",
    "resnet101_keras": "ResNet101",
    "resnet152_keras": "ResNet152",
    "inception_v3_keras": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "densenet121_keras": "DenseNet121",
    "densenet169_keras": "DenseNet169",
    "densenet201_keras": "DenseNet201",
    "mobilenet_v2_keras": "MobileNetV2",
    **{f"efficientnet_b{n}_keras": f"EfficientNetB{n}" for n in range(8)},
}

NORMS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
NORMS["running_var"] = "moving_variance"


def main(jobs: list[str]) -> None:
    keras.config.set_floatx("float64")
    print(json.dumps({job: compare(*parse(job)) for job in jobs}))


def parse(job: str) -> tuple[str, int, int]:
    name, height, width = job.split(",")
    return name, int(height), int(width)


def compare(name: str, height: int, width: int) -> list[float]:
    """The distance of Keras's logits to the reference's, the movement between two images, and the
    number of values in Keras's weights and in the spec's, counters left out."""
    theirs = getattr(keras.applications, MODELS[name])(
        weights=None, input_shape=(height, width, 3), classes=10, classifier_activation=None
    )
    images = np.random.default_rng(1).uniform(0, 255, (4, 3, height, width))
    randomise(theirs, images)
    graph = netspec.load(name, inputs={"image": (3, height, width)}, num_classes=10)
    expected = np.asarray(theirs(images.transpose(0, 2, 3, 1), training=False))
    (logits,) = run(graph, convert(theirs, graph), {"image": images}).values()
    scale = np.abs(expected).max()
    counted = [w for w in graph.weights if w.name != "num_batches_tracked"]
    return [
        float(np.abs(logits - expected).max() / scale),
        float(np.abs(expected[0] - expected[1]).max() / scale),
        sum(int(np.prod(v.shape)) for layer in weighted(theirs) for v in layer.weights),
        sum(int(np.prod(w.shape)) for w in counted),
    ]


def randomise(model: Any, images: Array) -> None:
    """Weights without symmetry; statistics near the images', or published ones of pixels.

    The published EfficientNets divide by the square root of the deviation once more: here the
    normalisation layer does it, whose variance is that of the pixels to the power of 1.5.
    """
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.mean = np.reshape([0.485, 0.456, 0.406], (1, 1, 1, 3))
            layer.variance = np.reshape([0.229, 0.224, 0.225], (1, 1, 1, 3)) ** 3
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if variable.name.endswith("kernel"):
                fan_in = np.prod(shape[:2] if "depthwise" in layer.name else shape[:-1])
                variable.assign(rng.normal(0, (2 / float(fan_in)) ** 0.5, shape))
            elif variable.name == "gamma":
                variable.assign(rng.uniform(0.5, 1.5, shape))
            else:
                variable.assign(rng.normal(0, 0.1, shape))
    model(images.transpose(0, 2, 3, 1), training=True)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # A channel that hardly varies in four images would magnify every rounding.
            variance = np.asarray(layer.moving_variance)
            layer.moving_variance.assign(np.maximum(variance, 0.2 * variance.mean()))


def convert(model: Any, graph: Graph) -> dict[str, Array]:
    """Keras's weights by the spec's keys, in torch's layout."""
    nodes = [node for node in graph.declared if node.weights]
    layers = list(weighted(model))
    assert len(layers) == len(nodes), (len(layers), len(nodes))
    weights: dict[str, Array] = {}
    for layer, node in zip(layers, nodes, strict=True):
        values = {v.name: np.asarray(v) for v in layer.weights}
        for weight in node.weights:
            if weight.name == "num_batches_tracked":
                weights[weight.key] = np.zeros(())
            elif node.op.kind == "batch_norm":
                weights[weight.key] = values.pop(NORMS[weight.name])
            else:
                found = values.pop({"weight": "kernel"}.get(weight.name, weight.name))
                weights[weight.key] = in_torchs_layout(found, node, graph)
            assert weights[weight.key].shape == weight.shape, (layer.name, weight.key)
        assert not values, (layer.name, node.path)
    return weights


def in_torchs_layout(value: Array, node: Node, graph: Graph) -> Array:
    if value.ndim == 4:  # height, width, in, out; of a depthwise one: channels, 1
        depthwise = node.weights[0].shape[1] == 1
        return value.transpose(2, 3, 0, 1) if depthwise else value.transpose(3, 2, 0, 1)
    if value.ndim == 2:
        (flatten,) = [n for n in graph.nodes if n.op.kind == "flatten"]
        channels, height, width = flatten.inputs[0].type.shape
        if value.shape[0] == channels * height * width > channels:  # Keras flattens channels last
            maps = value.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
            return maps.reshape(len(maps), -1)
        return value.T
    return value


def weighted(model: Any) -> Iterator[Any]:
    """The layers that a spec has weights for, inputs before those that read them."""
    done: set[int] = set()
    stack = [(model.outputs[0]._keras_history.operation, False)]
    while stack:
        layer, expanded = stack.pop()
        if id(layer) in done:
            continue
        if not expanded:
            stack.append((layer, True))
            inputs = layer._inbound_nodes[0].input_tensors
            stack += [(t._keras_history.operation, False) for t in reversed(inputs)]
            continue
        done.add(id(layer))
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            yield layer


if __name__ == "__main__":
    main(sys.argv[1:])
