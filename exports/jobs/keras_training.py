"""What a worker does with Keras on TensorFlow: train generated source in float64.

Keras's batch norm keeps the biased variance of a batch, torch's the unbiased one: each step's
update is multiplied by n / (n - 1) here. A running variance has no part in training, so nothing
else would come out differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.model_source import by_name, module_of, round_attributes

STATISTICS = ("running_mean", "running_var")


def train(
    source: str,
    weights: list[str],
    inputs: str,
    targets: str,
    results: list[str],
    keys: list[str],
    steps: int,
    rate: float,
    momentum: float,
) -> dict[str, Any]:
    """Train the source's model once from each file of weights; `stage:key` go to an .npz each.

    Returns the rates of its random layers, which are off in training.
    """
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    samples = {n: _last(x).astype(np.float64) for n, x in load_arrays(inputs).items()}
    wanted = {n: tf.constant(_last(y)) for n, y in load_arrays(targets).items()}
    rates: dict[str, float] = {}
    for file, result in zip(weights, results, strict=True):
        module = module_of(source, rounded=True)
        heads = {"aux": True} if "aux" in signature(module.build_model).parameters else {}
        model = module.build_model(**heads)
        module.load_weights(model, file)
        round_attributes(model.layers)
        rates = _without_chance(model)
        tensors = _Tensors(module, model, keys)
        save_arrays(result, _course(model, tensors, samples, wanted, steps, rate, momentum))
    return {"version": keras.__version__, "tensorflow": tf.__version__, "rates": rates}


def _last(x: Any) -> Any:
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def _without_chance(model: keras.Model) -> dict[str, float]:
    """Turn random layers off; their rates by path."""
    rates = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            rates[layer.name.partition("--")[0].replace("-", ".")] = float(layer.rate)
            layer.rate = 0.0
    return rates


class _Tensors:
    """A model's variables under the spec's keys, in torch's layout, as the source turns them."""

    def __init__(self, module: Any, model: keras.Model, keys: Sequence[str]) -> None:
        self._to_torch = module.to_torch
        dotted = {key.replace("-", "."): key for key in keys}
        self.variables: dict[str, Any] = {}
        self._layouts: dict[str, Any] = {}
        for name, entry in module.stored_weights(model).items():
            variable, *layout = entry if isinstance(entry, tuple) else [entry]
            key = dotted[name.replace("-", ".")]
            self.variables[key] = variable
            self._layouts[key] = layout

    def back(self, key: str, value: Any) -> Any:
        """A variable's value, or its gradient, as torch holds it."""
        return np.ascontiguousarray(self._to_torch(np.array(value), *self._layouts[key]))

    def state(self) -> dict[str, Any]:
        return {key: self.back(key, variable) for key, variable in self.variables.items()}


def _course(
    model: keras.Model,
    tensors: _Tensors,
    samples: dict[str, Any],
    wanted: dict[str, Any],
    steps: int,
    rate: float,
    momentum: float,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ordered = [samples[tensor.name] for tensor in model.inputs]
    trained = {k: v for k, v in tensors.variables.items() if v.trainable}
    speeds = {key: tf.zeros_like(tf.convert_to_tensor(v)) for key, v in trained.items()}
    unbiased = _Unbiased(model, tensors, len(ordered[0]))
    for step in range(steps):
        with tf.GradientTape() as tape:
            results = model(ordered if len(ordered) > 1 else ordered[0], training=True)
            outputs = by_name(results, list(wanted))
            squares = (tf.reduce_mean((outputs[name] - y) ** 2) for name, y in wanted.items())
            loss = tf.add_n(list(squares))
        sources = [variable.value for variable in trained.values()]
        gradients = tape.gradient(loss, sources)
        for (key, variable), gradient in zip(trained.items(), gradients, strict=True):
            if gradient is None:
                continue
            gradient = tf.convert_to_tensor(gradient)
            if step == 0:
                found[f"gradient:{key}"] = tensors.back(key, gradient)
            speeds[key] = momentum * speeds[key] + gradient
            variable.assign(variable.value - rate * speeds[key])
        unbiased.follow()
        state = tensors.state() | unbiased.values
        if step == 0:
            statistics = (key for key in state if key.endswith(STATISTICS))
            found |= {f"first step:{key}": state[key].copy() for key in statistics}
        if step == steps - 1:
            found |= {f"last step:{key}": value.copy() for key, value in state.items()}
    return found


class _Unbiased:
    """The running variances that Keras would have if it kept the unbiased ones."""

    def __init__(self, model: keras.Model, tensors: _Tensors, batch: int) -> None:
        self._tensors = tensors
        self._layers: dict[str, tuple[float, float]] = {}
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                nodes = layer._inbound_nodes  # one for each call
                count = batch * int(np.prod(nodes[0].input_tensors[0].shape[1:-1]))
                kept = layer.momentum ** len(nodes)
                key = next(k for k, v in tensors.variables.items() if v is layer.moving_variance)
                self._layers[key] = (kept, count / max(count - 1, 1))
        self._before = {key: tensors.back(key, tensors.variables[key]) for key in self._layers}
        self.values = dict(self._before)

    def follow(self) -> None:
        """Take a step's update over."""
        for key, (kept, factor) in self._layers.items():
            now = self._tensors.back(key, self._tensors.variables[key])
            update = now - kept * self._before[key]
            self.values[key] = kept * self.values[key] + factor * update
            self._before[key] = now
