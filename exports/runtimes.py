"""The runtimes that can be held against the reference, found by name.

A package adds one under the entry-point group `netspec.runtimes`; the entry is a `Runtime`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

GROUP = "netspec.runtimes"


@dataclass(frozen=True, slots=True)
class Runtime:
    """Something that computes a network, in a worker.

    `backend` names the backend whose source it runs; without one it runs ONNX files. `job` is a
    name in `worker.JOBS` or `module:function`, called with the paths of the model and of the
    arrays, and with `options`. `available` returns why it cannot run here, or None.
    """

    name: str
    job: str
    available: Callable[[], str | None]
    backend: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def missing(*modules: str) -> str | None:
    """Why a set of modules cannot be imported, or None; nothing is imported."""
    absent = [module for module in modules if find_spec(module) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def runtimes() -> dict[str, Runtime]:
    """Every known runtime by name."""
    found = {runtime.name: runtime for runtime in BUILT_IN}
    for entry in entry_points(group=GROUP):
        runtime = entry.load()
        if isinstance(runtime, Runtime):
            found.setdefault(runtime.name, runtime)
    return found


def _cuda() -> str | None:
    if reason := missing("onnxruntime", "onnx"):
        return reason
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "this build of ONNX Runtime has no CUDA provider"
    return None


BUILT_IN = (
    Runtime("torch", "torch_run", lambda: missing("torch"), backend="torch"),
    Runtime("keras", "keras_run", lambda: missing("keras", "tensorflow"), backend="keras"),
    Runtime("onnxruntime", "onnxruntime_run", lambda: missing("onnxruntime", "onnx")),
    Runtime(
        "onnxruntime-cuda",
        "onnxruntime_run",
        _cuda,
        options={"provider": "CUDAExecutionProvider", "options": {"use_tf32": "0"}},
    ),
    Runtime(
        "onnxruntime-webgpu",
        "onnxruntime_run",
        lambda: missing("onnxruntime", "onnx", "onnxruntime_ep_webgpu"),
        options={"provider": "WebGpuExecutionProvider"},
    ),
    Runtime("openvino", "openvino_run", lambda: missing("openvino", "onnx")),
)
