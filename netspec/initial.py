"""Initial weights: the same bits for every backend, from a seed and the tensors' keys."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from netspec.graph import Graph
from netspec.initialisers import canonical, fans
from netspec.lazy import LazyModule
from netspec.ops.base import Array, Init, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = LazyModule("numpy")

# Standard deviation of a standard normal cut at +-2 (the constant of Keras and TensorFlow).
CUT_DEVIATION = 0.87962566103423978


def initial_weights(graph: Graph, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Every stored tensor by its key, in torch's shape and the tensor's dtype.

    A tensor's values depend on the seed, its key, its shape and its initialiser (with fans that
    may be its op's weight's), not on the rest of the network.

    Raises:
        InitialiserError: an initialiser cannot fill its tensor.
    """
    result = {}
    for node in graph.declared:
        kernel = next((weight.shape for weight in node.weights if weight.name == "weight"), None)
        for weight in node.weights:
            values = sample(weight.init, weight.shape, generator(seed, weight.key), kernel)
            result[weight.key] = values.astype(weight.dtype)
    return result


def generator(seed: int, key: str) -> np.random.Generator:
    """Philox keyed by the seed and a tensor's key."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def sample(
    init: Init | str, shape: Shape, random: np.random.Generator, weight: Shape | None = None
) -> Array:
    """Values of `shape` drawn as `init` says; `weight` is the shape whose fans a bias has.

    Raises:
        InitialiserError: the initialiser is malformed, or needs fans where there are none.
    """
    name, arguments = canonical(init)
    match name:
        case "zeros":
            return np.zeros(shape)
        case "ones":
            return np.ones(shape)
        case "constant":
            return np.full(shape, arguments["value"])
        case "normal":
            return random.normal(0.0, arguments["std"], shape)
        case "uniform":
            return random.uniform(arguments["low"], arguments["high"], shape)
        case "truncated_normal":
            return _truncated(random, shape, **arguments)
        case _:
            return _scaled(random, shape, *scaling(name, arguments, fans(shape, weight)))


def scaling(name: str, arguments: dict[str, Any], fan: tuple[int, int]) -> tuple[str, float]:
    """The distribution and standard deviation of an initialiser that scales by `(in, out)` fans.

    He et al., https://arxiv.org/abs/1502.01852; Glorot and Bengio, AISTATS 2010.
    """
    modes = {"fan_in": fan[0], "fan_out": fan[1], "fan_avg": (fan[0] + fan[1]) / 2}
    match name:
        case "kaiming_normal" | "kaiming_uniform":
            return name.removeprefix("kaiming_"), math.sqrt(2 / modes[arguments["mode"]])
        case "xavier_normal" | "xavier_uniform":
            return name.removeprefix("xavier_"), math.sqrt(1 / modes["fan_avg"])
        case "variance_scaling":
            variance = arguments["scale"] / modes[arguments["mode"]]
            return arguments["distribution"], math.sqrt(variance)
        case "fan_in_uniform":
            return "uniform", math.sqrt(1 / (3 * fan[0]))
    raise ValueError(f"{name} does not scale by fans")


def _scaled(random: np.random.Generator, shape: Shape, distribution: str, std: float) -> Array:
    match distribution:
        case "normal":
            return random.normal(0.0, std, shape)
        case "uniform":
            bound = math.sqrt(3) * std
            return random.uniform(-bound, bound, shape)
    std /= CUT_DEVIATION  # so that what is left after the cut has the deviation asked for
    return _truncated(random, shape, std, -2 * std, 2 * std)


def _truncated(
    random: np.random.Generator, shape: Shape, std: float, low: float, high: float
) -> Array:
    """Normal values, each drawn again until it lies between the bounds."""
    values = random.normal(0.0, std, math.prod(shape))
    while (outside := np.flatnonzero((values < low) | (values > high))).size:
        values[outside] = random.normal(0.0, std, outside.size)
    return values.reshape(shape)
