"""What a worker does with Keras, on the engine that KERAS_BACKEND names: run generated source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from netspec.exports import precision
from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.batches import holding, joined
from netspec.exports.jobs import keras_engine
from netspec.exports.jobs.tracing import Trace
from netspec.exports.model_source import by_name, load_model, round_attributes


def run(
    source: str,
    weights: str,
    inputs: str,
    result: str,
    names: list[str],
    dtype: str = "float32",
    mode: str = keras_engine.EAGER,
    device: str = "cpu",
    trace: str | None = None,
    sample: int = 0,
) -> dict[str, Any]:
    """Run the source's model on an .npz of channels-first inputs; outputs go to an .npz.

    In float64 the first sample is run alone as well (`batches`). `mode` is one of `keras_engine`.
    With `trace`, every value of one sample goes to that .npz, as Keras has it, channels last and
    without being compiled.

    Raises:
        UnavailableError: there is no such device.
        JobError: an output was computed elsewhere.
    """
    with keras_engine.prepare(dtype, device):
        model = load(source, weights, dtype)
        arrays = load_arrays(inputs)
        given = holding(arrays, sample) if trace else arrays
        values = {name: np.moveaxis(x, 1, -1).astype(dtype) for name, x in given.items()}
        alone = None
        if dtype == "float64" and not trace:
            # As users call it: what is said of training by default is held to be inference.
            first = {name: x[:1] for name, x in values.items()}
            alone = _arrays(by_name(call(model, first, training=None), names))
        outputs = by_name(_applied(model, mode)(values), names)
        info: dict[str, Any] = {
            "version": keras_engine.VERSION,
            "device": keras_engine.require_device(list(outputs.values()), device),
        }
        if trace:
            _record(model, values, sample, trace)
        elif dtype == "float32":
            info |= {"settings": keras_engine.settings(), "bits": _bits(mode)}
            info["lanes"] = keras_engine.LANES if device == "cpu" else 1
    found = _arrays(outputs)
    save_arrays(result, joined(alone, found) if alone else found)
    return info


def _arrays(outputs: dict[str, Any]) -> dict[str, Any]:
    """Channels first."""
    found = {name: keras.ops.convert_to_numpy(y) for name, y in outputs.items()}
    return {name: np.moveaxis(y, -1, 1) for name, y in found.items()}


def _applied(model: keras.Model, mode: str) -> Callable[[dict[str, Any]], Any]:
    """The model as a function of channels-last values by input name, in a mode."""

    def apply(state: Any, values: dict[str, Any]) -> Any:
        with keras.StatelessScope(zip(model.variables, state, strict=True)):
            return call(model, values)

    if mode == keras_engine.EAGER:
        return lambda values: call(model, values)
    # Variables are arguments: as constants of the program they would be folded, at great length.
    function = keras_engine.compiled(apply, mode)
    return lambda values: function([variable.value for variable in model.variables], values)


def _bits(mode: str) -> dict[str, int]:
    conv, matmul = precision.probes().values()
    kernel = np.ascontiguousarray(conv.weight.transpose(2, 3, 1, 0))

    def apply(image: Any, rows: Any) -> tuple[Any, Any]:
        return keras.ops.conv(image, kernel), keras.ops.matmul(rows, matmul.weight)

    function = keras_engine.compiled(apply, mode)

    def run(image: Any, rows: Any) -> tuple[Any, Any]:
        last = np.ascontiguousarray(np.moveaxis(image, 1, -1))
        found = [keras.ops.convert_to_numpy(y) for y in function(last, rows)]
        return np.moveaxis(found[0], -1, 1), found[1]

    return precision.measure(run)


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
            trace.add(name, keras.ops.convert_to_numpy(value), batch)


def load(source: str, weights: str, dtype: str) -> keras.Model:
    """The source's model, with its constants and attributes fit for the dtype."""
    keras.config.set_floatx(dtype)
    model = load_model(source, weights, dtype)
    if dtype == "float64":
        round_attributes(model.layers)
    return model


def call(model: keras.Model, values: dict[str, Any], training: bool | None = False) -> Any:
    """Apply a functional model to channels-last values by input name, at inference."""
    ordered = [values[tensor.name] for tensor in model.inputs]
    return model(ordered if len(ordered) > 1 else ordered[0], training=training)
