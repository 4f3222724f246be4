"""Generated torch source: the zoo bit for bit against torchvision, hard specs against NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

import netspec
from netspec.backends.torch.children import MODULE_NAMES
from netspec.compiler import execute
from netspec.exports.model_source import by_name
from netspec.initial import initial_weights
from netspec.reference import run
from netspec.zoo import zoo_names

SPECS = sorted((Path(__file__).parent / "specs").glob("*.yaml"))


def constructor(name: str) -> Any:
    return getattr(torchvision.models, name, None) or getattr(torchvision.models.video, name, None)


pytestmark = pytest.mark.usefixtures("one_thread")


def module_of(name: str | Path, **options: Any) -> ModuleType:
    return execute(netspec.source(str(name), backend="torch", **options), Path(name).stem)


def no_randomness(model: nn.Module) -> None:
    for module in model.modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth"):
            module.p = 0.0  # type: ignore[assignment] # both keep their rate so


def meaningful(model: nn.Module, shape: Sequence[int]) -> nn.Module:
    """Random weights with batch statistics calibrated on data: fresh ones hide mistakes.

    A freshly initialised GoogLeNet gives the same logits for every input.
    """
    generator = torch.Generator().manual_seed(0)
    norms = []
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            norms.append((module, module.momentum))
            module.momentum = None  # running statistics become the data's own
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
        elif isinstance(module, (nn.Linear, nn.Conv2d, nn.Conv3d)):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0, 0.05, generator=generator)
    no_randomness(model)
    with torch.no_grad():
        model.train()(torch.randn(4, *shape, generator=generator))
    for norm, momentum in norms:
        norm.momentum = momentum
    return model


def tensors(result: Any) -> tuple[torch.Tensor, ...]:
    return tuple(result) if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", [n for n in zoo_names() if constructor(n)])
def test_zoo_equals_torchvision_bit_for_bit(name: str) -> None:
    shape = netspec.load(name).inputs[0].type.shape
    aux = {"aux_logits": True, "init_weights": False}
    theirs = meaningful(
        constructor(name)(**(aux if name in ("googlenet", "inception_v3") else {})), shape
    )
    ours = module_of(name).build_model()
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    assert [v.shape for v in ours.state_dict().values()] == [v.shape for v in expected.values()]
    ours.load_state_dict(expected, strict=True)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = theirs.eval()(x)
        assert (logits[0] - logits[1]).abs().max() > 0.01 * logits.abs().max()
        assert torch.equal(ours.eval()(x), logits)
        no_randomness(ours)
        trained, training = tensors(theirs.train()(x)), tensors(ours.train()(x))
    assert len(trained) == len(training)
    assert all(torch.equal(a, b) for a, b in zip(training, trained, strict=True))
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


def test_auxiliary_outputs_are_named_as_torchvisions() -> None:
    ours = module_of("googlenet").build_model().train()
    theirs = torchvision.models.googlenet(aux_logits=True, init_weights=False).train()
    x = torch.randn(2, 3, 224, 224)
    assert ours(x)._fields == theirs(x)._fields
    assert isinstance(ours.eval()(x), torch.Tensor)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_hard_specs_equal_the_reference(path: Path) -> None:
    graph = netspec.load(path)
    model = module_of(path).build_model().double().eval()
    weights = initial_weights(graph, 1)
    assert set(model.state_dict()) == set(weights)
    model.load_state_dict({key: torch.from_numpy(np.array(v)) for key, v in weights.items()})
    generator = np.random.default_rng(0)
    inputs = {v.name: generator.normal(size=(3, *v.type.shape)) for v in graph.inputs}
    expected = run(graph, weights, inputs)
    with torch.no_grad():
        results = model(*[torch.from_numpy(x) for x in inputs.values()])
    for name, result in by_name(results, list(expected)).items():
        largest = np.abs(expected[name]).max()
        # attributes are float32 in the reference: 1e-8 of a batch norm's epsilon
        np.testing.assert_allclose(result.numpy(), expected[name], rtol=0, atol=1e-7 * largest)


def test_a_written_file_runs_alone(tmp_path: Path) -> None:
    """The file needs torch and safetensors only, and gives what `netspec.build` gives."""
    model = netspec.build("squeezenet1_1", backend="torch", seed=3, inputs={"image": (3, 65, 63)})
    (tmp_path / "net.py").write_text(netspec.source("squeezenet1_1", backend="torch"))
    save_file(model.state_dict(), tmp_path / "net.safetensors")
    x = torch.randn(2, 3, 65, 63)
    torch.save(x, tmp_path / "x.pt")
    script = (
        "import sys, torch, net\n"
        "model = net.build_model().eval()\n"
        "net.load_weights(model, 'net.safetensors')\n"
        "torch.set_num_threads(1)\n"
        "with torch.no_grad(): torch.save(model(torch.load('x.pt')), 'y.pt')\n"
        "assert not any(name.split('.')[0] == 'netspec' for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        assert torch.equal(torch.load(tmp_path / "y.pt"), model.eval()(x))


def test_build_model_takes_the_specs_parameters() -> None:
    module = module_of("resnet18")
    theirs = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 2, 1, 1], 7)
    ours = module.build_model(layers=(1, 2, 1, 1), num_classes=7)
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == shapes


def test_names_taken_by_modules_are_known() -> None:
    found = set()
    for kind in (nn.Module(), nn.Sequential(), nn.ModuleDict()):
        found |= {name for name in dir(kind) if not name.startswith("_")}
    assert found <= MODULE_NAMES
