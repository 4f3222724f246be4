"""Keras's engine TensorFlow: its devices, its precision, its ways to run a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

VERSION: str = tf.__version__
FUNCTION, XLA = "function", "xla"
VECTORS = False  # the terms of means are added nearly one after the other
DEVICES = {"cpu": "cpu:0", "gpu": "gpu:0"}


def prepare(dtype: str, device: str) -> bool:
    """Set full precision, and let nothing run on another device; whether there is a GPU."""
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.set_soft_device_placement(False)
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    return bool(tf.config.list_physical_devices("GPU"))


def compiled(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """A function of tensors, traced, or compiled by XLA as well."""
    if mode not in (FUNCTION, XLA):
        raise ValueError(f"Keras on TensorFlow has no mode {mode!r}")
    made: Callable[..., Any] = tf.function(function, jit_compile=mode == XLA, autograph=False)
    return made


def settings() -> dict[str, str]:
    """The switches of precision as they stand now."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    override = os.environ.get("NVIDIA_TF32_OVERRIDE", "not set")
    return {"TF32": "on" if allowed else "off", "NVIDIA_TF32_OVERRIDE": override}


def device(value: tf.Tensor) -> str:
    """The device that holds a tensor, such as `CPU:0`."""
    found: str = value.device.rpartition("/device:")[2]
    return found
