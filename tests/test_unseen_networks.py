"""Networks that the zoo has not, written by people who had not seen the compiler's insides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import netspec
from netspec.compiler import execute

UNSEEN = Path(__file__).parent / "unseen"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # torch's sums depend on how many threads share them
    yield
    torch.set_num_threads(threads)


def module_of(spec: str, **options: Any) -> ModuleType:
    return execute(netspec.source(spec, backend="torch", **options), "unseen")


def randomise(model: nn.Module) -> None:
    """Random weights under which values neither vanish nor grow."""
    generator = torch.Generator().manual_seed(0)
    for key, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.rand(tensor.shape, generator=generator)
        if tensor.ndim > 1:
            tensor.copy_((noise - 0.5) * (24 / tensor[0].numel()) ** 0.5)
        else:
            tensor.copy_(noise + 0.5 if key.endswith(("running_var", "weight")) else noise - 0.5)


def assert_equal(ours: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    """The same keys in the same order, and the same bits."""
    randomise(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        expected = theirs.eval()(x)
        assert expected.std() > 0.01
        assert torch.equal(ours.eval()(x), expected)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_mobilenet_v3_is_torchvisions(name: str) -> None:
    text = netspec.source(f"{UNSEEN}/mobilenet_v3.yaml::{name}", backend="torch")
    theirs = getattr(torchvision.models, name)()
    assert_equal(execute(text, name).build_model(), theirs, torch.randn(2, 3, 64, 64))
    # The rows are a table that a loop goes over, with what makes their activations.
    assert "for kernel, hidden, out, squeeze, act, stride in (" in text
    assert "            (3, 16, 16, " in text and ", nn.Hardswish, 1),\n" in text


def test_a_table_names_the_ops_of_a_keras_loop() -> None:
    text = netspec.source(f"{UNSEEN}/mobilenet_v3.yaml::mobilenet_v3_small", backend="keras")
    assert '(3, 88, 24, False, "relu", 1),\n' in text
    assert '(5, 96, 40, True, "hard_silu", 2),\n' in text
