"""What a worker does with PyTorch: run generated source, read checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import save_file
from torch.overrides import TorchFunctionMode

from netspec.exports import precision
from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.batches import holding, joined
from netspec.exports.jobs.tracing import Trace
from netspec.exports.model_source import by_name, load_model, round_attributes
from netspec.exports.rounding import LANES
from netspec.exports.worker import JobError, UnavailableError


def run(
    source: str,
    weights: str,
    inputs: str,
    result: str,
    names: list[str],
    device: str = "cpu",
    dtype: str = "float32",
    compiled: bool = False,
    trace: str | None = None,
    sample: int = 0,
) -> dict[str, Any]:
    """Run the source's model in eval mode on an .npz of inputs; outputs go to an .npz.

    In float64 the first sample is run alone as well (`batches`), and the result also tells the
    number of weights, and of those that the inputs reach; in float32 the bits of the arithmetic.
    With `trace`, every value of one sample goes to that .npz, as the model has it without being
    compiled.

    Raises:
        UnavailableError: there is no such device.
        JobError: an output was computed elsewhere.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("torch finds no CUDA device")
    force_float32()
    model = load(source, weights, dtype).to(device)
    apply: Callable[..., Any] = torch.compile(model) if compiled and not trace else model
    kind = getattr(torch, dtype)
    info: dict[str, Any] = {"version": torch.__version__, "device": _name(device)}
    arrays = load_arrays(inputs)
    given = holding(arrays, sample) if trace else arrays
    values = [torch.from_numpy(x).to(device, kind) for x in given.values()]
    alone = None
    if dtype == "float64" and not trace:
        with torch.no_grad():
            alone = by_name(apply(*(x[:1] for x in values)), names)
    recorder = _Recorder(Trace(sample), len(values[0]))
    watched = recorder if trace else nullcontext()
    with torch.no_grad(), recorder.trace.saved(trace), watched:
        outputs = by_name(apply(*values), names)
    if strayed := [name for name, y in outputs.items() if y.device.type != device]:
        raise JobError(f"not computed on {device}: {', '.join(strayed)}")
    if dtype == "float64":
        info["weights"], info["live"] = _reach(model, values, names)
    elif not trace:
        info |= {"settings": settings(), "bits": _bits(device, compiled)}
        # What the compiler makes of a mean after a convolution is nearly one after the other.
        info["lanes"] = LANES if device == "cpu" and not compiled else 1
    found = _arrays(outputs)
    save_arrays(result, joined(_arrays(alone), found) if alone else found)
    return info


def _arrays(outputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: y.detach().cpu().numpy() for name, y in outputs.items()}


def force_float32() -> None:
    """Turn off what computes in fewer bits, as far as torch's own switches reach."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def settings() -> dict[str, str]:
    """The switches as they stand now, after the model was loaded and run."""
    try:
        matmul = torch.get_float32_matmul_precision()
        convolution = "TF32" if torch.backends.cudnn.allow_tf32 else "float32"
    except RuntimeError:  # torch refuses where its old and its new switches were both set
        matmul = convolution = "mixed"
    return {
        "float32_matmul_precision": matmul,
        "cudnn convolutions": convolution,
        "ONEDNN_DEFAULT_FPMATH_MODE": os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE", "not set"),
        "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE", "not set"),
    }


def _bits(device: str, compiled: bool) -> dict[str, int]:
    kernel, columns = (
        torch.from_numpy(probe.weight).to(device) for probe in precision.probes().values()
    )

    def apply(image: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.nn.functional.conv2d(image, kernel), rows @ columns

    function = torch.compile(apply) if compiled else apply

    def run(image: Any, rows: Any) -> tuple[Any, Any]:
        with torch.no_grad():
            found = function(*(torch.from_numpy(x).to(device) for x in (image, rows)))
        return found[0].cpu().numpy(), found[1].cpu().numpy()

    return precision.measure(run)


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "CPU"


class _Recorder(TorchFunctionMode):
    """Sees every torch function that Python calls."""

    def __init__(self, trace: Trace, batch: int) -> None:
        super().__init__()
        self.trace = trace
        self.batch = batch

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, torch.Tensor):
                name = getattr(func, "__name__", "")
                self.trace.add(name, value.detach().cpu().numpy(), self.batch)
        return result


def load(source: str, weights: str, dtype: str) -> torch.nn.Module:
    """The source's model in eval mode, with its constants and attributes fit for the dtype."""
    torch.set_default_dtype(getattr(torch, dtype))
    model: torch.nn.Module = load_model(source, weights, dtype).eval()
    if dtype == "float64":
        round_attributes(model.modules())
        model.double()
    return model


def _reach(
    model: torch.nn.Module, values: Sequence[torch.Tensor], names: Sequence[str]
) -> tuple[int, int]:
    """How many weights lie on the way to the outputs, and how many have a gradient there.

    The gradient is of a random combination of a sample's output values, so that none cancels. A
    sample at a time, since all that it makes is kept until its gradient is known.
    """
    generator = torch.Generator().manual_seed(0)
    parameters = list(model.parameters())
    live: dict[int, torch.Tensor] = {}
    for sample in range(len(values[0])):
        outputs = by_name(model(*(x[sample : sample + 1] for x in values)), names).values()
        total = sum(
            (y * torch.randn(y.shape, generator=generator).to(y)).sum()
            for y in outputs
            if y.requires_grad
        )
        if not torch.is_tensor(total):
            return 0, 0
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                live[index] = live.get(index, False) | (gradient != 0)
    return sum(x.numel() for x in live.values()), sum(int(x.sum()) for x in live.values())


def convert_state(path: str, result: str) -> dict[str, Any]:
    """Write a state dict (`.pt`, `.pth`) as safetensors, without running code from the file.

    Raises:
        ValueError: the file holds something other than a mapping of names to tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's advice to load without `weights_only` is not ours
        kind = type(error).__name__
        raise ValueError(f"{Path(path).name} is no state dict of tensors ({kind})") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise ValueError(f"{Path(path).name} does not hold a state dict of tensors")
    save_file({key: _array(tensor) for key, tensor in state.items()}, result)
    return {"version": torch.__version__}


def _array(tensor: torch.Tensor) -> Any:
    tensor = tensor.detach().contiguous()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
