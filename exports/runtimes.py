"""The runtimes that can be held against the reference, found by name.

A package adds one under the entry-point group `netspec.runtimes`; the entry is a `Runtime`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from netspec.exports.worker import call
from netspec.zoo import UsageError

GROUP = "netspec.runtimes"


@dataclass(frozen=True, slots=True)
class Runtime:
    """Something that computes a network, in a worker.

    `backend` names the backend whose source it runs; without one it runs ONNX files. `job` is a
    name in `worker.JOBS` or `module:function`. `available` returns why it cannot run here, or None.
    With `doubles` the job takes `dtype="float64"` too, and answers whether the backend's source is
    the same function; the first such runtime of a backend does.

    The job is called in a worker with `environment` set, and given `options`; `inputs` and
    `result`, the paths of .npz files (`exports.arrays`) of channels-first arrays by the spec's
    names; and either `source`, `weights` (safetensors) and `names` of the outputs, or `model` and
    the shapes of `outputs` by name, without the batch. It writes the outputs and returns what is to
    be known, as JSON: `version`, `device`, `settings` of its precision by name, `bits` as
    `exports.precision` measures them, `lanes` in how many sums at once the terms of long means are
    added (1 if it is not told), `elsewhere` the nodes that were not run where they should.
    """

    name: str
    job: str
    available: Callable[[], str | None]
    backend: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    doubles: bool = False

    def run(self, **arguments: Any) -> dict[str, Any]:
        """Run the job, and return what it told.

        Raises:
            WorkerError: it failed.
            UnavailableError: something that it needs is not on this machine.
        """
        return call(self.job, environment=self.environment, **{**self.options, **arguments})


def missing(*modules: str) -> str | None:
    """Why a set of modules cannot be imported, or None; nothing is imported."""
    absent = [module for module in modules if find_spec(module) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def runtimes() -> dict[str, Runtime]:
    """Every known runtime by name.

    Raises:
        UsageError: what a package names as a runtime cannot be imported, or is none.
    """
    found = {runtime.name: runtime for runtime in BUILT_IN}
    for entry in entry_points(group=GROUP):
        try:
            runtime = entry.load()
        except Exception as error:  # whatever it is, it is not the spec's mistake
            message = f"{entry.value}, which is installed as {GROUP}, cannot be imported: {error}"
            raise UsageError(message) from error
        if not isinstance(runtime, Runtime):
            raise UsageError(f"{entry.value}, which is installed as {GROUP}, is no Runtime")
        found.setdefault(runtime.name, runtime)
    return found


def _needs(*modules: str) -> Callable[[], str | None]:
    return partial(missing, *modules)


def _provider(name: str) -> Callable[[], str | None]:
    """Asks whether ONNX Runtime was built with a provider."""

    def available() -> str | None:
        if reason := missing("onnxruntime", "onnx"):
            return reason
        import onnxruntime

        if f"{name}ExecutionProvider" in onnxruntime.get_available_providers():
            return None
        return f"this build of ONNX Runtime has no {name} provider"

    return available


_TENSORFLOW = _needs("keras", "tensorflow")

BUILT_IN = (
    Runtime("torch", "torch_run", _needs("torch"), "torch", doubles=True),
    Runtime(
        "torch-compiled",
        "torch_run",
        _needs("torch"),
        "torch",
        {"compiled": True},
        # A user's switch would have the same model run uncompiled, without a word.
        {"TORCH_COMPILE_DISABLE": "0", "TORCHDYNAMO_DISABLE": "0"},
    ),
    Runtime("torch-cuda", "torch_run", _needs("torch"), "torch", {"device": "cuda"}),
    Runtime("keras", "keras_run", _TENSORFLOW, "keras", doubles=True),
    Runtime("keras-function", "keras_run", _TENSORFLOW, "keras", {"mode": "function"}),
    Runtime("keras-xla", "keras_run", _TENSORFLOW, "keras", {"mode": "xla"}),
    Runtime("keras-cuda", "keras_run", _TENSORFLOW, "keras", {"device": "gpu"}),
    Runtime(
        "keras-jax",
        "keras_run",
        _needs("keras", "jax"),
        "keras",
        {"mode": "xla"},
        {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    ),
    Runtime(
        "keras-jax-cuda",
        "keras_run",
        _needs("keras", "jax"),
        "keras",
        {"mode": "xla", "device": "gpu"},
        # JAX would take most of a GPU's memory at once, which others may be using.
        {"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
    ),
    Runtime(
        "keras-torch",
        "keras_run",
        _needs("keras", "torch"),
        "keras",
        environment={"KERAS_BACKEND": "torch"},
    ),
    Runtime("onnxruntime", "onnxruntime_run", _needs("onnxruntime", "onnx")),
    Runtime(
        "onnxruntime-cuda",
        "onnxruntime_run",
        _provider("CUDA"),
        options={"provider": "CUDAExecutionProvider", "options": {"use_tf32": "0"}},
    ),
    Runtime(
        "onnxruntime-tensorrt",
        "onnxruntime_run",
        _provider("Tensorrt"),
        options={"provider": "TensorrtExecutionProvider", "options": {"trt_fp16_enable": "0"}},
    ),
    Runtime(
        "onnxruntime-webgpu",
        "onnxruntime_run",
        _needs("onnxruntime", "onnx", "onnxruntime_ep_webgpu"),
        options={"provider": "WebGpuExecutionProvider"},
        # Where there is no GPU, the same code runs on a Vulkan driver for the processor.
        environment={"ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1"},
    ),
    Runtime("openvino", "openvino_run", _needs("openvino", "onnx")),
    Runtime("openvino-bf16", "openvino_run", _needs("openvino", "onnx"), options={"hint": "bf16"}),
)
