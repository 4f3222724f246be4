"""What a worker does with ONNX Runtime: run a file on a provider, and prove that it ran there."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any

import onnxruntime as ort

from netspec.exports import precision
from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.fit import Array, Arrays, run_fitted
from netspec.exports.jobs.means import lanes
from netspec.exports.jobs.refusals import over_file, told_by_onnxruntime
from netspec.exports.jobs.tracing import Trace
from netspec.exports.onnx_file import interface
from netspec.exports.worker import JobError, UnavailableError, plain

CPU = "CPUExecutionProvider"
WEBGPU = "WebGpuExecutionProvider"
HEAVY = ("Conv", "Gemm", "MatMul", "Einsum", "Attention", "RNN", "LSTM", "GRU")
"""What the types of ops that multiply matrices have in their names, fused ones included."""
SHOWN = 5


class FallbackError(JobError):
    """A session does not compute on the provider that was asked for."""


@over_file(told_by_onnxruntime)
def run(
    model: str,
    inputs: str,
    result: str,
    outputs: dict[str, list[int]],
    provider: str = CPU,
    options: dict[str, str] | None = None,
    trace: str | None = None,
    sample: int = 0,
) -> dict[str, Any]:
    """Run a file on an .npz of channels-first inputs; outputs by the spec's names go to an .npz.

    With `trace`, every value of one sample goes to that .npz; that keeps nodes from being fused.

    Raises:
        UnavailableError: the provider finds no device.
        FallbackError: the provider is not in use, or left convolutions or matrix products out.
        JobError: the file cannot be loaded.
    """
    ports = interface(model)
    session = _session(_all_visible(model) if trace else model, provider, options or {})
    placement, elsewhere = _placement(session, provider)
    names = [output.name for output in session.get_outputs()]
    recorded = Trace(sample)
    notes: list[str] = []
    done = 0

    def once(feeds: Arrays) -> list[Array]:
        nonlocal done
        batch = len(next(iter(feeds.values())))
        found = session.run(None, feeds)
        for name, value in zip(names, found, strict=True):
            recorded.add(name, value, batch, done)
        done += batch
        return list(found[: len(ports.outputs)])

    with recorded.saved(trace):
        traced = sample if trace else None
        results = run_fitted(ports, load_arrays(inputs), outputs, once, traced, notes=notes)
    _require(session, provider)  # a session may also fall back while it runs
    save_arrays(result, results)
    info = {
        "version": ort.__version__,
        "device": _device(provider),
        "placement": placement,
        "elsewhere": elsewhere,
        "notes": notes,
    }
    if not trace:
        probe = _session(precision.onnx_model(), provider, options or {})
        info |= {"settings": _settings(probe, provider), "bits": _bits(probe)}
        info["lanes"] = lanes(model) if provider == CPU else 1
    return info


def _bits(session: Any) -> dict[str, int]:
    names = [value.name for value in session.get_inputs()]
    return precision.measure(
        lambda *values: tuple(session.run(None, dict(zip(names, values, strict=True))))
    )


def _settings(session: Any, provider: str) -> dict[str, str]:
    """What the provider says of its arithmetic, and the switch of its libraries."""
    said = session.get_provider_options().get(provider, {})
    kept = {name: value for name, value in said.items() if _is_of_precision(name)}
    if provider in (CPU, WEBGPU):
        return kept
    return {**kept, "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE", "not set")}


def _is_of_precision(name: str) -> bool:
    return any(word in name.lower() for word in ("tf32", "fp16", "bf16", "int8", "precision"))


def _all_visible(model: str) -> bytes:
    """The model with every node's outputs among its own, which stand first."""
    import onnx

    made = onnx.load(model)
    known = {output.name for output in made.graph.output}
    for node in made.graph.node:
        for name in node.output:
            if name and name not in known:
                made.graph.output.add(name=name)
    serialised: bytes = made.SerializeToString()
    return serialised


def _session(model: str | bytes, provider: str, options: dict[str, str]) -> Any:
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    chosen = {}
    if provider == WEBGPU:
        settings.add_provider_for_devices([_webgpu_device()], options)
    elif provider not in ort.get_available_providers():
        raise FallbackError(f"{provider} is not in this build of ONNX Runtime")
    else:
        if provider != CPU:
            ort.preload_dlls(directory="")  # CUDA's, where pip installed them
        chosen = {"providers": [(provider, options)]}
    try:
        # By itself it would try again on the CPU, and say so on the standard output alone.
        session = ort.InferenceSession(model, settings, enable_fallback=0, **chosen)
    except Exception as error:  # its exceptions have no common class but this
        if provider == WEBGPU and "adapter" in str(error):
            raise UnavailableError("WebGPU finds no adapter: there is no Vulkan driver") from None
        reason = told_by_onnxruntime(error)
        if lacking := re.match(r"Could not find an implementation for (\w+)", reason):
            kind = f"{interface(model).dtype} " if isinstance(model, str) else ""
            raise UnavailableError(f"{provider} has no {kind}{lacking[1]}") from None
        raise JobError(f"ONNX Runtime makes no session: {reason}") from None
    _require(session, provider)
    return session


def _require(session: Any, provider: str) -> None:
    if session.get_providers()[0] != provider:
        raise FallbackError(
            f"{provider} was asked for; {', '.join(session.get_providers())} is in use"
        )


def _webgpu_device() -> Any:
    # An extra without types: mypy may run with it and without.
    import onnxruntime_ep_webgpu as webgpu  # type: ignore[import-not-found,import-untyped,unused-ignore]

    if not any(device.ep_name == WEBGPU for device in ort.get_ep_devices()):
        ort.register_execution_provider_library("webgpu", webgpu.get_library_path())
    devices = [device for device in ort.get_ep_devices() if device.ep_name == WEBGPU]
    if not devices:
        raise UnavailableError("the WebGPU provider finds no device")
    return max(devices, key=_is_gpu)


def _is_gpu(device: Any) -> bool:
    return bool(device.device.type == ort.OrtHardwareDeviceType.GPU)


def _device(provider: str) -> str:
    """Where a provider computes, in words."""
    if provider == CPU:
        return "CPU"
    if provider != WEBGPU:
        return "GPU"
    found = _webgpu_device()
    return f"GPU of {found.device.vendor}" if _is_gpu(found) else "software adapter on the CPU"


def _placement(session: Any, provider: str) -> tuple[dict[str, int], list[str]]:
    """Nodes by provider, and the names of those on another than this one.

    Raises:
        FallbackError: what is to be fast is not on it, or nothing is.
    """
    counts: Counter[str] = Counter()
    elsewhere, heavy = [], []
    for part in session.get_provider_graph_assignment_info():
        for node in part.get_nodes():
            counts[part.ep_name] += 1
            if part.ep_name != provider:
                name = plain(node.name or node.op_type)
                elsewhere.append(name)
                heavy += [name] if any(word in node.op_type for word in HEAVY) else []
    if heavy:
        raise FallbackError(f"{provider} left to another provider: {_listed(heavy)}")
    if not counts[provider] and (counts or provider != CPU):
        raise FallbackError(f"no node of the file is known to be on {provider}")
    return dict(counts), elsewhere


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")
