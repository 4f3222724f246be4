"""Run written torch files where there is no netspec: `python standalone.py FOLDER`.

For every `NAME.py` of the folder, with the shape of its input in `shapes.json`, prints as JSON the
keys of its state dict and a digest of what it computes from weights that follow from the keys.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import torch


def main(folder: Path) -> None:
    sys.modules["netspec"] = None  # type: ignore[assignment] # an import of it fails
    shapes = json.loads((folder / "shapes.json").read_text("utf-8"))
    made = {name: runpy.run_path(str(folder / f"{name}.py")) for name in shapes}
    print(json.dumps({name: fingerprint(made[name], shapes[name]) for name in shapes}))


def fingerprint(module: dict[str, Any], shape: list[int]) -> list[Any]:
    """The keys, and a digest of the outputs' bits."""
    torch.set_num_threads(1)
    with torch.device("meta"):  # initialising would take minutes
        model = module["build_model"]()
    model.to_empty(device="cpu").eval()
    state = model.state_dict()
    for index, (key, tensor) in enumerate(state.items()):
        if key.endswith("num_batches_tracked"):
            continue
        size = tensor.numel()
        wave = torch.sin(torch.arange(size, dtype=torch.float32) * 1.7 + index).view_as(tensor)
        if tensor.ndim > 1:
            tensor.copy_(wave * (6 / tensor[0].numel()) ** 0.5)
        else:
            tensor.copy_(wave.abs() + 0.5 if key.endswith(("var", "weight")) else wave)
    x = torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float32) * 0.37)
    with torch.no_grad():
        y = model(torch.stack([x, x.flip(0)]).view(2, *shape))
    assert torch.isfinite(y).all()
    return [list(state), hashlib.sha256(y.numpy().tobytes()).hexdigest()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
