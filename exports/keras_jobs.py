"""What a worker does with Keras on TensorFlow: run generated source."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.model_source import by_name, load_model, round_attributes
from netspec.exports.tracing import Trace


def run(
    source: str,
    weights: str,
    inputs: str,
    result: str,
    names: list[str],
    dtype: str = "float32",
    trace: str | None = None,
    sample: int = 0,
) -> dict[str, Any]:
    """Run the source's model on an .npz of channels-first inputs; outputs go to an .npz.

    With `trace`, every value of one sample goes to that .npz, as Keras has it: channels last.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    model = load(source, weights, dtype)
    arrays = load_arrays(inputs)
    values = {name: np.moveaxis(x, 1, -1).astype(dtype) for name, x in arrays.items()}
    outputs = by_name(call(model, values), names)
    if trace:
        _record(model, values, sample, trace)
    save_arrays(result, {n: np.moveaxis(np.asarray(y), -1, 1) for n, y in outputs.items()})
    return {"version": keras.__version__, "tensorflow": tf.__version__}


def _record(model: keras.Model, values: dict[str, Any], sample: int, path: str) -> None:
    tensors = {
        f"{operation.name}:{index}": tensor
        for operation in model.operations
        for index, node in enumerate(operation._inbound_nodes)
        for tensor in node.output_tensors
    }
    found = call(keras.Model(model.inputs, list(tensors.values())), values)
    trace = Trace(sample)
    batch = len(next(iter(values.values())))
    with trace.saved(path):
        for name, value in zip(tensors, found, strict=True):
            trace.add(name, np.asarray(value), batch)


def load(source: str, weights: str, dtype: str) -> keras.Model:
    """The source's model, with its constants and attributes fit for the dtype."""
    keras.config.set_floatx(dtype)
    model = load_model(source, weights, dtype)
    if dtype == "float64":
        round_attributes(model.layers)
    return model


def call(model: keras.Model, values: dict[str, Any]) -> Any:
    """Apply a functional model to channels-last values by input name, at inference."""
    ordered = [values[tensor.name] for tensor in model.inputs]
    return model(ordered if len(ordered) > 1 else ordered[0], training=False)
