"""Weights from outside: a mapping or a file, checked against the graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.weight_files import load_tensors
from netspec.graph import Graph, Weight

Weights = dict[str, NDArray[Any]]
WeightsLike = Mapping[str, Any] | str | os.PathLike[str]

SHOWN = 5


def read_weights(graph: Graph, weights: WeightsLike) -> Weights:
    """The graph's tensors by key, in its order, shapes and dtypes.

    `weights` is a mapping of arrays, a `.safetensors` file, or a torch state dict (`.pt`, `.pth`),
    which a worker reads. Batch counters may be missing: nothing is computed from them.

    Raises:
        TypeError: the weights are neither a mapping nor a path.
        ValueError: keys are missing or unexpected, shapes are others, numbers are not finite,
            variances are below 0, or the file is broken or of another kind.
        OSError: the file cannot be read.
    """
    weights = _tensors(weights)
    problems = [*_key_problems(graph, weights), *_shape_problems(graph, weights)]
    if problems:
        raise ValueError(f"these are not the weights of {graph.name}: {'; '.join(problems)}")
    tensors = {
        w.key: _stored(w, weights[w.key] if w.key in weights else np.zeros(w.shape))
        for w in graph.weights
    }
    _require_sound(graph, tensors)
    return tensors


@dataclass(frozen=True, slots=True)
class Fitting:
    """The given tensors that fit a graph, and in words why each of the others was left out.

    `left` are tensors of the graph that nothing was found for; `unused` are keys of nothing in it.
    """

    tensors: Weights
    left: tuple[str, ...]
    unused: tuple[str, ...]


def read_fitting(graph: Graph, weights: WeightsLike) -> Fitting:
    """What fits the graph by key, shape and kind of number, as for a new head on an old checkpoint.

    Raises:
        TypeError: the weights are neither a mapping nor a path.
        ValueError: nothing does, numbers are not finite, or the file is broken or of another kind.
        OSError: the file cannot be read.
    """
    weights = _tensors(weights)
    tensors: Weights = {}
    left = []
    for w in graph.weights:
        shape = tuple(np.shape(weights[w.key])) if w.key in weights else None
        whole = shape is not None and _is_whole(w, weights[w.key])
        if shape == w.shape and not whole:
            tensors[w.key] = _stored(w, weights[w.key])
        elif w.name != "num_batches_tracked":
            kind = " of integers" if whole else ""
            found = "not in the file" if shape is None else f"{shape}{kind} in the file"
            left.append(f"{w.key} {w.shape}: {found}")
    if not tensors:
        raise ValueError(f"none of these weights fits {graph.name}")
    _require_sound(graph, tensors)
    known = {w.key for w in graph.weights}
    return Fitting(tensors, tuple(left), tuple(key for key in weights if key not in known))


def _tensors(weights: WeightsLike) -> Mapping[str, Any]:
    if isinstance(weights, (str, os.PathLike)):
        return load_tensors(Path(weights))
    if not isinstance(weights, Mapping):
        kind = type(weights).__name__
        raise TypeError(f"weights are a path, or map keys to arrays; these are of type {kind}")
    for key in weights:
        if not isinstance(key, str):
            raise TypeError(f"weights map keys to arrays; {key!r} is no key")
    return {key: _array(value) for key, value in weights.items()}


def _array(value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):  # a tensor of torch, wherever it is
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    return np.asarray(value)


def _stored(weight: Weight, value: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # what overflows is found to be infinite
        return np.asarray(value, weight.dtype)


def _require_sound(graph: Graph, tensors: Weights) -> None:
    """Refuse numbers that would make every comparison with them void.

    Raises:
        ValueError: a tensor holds NaN or infinity, or a variance below 0, whose root is NaN.
    """
    variances = {w.key for w in graph.weights if w.name == "running_var"}
    found, negative = [], []
    for key, tensor in tensors.items():
        if bad := tensor.size - int(np.isfinite(tensor).sum()):
            found.append(f"{key} ({bad:,} of {tensor.size:,})")
        elif key in variances and (bad := int((tensor < 0).sum())):
            negative.append(f"{key} ({bad:,} of {tensor.size:,})")
    if found:
        raise ValueError(f"these weights of {graph.name} hold NaN or infinity: {_listed(found)}")
    if negative:
        raise ValueError(f"these weights of {graph.name} hold variances < 0: {_listed(negative)}")


def _key_problems(graph: Graph, weights: Mapping[str, Any]) -> Iterable[str]:
    known = {w.key for w in graph.weights}
    needed = [w.key for w in graph.weights if w.name != "num_batches_tracked"]
    if missing := [key for key in needed if key not in weights]:
        yield f"missing {_listed(missing)}"
    if unexpected := [key for key in weights if key not in known]:
        yield f"unexpected {_listed(unexpected)}"


def _shape_problems(graph: Graph, weights: Mapping[str, Any]) -> Iterable[str]:
    wrong = [
        f"{w.key} {tuple(np.shape(weights[w.key]))} for {w.shape}"
        for w in graph.weights
        if w.key in weights and tuple(np.shape(weights[w.key])) != w.shape
    ]
    if wrong:
        yield f"shape {_listed(wrong)}"
    whole = [w.key for w in graph.weights if w.key in weights and _is_whole(w, weights[w.key])]
    if whole:
        yield f"integers where floats belong {_listed(whole)}"


def _is_whole(weight: Weight, value: Any) -> bool:
    """Whether integers stand where floats belong, as in a quantised file."""
    return weight.trainable and np.asarray(value).dtype.kind in "biu"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
