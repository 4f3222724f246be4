"""Weight files with torch's names and layouts, for generated Keras source to copy.

The key `a.b.weight` belongs to the layer `a-b`. `WEIGHTS` names the variables of layers that files
hold, and what these call them. Variants differ by what a network has: batch norms, parts for
training only, depthwise kernels, or anything that Keras or netspec can make.
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
DASHED = r"a-\d+"
KEYS = ("a-b.weight",)


def load_weights(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    tensors, stored = load_file(path), stored_weights(model)
    shapes = {key: to_torch(np.empty(v.shape)).shape for key, v in stored.items()}
    refuse_misfits(path, tensors, shapes)
    for key, variable in stored.items():
        x = tensors[key]
        variable.assign(x if x.ndim == 1 else np.moveaxis(x, (0, 1), (-1, -2)))


def load_weights__statistics(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    given, stored = load_file(path), stored_weights(model)
    tensors = {key: x for key, x in given.items() if not key.endswith(".num_batches_tracked")}
    shapes = {key: to_torch(np.empty(v.shape)).shape for key, v in stored.items()}
    refuse_misfits(path, tensors, shapes)
    for key, variable in stored.items():
        x = tensors[key]
        variable.assign(x if x.ndim == 1 else np.moveaxis(x, (0, 1), (-1, -2)))


def load_weights__training_only(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    What the file has for parts in `TRAINING_ONLY` is passed over if `model` was built without.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    given, stored = without_absent(model, load_file(path)), stored_weights(model)
    tensors = {key: x for key, x in given.items() if not key.endswith(".num_batches_tracked")}
    shapes = {key: to_torch(np.empty(v.shape)).shape for key, v in stored.items()}
    refuse_misfits(path, tensors, shapes)
    for key, variable in stored.items():
        x = tensors[key]
        variable.assign(x if x.ndim == 1 else np.moveaxis(x, (0, 1), (-1, -2)))


def load_weights__depthwise(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    given, stored = load_file(path), stored_weights(model)
    tensors = {key: x for key, x in given.items() if not key.endswith(".num_batches_tracked")}
    shapes = {k: to_torch__depthwise(np.empty(v), v).shape for k, (_, v) in stored.items()}
    refuse_misfits(path, tensors, shapes)
    for key, (variable, _) in stored.items():
        x = tensors[key]
        array = x if x.ndim == 1 else np.moveaxis(x, (0, 1), (-1, -2))
        variable.assign(array.reshape(variable.shape))


def load_weights__any(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    given = load_file(path)
    tensors = {key: x for key, x in given.items() if not key.endswith(".num_batches_tracked")}
    tensors = {key.replace("-", "."): x for key, x in tensors.items()}
    stored = {key.replace("-", "."): entry for key, entry in stored_weights(model).items()}
    refuse_misfits(path, tensors, {key: entry[-1] for key, entry in stored.items()})
    for key, (variable, view, axes, _) in stored.items():
        tensor = tensors[key].reshape([view[axis] for axis in axes]).transpose(np.argsort(axes))
        variable.assign(tensor.reshape(variable.shape))


def load_weights__any_training_only(model: keras.Model, path: str) -> None:
    """Give `model` the weights of a safetensors file with torch's names and layouts.

    What the file has for parts in `TRAINING_ONLY` is passed over if `model` was built without.

    Raises:
        ValueError: the keys or shapes are not the model's; nothing was assigned.
    """
    given = without_absent(model, load_file(path))
    tensors = {key: x for key, x in given.items() if not key.endswith(".num_batches_tracked")}
    tensors = {key.replace("-", "."): x for key, x in tensors.items()}
    stored = {key.replace("-", "."): entry for key, entry in stored_weights(model).items()}
    refuse_misfits(path, tensors, {key: entry[-1] for key, entry in stored.items()})
    for key, (variable, view, axes, _) in stored.items():
        tensor = tensors[key].reshape([view[axis] for axis in axes]).transpose(np.argsort(axes))
        variable.assign(tensor.reshape(variable.shape))


def refuse_misfits(path: str, tensors: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless the tensors have the model's keys and shapes."""
    problems = [f"{key} is missing" for key in shapes if key not in tensors]
    problems += [f"{key} belongs to no layer" for key in tensors if key not in shapes]
    for key, shape in shapes.items():
        if key in tensors and tensors[key].shape != shape:
            problems.append(f"{key} has shape {tensors[key].shape} instead of {shape}")
    if problems:
        more = [f"... and {len(problems) - 10} more"] if len(problems) > 10 else []
        raise ValueError("\n".join([f"{path} does not fit the model:", *problems[:10], *more]))


def without_absent(model: keras.Model, tensors: dict[str, Any]) -> dict[str, Any]:
    """The tensors but those of parts in `TRAINING_ONLY` that `model` was built without."""
    built = [f"{layer.name}-" for layer in model.layers]
    absent = tuple(
        f"{part}."
        for part in TRAINING_ONLY
        if not any(name.startswith(f"{part.replace('.', '-')}-") for name in built)
    )
    return {key: x for key, x in tensors.items() if not f"{key}.".startswith(absent)}


def save_weights(model: keras.Model, path: str) -> None:
    """Write the weights of `model` as `load_weights` reads them, and torch."""
    tensors = {
        key: np.ascontiguousarray(to_torch(ops.convert_to_numpy(variable)))
        for key, variable in stored_weights(model).items()
    }
    save_file(tensors, path)


def save_weights__statistics(model: keras.Model, path: str) -> None:
    """Write the weights of `model` as `load_weights` reads them, and torch."""
    tensors = {
        key: np.ascontiguousarray(to_torch(ops.convert_to_numpy(variable)))
        for key, variable in stored_weights(model).items()
    }
    means = [key for key in tensors if key.endswith(".running_mean")]
    tensors |= {key.replace("running_mean", "num_batches_tracked"): np.array(0) for key in means}
    save_file(tensors, path)


def save_weights__any(model: keras.Model, path: str) -> None:
    """Write the weights of `model` as `load_weights` reads them, and torch."""
    tensors = {
        key: np.ascontiguousarray(to_torch(ops.convert_to_numpy(variable), *layout))
        for key, (variable, *layout) in stored_weights(model).items()
    }
    means = [key for key in tensors if key.endswith(".running_mean")]
    tensors |= {key.replace("running_mean", "num_batches_tracked"): np.array(0) for key in means}
    save_file(tensors, path)


def to_torch(array: Any) -> Any:
    """A variable as torch holds it: output channels first, then input channels."""
    return array if array.ndim == 1 else np.moveaxis(array, (-1, -2), (0, 1))


def to_torch__depthwise(array: Any, view: tuple[int, ...]) -> Any:
    """A variable, seen in another shape, as torch holds it: output channels first."""
    array = array.reshape(view)
    return array if array.ndim == 1 else np.moveaxis(array, (-1, -2), (0, 1))


def to_torch__any(array: Any, view: tuple[int, ...], axes: list[int], shape: Any) -> Any:
    """A variable as torch holds it: in another shape, with these axes in turn."""
    return array.reshape(view).transpose(axes).reshape(shape)


def stored_weights(model: keras.Model) -> dict[str, Any]:
    """The variables that files hold, by their keys there."""
    return {
        f"{layer.name.replace('-', '.')}.{WEIGHTS[variable.name]}": variable
        for layer in model.layers
        for variable in layer.weights
        if variable.name in WEIGHTS
    }


def stored_weights__depthwise(model: keras.Model) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """By key in files: a variable, and its shape if its layer were no depthwise one."""
    stored = {}
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in WEIGHTS:
                shape = variable.shape
                if isinstance(layer, layers.DepthwiseConv2D) and variable.name == "kernel":
                    shape = (*shape[:-2], 1, shape[-2] * shape[-1])
                key = f"{layer.name.replace('-', '.')}.{WEIGHTS[variable.name]}"
                stored[key] = variable, shape
    return stored


def stored_weights__any(model: keras.Model) -> dict[str, tuple[Any, ...]]:
    """By key: a variable, a view of it, its axes in torch's order, and the shape in a file.

    A model within the model has layers whose names are as complete as its own.
    """
    stored: dict[str, tuple[Any, ...]] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            stored |= stored_weights__any(layer)
            continue
        path = re.sub("(--)?(--(mirrored|stride-1|table|whole))?$", "", layer.name)
        for variable in layer.weights:
            if variable.name in WEIGHTS:
                key = f"{path}-{WEIGHTS[variable.name]}".removesuffix("-").replace("-", ".")
                stored[key] = variable, *torch_layout(model, layer, variable)
    return stored


def stored_weights__dashed(model: keras.Model) -> dict[str, tuple[Any, ...]]:
    """By key: a variable, a view of it, its axes in torch's order, and the shape in a file.

    A model within the model has layers whose names are as complete as its own. `DASHED` is the
    pattern of names that have a `-` in keys, too.
    """
    stored: dict[str, tuple[Any, ...]] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            stored |= stored_weights__dashed(layer)
            continue
        path = re.sub("(--)?(--(mirrored|stride-1|table|whole))?$", "", layer.name)
        path = re.sub(DASHED, lambda found: found[0].replace("-", "/"), path)
        for variable in layer.weights:
            if variable.name in WEIGHTS:
                key = f"{path}-{WEIGHTS[variable.name]}".removesuffix("-").replace("-", ".")
                layout = torch_layout(model, layer, variable)
                stored[key.replace("/", "-")] = variable, *layout
    return stored


def stored_weights__listed(model: keras.Model) -> dict[str, tuple[Any, ...]]:
    """By key: a variable, a view of it, its axes in torch's order, and the shape in a file.

    A model within the model has layers whose names are as complete as its own. `KEYS` has the
    keys that are not their layers' names with `.` for `-`.
    """
    names = {key.replace("-", "."): key for key in KEYS}
    stored: dict[str, tuple[Any, ...]] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            stored |= stored_weights__listed(layer)
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
