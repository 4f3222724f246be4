"""Keras's engine PyTorch: its devices and its precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from netspec.exports.jobs import torch_run

VERSION: str = torch.__version__
VECTORS = True  # which add the terms of means
# With a number Keras would move each variable to where it is, and take the copy for a weight.
DEVICES = {"cpu": "cpu", "gpu": "cuda"}


def prepare(dtype: str, device: str) -> bool:
    """Set full precision and no gradients; whether there is a GPU."""
    torch_run.force_float32()
    torch.set_grad_enabled(False)
    return torch.cuda.is_available()


def compiled(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """No way but the eager one is measured."""
    raise ValueError(f"Keras on PyTorch has no mode {mode!r}")


def settings() -> dict[str, str]:
    """The switches of precision as they stand now."""
    return torch_run.settings()


def device(value: torch.Tensor) -> str:
    """The device that holds a tensor, such as `cpu`."""
    return str(value.device)
