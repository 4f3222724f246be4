"""The float64 reference held against torch: `python zoo_reference.py NAME,BATCH,SIZES ...`.

A program of its own: a test process may hold TensorFlow. Both compute in float64 on the same
weights. Prints as JSON, by job, how far the outputs are apart, and how far those of two inputs are,
in units of the largest output.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import torch
import torchvision
from torch import nn

import netspec
from netspec.reference import run

ORACLES = runpy.run_path(str(Path(__file__).with_name("zoo_oracles.py")))


def main(jobs: list[str]) -> None:
    torch.set_num_threads(1)
    print(json.dumps({job: compare(job) for job in jobs}))


def constructed(name: str) -> nn.Module:
    if name in ORACLES:
        model: nn.Module = ORACLES[name]()
        return model
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    made: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return made


def randomise(model: nn.Module) -> None:
    for key, tensor in model.state_dict().items():
        if "running_mean" in key or key.endswith("bias"):
            tensor.normal_(0, 0.1)
        elif "running_var" in key or (key.endswith("weight") and tensor.ndim == 1):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim > 1:
            nn.init.kaiming_normal_(tensor)


def compare(job: str) -> tuple[float, float]:
    name, batch, *sizes = job.split(",")
    shape = [int(n) for n in sizes]
    torch.manual_seed(0)
    model = constructed(name).double().eval()
    randomise(model)
    x = torch.randn(int(batch), *shape, dtype=torch.float64)
    with torch.no_grad():
        theirs = model(x).numpy()
        # Of another contrast and level: the means of large noise images are nearly the same.
        other = model(0.5 + 2 * torch.randn(1, *shape, dtype=torch.float64)).numpy()
    kind = {4: "video", 3: "image"}[len(shape)]
    heads = {"aux_logits": False} if name == "inception_v3" else {}  # its head needs 299 pixels
    graph = netspec.load(name, inputs={kind: shape}, params=heads)
    state = model.state_dict()
    if name in ORACLES:  # same order, other names
        state = dict(zip((w.key for w in graph.weights), state.values(), strict=True))
    weights = {w.key: state[w.key].numpy() for w in graph.weights}
    assert all(weights[w.key].shape == w.shape for w in graph.weights)
    (ours,) = run(graph, weights, {kind: x.numpy()}).values()
    scale = abs(theirs).max()
    return float(abs(ours - theirs).max() / scale), float(abs(theirs[:1] - other).max() / scale)


if __name__ == "__main__":
    main(sys.argv[1:])
