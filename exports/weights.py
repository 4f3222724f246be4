"""Weights from outside: a mapping or a file, checked against the graph."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.worker import call
from netspec.graph import Graph

Weights = dict[str, NDArray[Any]]
WeightsLike = Mapping[str, Any] | str | os.PathLike[str]

SHOWN = 5


def read_weights(graph: Graph, weights: WeightsLike) -> Weights:
    """The graph's tensors by key, in its order, shapes and dtypes.

    `weights` is a mapping of arrays, a `.safetensors` file, or a torch state dict (`.pt`, `.pth`),
    which a worker reads. Batch counters may be missing: nothing is computed from them.

    Raises:
        ValueError: keys are missing or unexpected, shapes are others, or the kind of file is not
            known.
        OSError: the file cannot be read.
    """
    if not isinstance(weights, Mapping):
        weights = _load(Path(weights))
    problems = [*_key_problems(graph, weights), *_shape_problems(graph, weights)]
    if problems:
        raise ValueError(f"these are not the weights of {graph.name}: {'; '.join(problems)}")
    return {
        w.key: np.asarray(weights[w.key] if w.key in weights else np.zeros(w.shape), w.dtype)
        for w in graph.weights
    }


@dataclass(frozen=True, slots=True)
class Fitting:
    """The given tensors that fit a graph, and in words why each of the others was left out.

    `left` are tensors of the graph that nothing was found for; `unused` are keys of nothing in it.
    """

    tensors: Weights
    left: tuple[str, ...]
    unused: tuple[str, ...]


def read_fitting(graph: Graph, weights: WeightsLike) -> Fitting:
    """What fits the graph by key and shape, as for a new head on an old checkpoint.

    Raises:
        ValueError: nothing does, or the kind of file is not known.
        OSError: the file cannot be read.
    """
    if not isinstance(weights, Mapping):
        weights = _load(Path(weights))
    tensors: Weights = {}
    left = []
    for w in graph.weights:
        shape = tuple(np.shape(weights[w.key])) if w.key in weights else None
        if shape == w.shape:
            tensors[w.key] = np.asarray(weights[w.key], w.dtype)
        elif w.name != "num_batches_tracked":
            found = "not in the file" if shape is None else f"{shape} in the file"
            left.append(f"{w.key} {w.shape}: {found}")
    if not tensors:
        raise ValueError(f"none of these weights fits {graph.name}")
    known = {w.key for w in graph.weights}
    return Fitting(tensors, tuple(left), tuple(key for key in weights if key not in known))


def _load(path: Path) -> Weights:
    from safetensors.numpy import load_file

    if not path.is_file():
        raise FileNotFoundError(f"there is no weight file {path}")
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix in (".pt", ".pth"):
        with tempfile.TemporaryDirectory(prefix="netspec-") as folder:
            converted = Path(folder, "state.safetensors")
            call("torch_state", path=str(path.resolve()), result=str(converted))
            return load_file(converted)
    raise ValueError(f"{path.name} is no weight file: .safetensors, .pt and .pth are")


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
    whole = [
        w.key
        for w in graph.weights
        if w.key in weights and w.trainable and np.asarray(weights[w.key]).dtype.kind in "biu"
    ]
    if whole:
        yield f"integers where floats belong {_listed(whole)}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
