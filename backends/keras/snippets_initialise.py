"""Initialisers that Keras lacks or gives other fans, for generated Keras source to copy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import initializers, ops


def with_fans(initializer: Any, fan_in: float, fan_out: float) -> initializers.Initializer:
    """The initializer, with a variance that depends on fans fixed for these.

    Keras derives fans from a tensor's own shape, which gives others for a depthwise kernel and
    none for a bias. None: uniform within 1 / sqrt(fan_in), for kernels and biases.
    """
    if initializer is None:
        initializer = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    initializer = initializers.get(initializer)
    if not isinstance(initializer, initializers.VarianceScaling):
        return initializer
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    deviation = math.sqrt(initializer.scale / fans[initializer.mode])
    if initializer.distribution == "uniform":
        return initializers.RandomUniform(-math.sqrt(3) * deviation, math.sqrt(3) * deviation)
    if initializer.distribution == "untruncated_normal":
        return initializers.RandomNormal(0.0, deviation)
    # A normal distribution cut at two deviations has .8796 of its deviation left.
    return initializers.TruncatedNormal(0.0, deviation / 0.87962566103423978)


def uniform_within(bound: float) -> initializers.Initializer:
    """Uniform from -bound to bound."""
    return initializers.RandomUniform(-bound, bound)


def usual_initializers(fan_in: int) -> dict[str, initializers.Initializer]:
    """Kernel and bias uniform within 1 / sqrt(fan_in), as torch makes them."""
    bound = 1 / math.sqrt(fan_in)
    parts = ("kernel_initializer", "bias_initializer")
    return {part: initializers.RandomUniform(-bound, bound) for part in parts}


def kaiming_normal(mode: str = "fan_in") -> initializers.Initializer:
    """Normal with variance 2 / fan, never truncated. https://arxiv.org/abs/1502.01852"""
    return initializers.VarianceScaling(2.0, mode, "untruncated_normal")


def xavier_normal() -> initializers.Initializer:
    """Normal with variance 2 / (fan_in + fan_out), never truncated. Glorot and Bengio, 2010."""
    return initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal")


@keras.saving.register_keras_serializable("netspec")
class CutNormal(initializers.Initializer):  # type: ignore[misc] # Keras has no types
    """Normal around 0 with deviation `std`, never below `low` or above `high`.

    Keras's own truncated initialiser always cuts at two deviations.
    """

    def __init__(self, std: float, low: float, high: float) -> None:
        self.std = std
        self.low = low
        self.high = high

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        scale = math.sqrt(2) * self.std
        least, most = math.erf(self.low / scale), math.erf(self.high / scale)
        draws = keras.random.uniform(shape, least, most, "float32")
        values = ops.clip(scale * ops.erfinv(draws), self.low, self.high)
        return ops.cast(values, dtype or keras.config.floatx())

    def get_config(self) -> dict[str, float]:
        return {"std": self.std, "low": self.low, "high": self.high}
