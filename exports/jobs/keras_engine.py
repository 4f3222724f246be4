"""The engine that Keras runs on in this process, and what is asked of any: device, float32.

What differs among engines is in `engine_tensorflow`, `engine_jax` and `engine_torch`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras

from netspec.exports import rounding
from netspec.exports.worker import JobError, UnavailableError

EAGER = "eager"
NAME: str = keras.config.backend()
_ENGINE: Any = importlib.import_module(f"netspec.exports.jobs.engine_{NAME}")

VERSION = f"{keras.__version__} on {NAME} {_ENGINE.VERSION}"
LANES = rounding.LANES if _ENGINE.VECTORS else 1  # in which the processor sums means
KINDS = {"cpu": ("cpu",), "gpu": ("gpu", "cuda")}


def prepare(dtype: str, device: str) -> AbstractContextManager[None]:
    """Set Keras and its engine to full float32, or to float64; run models in the returned block.

    `device` is "cpu" or "gpu".

    Raises:
        UnavailableError: there is no such device.
    """
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    found: bool = _ENGINE.prepare(dtype, device)
    if device == "gpu" and not found:
        raise UnavailableError(f"{NAME} finds no GPU")
    placed: AbstractContextManager[None] = keras.device(_ENGINE.DEVICES[device])
    return placed


def compiled(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """A function of tensors as the engine runs it in a mode: "eager", "function" or "xla"."""
    if mode == EAGER:
        return function
    made: Callable[..., Any] = _ENGINE.compiled(function, mode)
    return made


def settings() -> dict[str, str]:
    """The switches of precision as they stand now, after the model was loaded and run."""
    return {"dtype policy": keras.config.dtype_policy().name, **_ENGINE.settings()}


def require_device(values: Sequence[Any], device: str) -> str:
    """Where results were computed, read from them.

    Raises:
        JobError: it is not the kind of device that was asked for.
    """
    names = sorted({_ENGINE.device(value) for value in values})
    if not all(any(kind in name.lower() for kind in KINDS[device]) for name in names):
        raise JobError(f"not computed on the {device} but on {', '.join(names)}")
    return ", ".join(names)
