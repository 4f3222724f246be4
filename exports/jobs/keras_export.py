"""Export a Keras model through TensorFlow and tf2onnx, in a worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.optimizer.optimizer_base import GraphOptimizerBase

from netspec.exports.jobs.keras_run import call, load
from netspec.exports.model_source import by_name
from netspec.exports.onnx_file import OPSET, Interface, finish

AXES_3D = 5  # of a kernel: output and input channels, and three in space
CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"


def export(source: str, weights: str, path: str, interface: dict[str, Any]) -> dict[str, Any]:
    """Export the source's channels-last model to an ONNX file with this channels-first interface.

    Raises:
        ValueError: what tf2onnx made does not have this interface.
    """
    wanted = Interface.of(interface)
    model = load(source, weights, wanted.dtype)
    signature = [
        tf.TensorSpec((None, *port.shape[1:]), port.dtype, name=f"input_{index}")
        for index, port in enumerate(wanted.inputs)
    ]
    names = [port.name for port in wanted.outputs]

    def channels_first(*values: tf.Tensor) -> list[tf.Tensor]:
        last = {
            port.name: _move(value, 1, -1)
            for port, value in zip(wanted.inputs, values, strict=True)
        }
        outputs = by_name(call(model, last), names)
        return [_move(outputs[name], -1, 1) for name in names]

    proto = _convert(tf.function(channels_first), signature)
    finish(proto, wanted, path)
    return {
        "version": keras.__version__,
        "tensorflow": tf.__version__,
        "tf2onnx": tf2onnx.__version__,
    }


def _convert(function: Any, signature: list[tf.TensorSpec]) -> Any:
    # Keras compiles grouped convolutions as functions of their own, which tf2onnx leaves as calls
    # that no runtime knows. Traced eagerly they are part of the graph.
    tf.config.run_functions_eagerly(True)
    try:
        try:
            with _optimizing_in_place():
                return _converted(function, signature)
        except Exception:  # an optimizer raises what it will; then tf2onnx's own way passes it over
            return _converted(function, signature)
    finally:
        tf.config.run_functions_eagerly(False)


@contextmanager
def _optimizing_in_place() -> Iterator[None]:
    """Keep tf2onnx from copying all weights once for each of its 36 runs of an optimizer.

    Each run ends by writing the network's nodes into protobufs that never give memory back, which
    is needed once, at the end; and it begins with a copy to return to if the optimizer fails.
    """
    copying, catching = GraphOptimizerBase.optimize, os.environ.get(CATCH_ERRORS)
    GraphOptimizerBase.optimize = _optimize
    os.environ[CATCH_ERRORS] = "FALSE"
    try:
        yield
    finally:
        GraphOptimizerBase.optimize = copying
        os.environ.pop(CATCH_ERRORS)
        if catching is not None:
            os.environ[CATCH_ERRORS] = catching


def _optimize(optimizer: Any, graph: Any, iteration: int) -> Any:
    optimizer.opt_iteration = iteration
    graph = optimizer._optimize(graph)
    graph.delete_unused_nodes(graph.outputs)
    return graph


def _converted(function: Any, signature: list[tf.TensorSpec]) -> Any:
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    _set_groups(proto)
    return proto


def _set_groups(proto: Any) -> None:
    """State the groups of convolutions in three dimensions, which tf2onnx leaves out.

    TensorFlow states none either: they follow from the channels that a kernel reads.
    """
    kernels = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    convolutions = [
        node
        for node in proto.graph.node
        if node.op_type == "Conv" and len(kernels.get(node.input[1], ())) == AXES_3D
    ]
    if not convolutions:
        return
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    values = (*inferred.value_info, *inferred.input)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in values}
    for node in convolutions:
        channels, read = shapes[node.input[0]][1].dim_value, kernels[node.input[1]][1]
        for attribute in node.attribute:
            if attribute.name == "group":
                attribute.i = channels // read
                break
        else:
            node.attribute.append(onnx.helper.make_attribute("group", channels // read))


def _move(value: tf.Tensor, source: int, destination: int) -> tf.Tensor:
    return keras.ops.moveaxis(value, source, destination) if len(value.shape) > 2 else value
