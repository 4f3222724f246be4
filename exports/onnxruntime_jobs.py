"""What a worker does with ONNX Runtime: run a file on a provider, and prove that it ran there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import onnxruntime as ort

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.fit import Array, Arrays, run_fitted
from netspec.exports.onnx_file import interface
from netspec.exports.tracing import Trace
from netspec.exports.worker import UnavailableError

CPU = "CPUExecutionProvider"
HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedMatMul"})


class FallbackError(Exception):
    """A session does not compute on the provider that was asked for."""


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
    """
    ports = interface(model)
    session = _session(_all_visible(model) if trace else model, provider, options or {})
    placement = _placement(session, provider)
    names = [output.name for output in session.get_outputs()]
    recorded = Trace(sample)
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
        results = run_fitted(ports, load_arrays(inputs), outputs, once)
    save_arrays(result, results)
    return {"version": ort.__version__, "provider": provider, "placement": placement}


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
    if provider == "WebGpuExecutionProvider":
        _add_webgpu(settings)
        session = ort.InferenceSession(model, settings)
    elif provider not in ort.get_available_providers():
        raise FallbackError(f"{provider} is not in this build of ONNX Runtime")
    else:
        session = ort.InferenceSession(model, settings, providers=[(provider, options)])
    if session.get_providers()[0] != provider:
        raise FallbackError(
            f"{provider} was asked for; {', '.join(session.get_providers())} is in use"
        )
    return session


def _add_webgpu(settings: Any) -> None:
    import onnxruntime_ep_webgpu as webgpu  # type: ignore[import-not-found,unused-ignore]

    ort.register_execution_provider_library("webgpu", webgpu.get_library_path())
    devices = [d for d in ort.get_ep_devices() if d.ep_name == webgpu.get_ep_name()]
    if not devices:
        raise UnavailableError("the WebGPU provider found no device")
    settings.add_provider_for_devices(devices[:1], {})


def _placement(session: Any, provider: str) -> dict[str, int]:
    """Nodes by provider."""
    counts: Counter[str] = Counter()
    strayed = []
    for part in session.get_provider_graph_assignment_info():
        nodes = part.get_nodes()
        counts[part.ep_name] += len(nodes)
        if part.ep_name != provider:
            strayed += [node.name or node.op_type for node in nodes if node.op_type in HEAVY]
    if strayed:
        raise FallbackError(f"{provider} left to another provider: {', '.join(strayed[:5])}")
    return dict(counts)
