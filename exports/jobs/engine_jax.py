"""Keras's engine JAX: its devices, its precision, its compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax  # type: ignore[import-not-found,unused-ignore] # an extra: mypy may run without it

CONFIG: Any = jax.config  # its attributes and `update` have no types
VERSION: str = jax.__version__
XLA = "xla"
VECTORS = True  # which add the terms of means
DEVICES = {"cpu": "cpu:0", "gpu": "gpu:0"}


def prepare(dtype: str, device: str) -> bool:
    """Set full precision; whether there is a GPU."""
    CONFIG.update("jax_default_matmul_precision", "highest")
    CONFIG.update("jax_enable_x64", dtype == "float64")
    return any(found.platform == "gpu" for found in jax.devices())


def compiled(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """A function of tensors, compiled by XLA."""
    if mode != XLA:
        raise ValueError(f"Keras on JAX has no mode {mode!r}")
    made: Callable[..., Any] = jax.jit(function)
    return made


def settings() -> dict[str, str]:
    """The switch of precision as it stands now."""
    return {"default_matmul_precision": str(CONFIG.jax_default_matmul_precision)}


def device(value: Any) -> str:
    """The devices that hold an array, such as `cpu:0`."""
    return ", ".join(sorted(str(found) for found in value.devices()))
