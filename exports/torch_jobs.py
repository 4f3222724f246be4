"""What a worker does with PyTorch: run generated source, read checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import save_file

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.model_source import by_name, load_model


def run(
    source: str, weights: str, inputs: str, result: str, names: list[str], device: str = "cpu"
) -> dict[str, Any]:
    """Run the source's model in eval mode on an .npz of inputs; outputs go to an .npz."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    model = load_model(source, weights).eval().to(device)
    with torch.inference_mode():
        values = [torch.from_numpy(x).to(device) for x in load_arrays(inputs).values()]
        outputs = by_name(model(*values), names)
    save_arrays(result, {name: y.cpu().numpy() for name, y in outputs.items()})
    return {"version": torch.__version__, "device": device}


def convert_state(path: str, result: str) -> dict[str, Any]:
    """Write a state dict (`.pt`, `.pth`) as safetensors, without running code from the file.

    Raises:
        ValueError: the file holds something other than a mapping of names to tensors.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise ValueError(f"{Path(path).name} does not hold a state dict of tensors")
    save_file({key: _array(tensor) for key, tensor in state.items()}, result)
    return {"version": torch.__version__}


def _array(tensor: torch.Tensor) -> Any:
    tensor = tensor.detach().contiguous()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
