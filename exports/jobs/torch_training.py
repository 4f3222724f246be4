"""What a worker does with PyTorch: train generated source in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.jobs.torch_run import load
from netspec.exports.model_source import by_name

STATISTICS = ("running_mean", "running_var")


def train(
    source: str,
    weights: list[str],
    inputs: str,
    targets: str,
    results: list[str],
    keys: list[str],
    steps: int,
    rate: float,
    momentum: float,
) -> dict[str, Any]:
    """Train the source's model once from each file of weights; `stage:key` go to an .npz each.

    Returns the rates of its random layers, which are off in training.
    """
    samples = [torch.from_numpy(x).double() for x in load_arrays(inputs).values()]
    wanted = {name: torch.from_numpy(y).double() for name, y in load_arrays(targets).items()}
    rates: dict[str, float] = {}
    for file, result in zip(weights, results, strict=True):
        model = load(source, file, "float64").train()
        rates = _without_chance(model)
        with _Exact():
            found = _course(model, samples, wanted, keys, steps, rate, momentum)
        save_arrays(result, found)
    return {"version": torch.__version__, "rates": rates}


class _Exact(TorchFunctionMode):
    """Takes another form of hardsigmoid: in its gradient torch has 1/6 as a float32, always."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.hardsigmoid:
            return functional.relu6(args[0] + 3.0) / 6.0
        return func(*args, **(kwargs or {}))


def _without_chance(model: nn.Module) -> dict[str, float]:
    """Turn random layers off; their rates by path. Such a layer keeps its rate as `p`."""
    rates = {}
    for path, module in model.named_modules():
        if type(getattr(module, "p", None)) in (int, float):
            rates[path] = float(module.p)
            module.p = 0.0
    return rates


def _course(
    model: nn.Module,
    samples: list[torch.Tensor],
    wanted: dict[str, torch.Tensor],
    keys: list[str],
    steps: int,
    rate: float,
    momentum: float,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    for step in range(steps):
        optimizer.zero_grad()
        outputs = by_name(model(*samples), list(wanted))
        loss = sum(torch.mean((outputs[name] - y) ** 2) for name, y in wanted.items())
        loss.backward()  # type: ignore[union-attr] # a network has an output: no int 0 is left
        if step == 0:
            for name, parameter in model.named_parameters():
                if name in keys and parameter.grad is not None:
                    found[f"gradient:{name}"] = parameter.grad.numpy().copy()
        optimizer.step()
        state = {key: t.detach().numpy() for key, t in model.state_dict().items() if key in keys}
        if step == 0:
            statistics = (key for key in state if key.endswith(STATISTICS))
            found |= {f"first step:{key}": state[key].copy() for key in statistics}
        if step == steps - 1:
            found |= {f"last step:{key}": value.copy() for key, value in state.items()}
    return found
