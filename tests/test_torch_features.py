"""What people do with a module of torch's, done with the generated one, a variant of each family.

What runs the same kernels in the same order gives the same bits; the rest has a tolerance.
"""

from __future__ import annotations

import copy
import runpy
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import netspec
from netspec.compiler import execute

FAMILIES = runpy.run_path(str(Path(__file__).with_name("families.py")))
BATCHES = (2, 3)
NODES = 160  # of networks that are quick to compile and export
ROUNDED = 1e-4  # of the outputs, root mean square, in float32 by other kernels
COARSE = 0.1  # in bfloat16 and float16


@dataclass
class Network:
    """A module with weights that matter, two batches, and what it makes of them."""

    module: Any
    model: nn.Module
    inputs: list[torch.Tensor]
    outputs: list[torch.Tensor]

    def again(self) -> nn.Module:
        """Another module of the same weights."""
        other: nn.Module = self.module.build_model().eval()
        other.load_state_dict(self.model.state_dict())
        return other

    def equals(self, compute: Any) -> None:
        """For both batches: what is baked in of the first is wrong for the second."""
        for x, expected in zip(self.inputs, self.outputs, strict=True):
            assert torch.equal(compute(x), expected)


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).norm()) <= tolerance * float(expected.norm())


def filled(model: nn.Module) -> nn.Module:
    """Random weights, and the statistics of a first batch: a fresh network hides mistakes."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the running statistics become those of the batch
    for tensor in model.parameters():
        if tensor.ndim > 1:
            fan_in = tensor[0].numel()
            tensor.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        else:
            tensor.data.uniform_(0.1, 1.0, generator=generator)
    return model


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a sum depends on how many threads share it
    yield
    torch.set_num_threads(threads)


@pytest.fixture(
    scope="module",
    params=[pytest.param(file, id=Path(file).stem) for file in FAMILIES["files"]()],
)
def network(request: pytest.FixtureRequest) -> Network:
    if FAMILIES["large"](request.param, NODES):
        pytest.skip(FAMILIES["WHY_NOT"])
    family = FAMILIES["family"](request.param)
    text = netspec.source(family.name, backend="torch", inputs=family.inputs)
    module = execute(text, family.name)
    model = filled(module.build_model())
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(n, *family.shape, generator=generator) for n in BATCHES]
    with torch.no_grad():
        model.train()(torch.cat(inputs))
        for key, tensor in model.state_dict().items():
            if key.endswith("running_var"):  # a channel that hardly varies would magnify rounding
                tensor.clamp_(min=tensor.mean())
        outputs = [model.eval()(x) for x in inputs]
    first, second = outputs[0][:2]
    assert (first - second).abs().max() > 1e-3 * first.abs().max(), "compares nothing"
    return Network(module, model, inputs, outputs)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def test_compile_makes_one_graph(network: Network) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(network.model, fullgraph=True, backend="eager")
    assert torch.equal(compiled(network.inputs[0]), network.outputs[0])


def test_export_takes_any_batch(network: Network) -> None:
    batch = torch.export.Dim("batch", max=64)
    program = torch.export.export(
        network.model, (network.inputs[0],), dynamic_shapes=({0: batch},), strict=False
    )
    network.equals(program.module())


def test_trace_takes_any_batch(network: Network) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it is still what many deploy
        trace: Any = torch.jit.trace
        traced = trace(network.model, network.inputs[0], check_trace=False)
    network.equals(traced)


def test_a_deep_copy_is_a_network_of_its_own(network: Network) -> None:
    twin = copy.deepcopy(network.model)
    network.equals(twin)
    for tensor in twin.parameters():
        tensor.zero_()
    assert twin(network.inputs[0]).abs().max() == 0
    network.equals(network.model)


def test_a_state_dict_is_pickled_as_plain_tensors(network: Network) -> None:
    state = network.model.state_dict()
    file = BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert list(loaded) == list(state)
    fresh = network.module.build_model().eval()
    fresh.load_state_dict(loaded, strict=True)
    network.equals(fresh)


def test_channels_last(network: Network) -> None:
    layout = torch.channels_last if network.inputs[0].ndim == 4 else torch.channels_last_3d
    model = network.again().to(memory_format=layout)
    found = model(network.inputs[0].contiguous(memory_format=layout))
    close(found, network.outputs[0], ROUNDED)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(dtype: torch.dtype, network: Network) -> None:
    half = network.again().to(dtype)
    found = half(network.inputs[0].to(dtype))
    assert found.dtype == dtype
    close(found.float(), network.outputs[0], COARSE)


def test_autocast(network: Network) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network.model(network.inputs[0])
    assert found.dtype == torch.bfloat16
    close(found.float(), network.outputs[0], COARSE)
    assert {p.dtype for p in network.model.parameters()} == {torch.float32}


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    """A group of one for data-parallel training, without a network."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_gloo_available()):
        pytest.skip("torch was built without gloo")
    dist.init_process_group(
        "gloo",
        store=dist.HashStore(),  # type: ignore[attr-defined] # torch's stubs leave it out
        rank=0,
        world_size=1,
    )
    yield
    dist.destroy_process_group()


def quiet(model: nn.Module) -> nn.Module:
    """In training, but with nothing left to chance."""
    for module in model.train().modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth"):
            module.p = 0.0  # type: ignore[assignment] # both keep their rate so
    return model


def backward(model: nn.Module, x: torch.Tensor) -> None:
    with torch.enable_grad():
        results = model(x)
        results = results if isinstance(results, tuple) else (results,)
        loss: Any = torch.stack([result.square().mean() for result in results]).sum()
        loss.backward()


def test_data_parallel_training_and_parameter_groups(network: Network, one_process: None) -> None:
    """The plain module's gradients; then a head learns while its backbone stands still."""
    plain, wrapped = quiet(network.again()), quiet(network.again())
    backward(plain, network.inputs[1])
    backward(DistributedDataParallel(wrapped), network.inputs[1])
    parameters = dict(plain.named_parameters())
    for key, found in wrapped.named_parameters():
        expected = parameters[key].grad
        assert expected is not None, f"{key} learns nothing"
        assert found.grad is not None
        assert torch.equal(found.grad, expected), key
    for key, value in plain.state_dict().items():
        assert torch.equal(wrapped.state_dict()[key], value), key

    (head,) = {key.rpartition(".")[0] for key in list(parameters)[-1:]}
    learning = {key for key in parameters if key.rpartition(".")[0] == head}
    groups = [
        {"params": [p for key, p in parameters.items() if key not in learning], "lr": 0.0},
        {"params": [parameters[key] for key in learning], "lr": 0.1},
    ]
    torch.optim.SGD(groups, momentum=0.9).step()
    before = dict(wrapped.named_parameters())
    assert {key for key, p in parameters.items() if not torch.equal(p, before[key])} == learning


def test_compiled_to_machine_code() -> None:
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("torch.compile needs a C++ compiler, g++ or clang++")
    model = filled(execute(netspec.source("lenet5", backend="torch"), "lenet5").build_model())
    x = torch.randn(3, 1, 32, 32)
    torch._dynamo.reset()
    close(torch.compile(model, fullgraph=True)(x), model(x), 1e-5)


def test_auxiliary_outputs_survive() -> None:
    """In training GoogLeNet gives a named tuple, compiled and exported too."""
    source = netspec.source("googlenet", backend="torch", inputs={"image": (3, 64, 64)})
    model = quiet(execute(source, "googlenet").build_model())
    x = torch.randn(2, 3, 64, 64)
    before = copy.deepcopy(model.state_dict())
    expected = model(x)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    exported = torch.export.export(model, (x,), strict=False).module()
    for compute in (compiled, exported):
        model.load_state_dict(before)
        found = compute(x)
        assert len(found) == 3
        assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(found, expected, strict=True))
        if compute is compiled:
            assert found._fields == expected._fields
