"""Initial weights of generated torch source have the deviations that they should."""

from __future__ import annotations

import math
from typing import Any

import pytest

from netspec.backends.torch.initialise import init_code, is_torch_default

torch = pytest.importorskip("torch")
nn = torch.nn


def fill(name: str, tensor: str = "w", **arguments: Any) -> tuple[Any, Any]:
    """A weight (out 40, in 30, 3 by 3) and its bias after the statements ran."""
    torch.manual_seed(0)
    scope = {"nn": nn, "math": math, "w": torch.empty(40, 30, 3, 3), "b": torch.empty(100_000)}
    exec(init_code(name, arguments, tensor, "w"), scope)
    return scope["w"], scope["b"]


# fan_in is 270, fan_out 360: torch's _calculate_fan_in_and_fan_out.
DEVIATIONS = [
    ("normal", {"std": 0.3}, 0.3),
    ("uniform", {"low": -1.0, "high": 2.0}, 3 / math.sqrt(12)),
    ("kaiming_normal", {"mode": "fan_out"}, math.sqrt(2 / 360)),
    ("kaiming_uniform", {"mode": "fan_in"}, math.sqrt(2 / 270)),
    ("xavier_normal", {}, math.sqrt(2 / 630)),
    ("xavier_uniform", {}, math.sqrt(2 / 630)),
    ("fan_in_uniform", {}, math.sqrt(1 / (3 * 270))),
    *[
        ("variance_scaling", {"scale": s, "mode": m, "distribution": d}, math.sqrt(s / fan))
        for s in (1 / 3, 2.0)
        for m, fan in (("fan_in", 270), ("fan_out", 360), ("fan_avg", 315))
        for d in ("normal", "uniform", "truncated_normal")
    ],
]


@pytest.mark.parametrize("tensor", ["w", "b"])
@pytest.mark.parametrize(("name", "arguments", "deviation"), DEVIATIONS)
def test_initialisers_deviate_as_they_should(
    name: str, arguments: dict[str, Any], deviation: float, tensor: str
) -> None:
    weight, bias = fill(name, tensor, **arguments)
    sample = weight if tensor == "w" else bias
    assert sample.std().item() == pytest.approx(deviation, rel=0.03)


def test_constant_initialisers_and_absolute_bounds() -> None:
    assert fill("zeros")[0].unique().tolist() == [0.0]
    assert fill("ones")[0].unique().tolist() == [1.0]
    assert fill("constant", value=0.5)[0].unique().tolist() == [0.5]
    assert fill("truncated_normal", std=0.0, low=-1.0, high=1.0)[0].unique().tolist() == [0.0]
    assert fill("variance_scaling", scale=0.0)[0].unique().tolist() == [0.0]
    cut = fill("truncated_normal", std=1.0, low=-0.5, high=0.25)[0]
    assert -0.5 <= cut.min() < -0.49
    assert 0.24 < cut.max() <= 0.25


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(30, 40, 3), lambda: nn.Linear(30, 40)])
def test_torchs_default_is_fan_in_uniform(make: Any) -> None:
    torch.manual_seed(1)
    module = make()
    torch.manual_seed(1)
    other = make()
    with torch.no_grad():
        torch.manual_seed(1)
        for tensor in ("weight", "bias"):
            code = init_code("fan_in_uniform", {}, f"m.{tensor}", "m.weight")
            exec(code, {"nn": nn, "math": math, "m": other})
    assert torch.equal(module.weight, other.weight)
    assert torch.equal(module.bias, other.bias)
    assert is_torch_default("conv", "bias", "fan_in_uniform", {})
    assert not is_torch_default("conv", "bias", "zeros", {})
