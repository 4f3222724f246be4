"""Weight files with torch's names and layouts, for generated Keras source to copy.

The key `a.b.weight` belongs to the layer `a-b`. `WEIGHTS` names the variables of layers that files
hold, and what these call them; for each, files hold
`variable.reshape(view).transpose(axes).reshape(shape)`.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from safetensors.numpy import load_file, save_file

WEIGHTS = {"kernel": "weight", "bias": "bias"}
TRAINING_ONLY = ("aux",)
DASHED = ("a-b.weight",)


def load_weights(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    tensors = {key.replace("-", "."): tensor for key, tensor in load_file(path).items()}
    stored = {key.replace("-", "."): entry for key, entry in stored_weights(model).items()}
    problems = []
    for key in sorted({*stored, *tensors}):
        if key not in tensors:
            problems.append(f"{key} is missing")
        elif key not in stored and not key.endswith(".num_batches_tracked"):
            problems.append(f"{key} belongs to no layer")
        elif key in stored and tensors[key].shape != stored[key][-1]:
            problems.append(f"{key} has shape {tensors[key].shape} instead of {stored[key][-1]}")
    if problems:
        raise ValueError("these weights do not fit the model: " + "; ".join(problems))
    for key, (variable, view, axes, _) in stored.items():
        tensor = tensors[key].reshape([view[axis] for axis in axes]).transpose(np.argsort(axes))
        variable.assign(tensor.reshape(variable.shape))


def load_weights__training_only(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    What the file has for parts in `TRAINING_ONLY` is passed over if `model` was built without.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    built = [f"{layer.name}-" for layer in model.layers]
    absent = tuple(
        f"{part}."
        for part in TRAINING_ONLY
        if not any(name.startswith(f"{part.replace('.', '-')}-") for name in built)
    )
    given = {key: x for key, x in load_file(path).items() if not f"{key}.".startswith(absent)}
    tensors = {key.replace("-", "."): tensor for key, tensor in given.items()}
    stored = {key.replace("-", "."): entry for key, entry in stored_weights(model).items()}
    problems = []
    for key in sorted({*stored, *tensors}):
        if key not in tensors:
            problems.append(f"{key} is missing")
        elif key not in stored and not key.endswith(".num_batches_tracked"):
            problems.append(f"{key} belongs to no layer")
        elif key in stored and tensors[key].shape != stored[key][-1]:
            problems.append(f"{key} has shape {tensors[key].shape} instead of {stored[key][-1]}")
    if problems:
        raise ValueError("these weights do not fit the model: " + "; ".join(problems))
    for key, (variable, view, axes, _) in stored.items():
        tensor = tensors[key].reshape([view[axis] for axis in axes]).transpose(np.argsort(axes))
        variable.assign(tensor.reshape(variable.shape))


def save_weights(model: keras.Model, path: str) -> None:
    """Write the weights of `model` as `load_weights` reads them, and torch."""
    tensors = {}
    for key, (variable, view, axes, shape) in stored_weights(model).items():
        tensor = ops.convert_to_numpy(variable).reshape(view).transpose(axes).reshape(shape)
        tensors[key] = np.ascontiguousarray(tensor)
        if key.endswith(".running_mean"):
            tensors[key.replace("running_mean", "num_batches_tracked")] = np.array(0)
    save_file(tensors, path)


def stored_weights(model: keras.Model) -> dict[str, tuple[Any, ...]]:
    """By key: a variable, its shape, its axes in torch's order, and so the shape in a file."""
    stored = {}
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in WEIGHTS:
                view, axes = tuple(variable.shape), [*range(len(variable.shape))]
                axes = [*axes[:-3:-1], *axes[:-2]]
                key = f"{layer.name.replace('-', '.')}.{WEIGHTS[variable.name]}"
                stored[key] = variable, view, axes, tuple(view[axis] for axis in axes)
    return stored


def stored_weights__depthwise(model: keras.Model) -> dict[str, tuple[Any, ...]]:
    """By key: a variable, a view of it, its axes in torch's order, and so the shape in a file."""
    stored = {}
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in WEIGHTS:
                view, axes = tuple(variable.shape), [*range(len(variable.shape))]
                axes = [*axes[:-3:-1], *axes[:-2]]
                if isinstance(layer, layers.DepthwiseConv2D) and variable.name == "kernel":
                    view = (*view[:-2], 1, view[-2] * view[-1])
                key = f"{layer.name.replace('-', '.')}.{WEIGHTS[variable.name]}"
                stored[key] = variable, view, axes, tuple(view[axis] for axis in axes)
    return stored


def stored_weights__any(model: keras.Model) -> dict[str, tuple[Any, ...]]:
    """By key: a variable, a view of it, its axes in torch's order, and the shape in a file.

    A model within the model has layers whose names are as complete as its own. `DASHED` has the
    keys that are not their layers' names with `.` for `-`.
    """
    names = {key.replace("-", "."): key for key in DASHED}
    stored: dict[str, tuple[Any, ...]] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            stored |= stored_weights__any(layer)
            continue
        path = re.sub("(--)?(--(mirrored|stride-1|table|whole))?$", "", layer.name)
        for variable in layer.weights:
            if variable.name in WEIGHTS:
                key = f"{path}-{WEIGHTS[variable.name]}".removesuffix("-").replace("-", ".")
                stored[names.get(key, key)] = variable, *torch_layout(model, layer, variable)
    return stored


def torch_layout(
    model: keras.Model, layer: layers.Layer, variable: Any
) -> tuple[tuple[int, ...], list[int], tuple[int, ...]]:
    """A view of a layer's variable, that view's axes in torch's order, and the shape in a file."""
    view = tuple(variable.shape)
    if variable.name == "embeddings":
        view = model.get_layer(layer.name.removesuffix("--table")).target_shape
        axes = [len(view) - 1, *range(len(view) - 1)]
        return view, axes, tuple(view[axis] for axis in axes)
    if variable.name != "kernel":
        return view[-1:], [0], view[-1:]
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        view = (*view[:-2], 1, view[-2] * view[-1])
    if layer.name.endswith("--mirrored"):
        *window, inner, outer = view
        rank, each = len(window), outer // layer.groups
        view = (*window, inner, layer.groups, each)
        axes = [rank + 1, rank, rank + 2, *range(rank)]
        return view, axes, (layer.groups * inner, each, *window)
    axes = [*range(len(view))]
    axes = [*axes[:-3:-1], *axes[:-2]]
    return view, axes, tuple(view[axis] for axis in axes)
