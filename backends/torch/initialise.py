"""Initialisers as torch statements."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

TRUNCATION = 0.87962566103423978
"""Deviation of the unit normal cut at -2 and 2, by which variance_scaling is corrected."""

_LOCAL = re.compile("\0(\\w+)\0")  # a variable of the statements themselves
_LINEAR_FAN = re.compile(r"([\w.]+)\.weight\[(:, )?0\]\.numel\(\)")

TORCH_DEFAULTS = {
    ("conv", "weight"): ("fan_in_uniform", {}),
    ("conv", "bias"): ("fan_in_uniform", {}),
    ("conv_transpose", "weight"): ("fan_in_uniform", {}),
    ("conv_transpose", "bias"): ("fan_in_uniform", {}),
    ("linear", "weight"): ("fan_in_uniform", {}),
    ("linear", "bias"): ("fan_in_uniform", {}),
    ("batch_norm", "weight"): ("ones", {}),
    ("batch_norm", "bias"): ("zeros", {}),
    ("layer_norm", "weight"): ("ones", {}),
    ("layer_norm", "bias"): ("zeros", {}),
    ("prelu", "weight"): ("constant", {"value": 0.25}),
}
"""What torch's constructors do by themselves, by op kind and parameter."""


def is_torch_default(kind: str, parameter: str, name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a parameter's initialiser is what torch's constructor does without being told."""
    return TORCH_DEFAULTS.get((kind, parameter)) == (name, dict(arguments))


def simplest(name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """An initialiser, by the name of its constant if that has one."""
    simpler = {0: "zeros", 1: "ones"}.get(arguments["value"]) if name == "constant" else None
    return (simpler, {}) if simpler else (name, arguments)


def init_code(
    name: str,
    arguments: Mapping[str, Any],
    tensor: str,
    weight: str | None = None,
    local: Callable[[str], str] = str,
    *,
    linear: bool = False,
) -> str:
    """Statements, one a line, that fill `tensor` by an initialiser.

    `tensor` and `weight` are expressions; `weight` is given for a bias, and is the tensor of its op
    whose fans count; `linear` says that this is the `weight` of an `nn.Linear`. An argument is a
    number, or the text of an expression. Statements may use `math` and `nn`, and bind what `local`
    calls `std` or `bound`.

    Raises:
        KeyError: there is no such initialiser.
    """
    text = _CODE[name](tensor, weight or tensor, **arguments)
    if linear:
        text = _LINEAR_FAN.sub(lambda fan: f"{fan[1]}.{'out' if fan[2] else 'in'}_features", text)
    return _LOCAL.sub(lambda found: local(found[1]), text)


def _fan(weight: str, mode: str) -> str:
    """The fan's text: fan_in is weight.shape[1] * kernel, fan_out is weight.shape[0] * kernel."""
    fan_in, fan_out = f"{weight}[0].numel()", f"{weight}[:, 0].numel()"
    return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": f"(({fan_in} + {fan_out}) / 2)"}[mode]


def _by_bound(tensor: str, bound: str) -> str:
    return f"\0bound\0 = {bound}\nnn.init.uniform_({tensor}, -\0bound\0, \0bound\0)"


def _by_std(tensor: str, std: str) -> str:
    return f"\0std\0 = {std}\nnn.init.normal_({tensor}, std=\0std\0)"


def _times(factor: int, value: Any) -> str:
    return f"{factor} * {value}" if isinstance(value, str) else str(factor * value)


def _truncated_normal(tensor: str, weight: str, std: Any, low: Any, high: Any) -> str:
    if std == 0:  # by which torch would divide
        return f"nn.init.zeros_({tensor})"
    return f"nn.init.trunc_normal_({tensor}, std={std}, a={low}, b={high})"


def _kaiming_normal(tensor: str, weight: str, mode: str = "fan_in") -> str:
    if tensor != weight:
        return _by_std(tensor, f"math.sqrt(2 / {_fan(weight, mode)})")
    return f'nn.init.kaiming_normal_({tensor}, mode="{mode}", nonlinearity="relu")'


def _kaiming_uniform(tensor: str, weight: str, mode: str = "fan_in") -> str:
    if tensor != weight:
        return _by_bound(tensor, f"math.sqrt(6 / {_fan(weight, mode)})")
    return f'nn.init.kaiming_uniform_({tensor}, mode="{mode}", nonlinearity="relu")'


def _xavier_normal(tensor: str, weight: str) -> str:
    if tensor != weight:
        return _by_std(tensor, f"math.sqrt(1 / {_fan(weight, 'fan_avg')})")
    return f"nn.init.xavier_normal_({tensor})"


def _xavier_uniform(tensor: str, weight: str) -> str:
    if tensor != weight:
        return _by_bound(tensor, f"math.sqrt(3 / {_fan(weight, 'fan_avg')})")
    return f"nn.init.xavier_uniform_({tensor})"


def _fan_in_uniform(tensor: str, weight: str) -> str:
    if tensor != weight:
        return _by_bound(tensor, f"1 / math.sqrt({_fan(weight, 'fan_in')})")
    return f"nn.init.kaiming_uniform_({tensor}, a=math.sqrt(5))"


def _variance_scaling(
    tensor: str,
    weight: str,
    scale: Any = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
) -> str:
    """Keras's VarianceScaling; its truncated normal is cut at two deviations and corrected."""
    if scale == 0:
        return f"nn.init.zeros_({tensor})"
    fan = _fan(weight, mode)
    if distribution == "uniform":
        return _by_bound(tensor, f"math.sqrt({_times(3, scale)} / {fan})")
    std = f"math.sqrt({scale} / {fan})"
    if distribution == "normal":
        return _by_std(tensor, std)
    return (
        f"\0std\0 = {std} / {TRUNCATION}\n"
        f"nn.init.trunc_normal_({tensor}, std=\0std\0, a=-2 * \0std\0, b=2 * \0std\0)"
    )


_CODE: dict[str, Callable[..., str]] = {
    "zeros": lambda t, _: f"nn.init.zeros_({t})",
    "ones": lambda t, _: f"nn.init.ones_({t})",
    "constant": lambda t, _, value: f"nn.init.constant_({t}, {value})",
    "normal": lambda t, _, std: f"nn.init.normal_({t}, std={std})",
    "uniform": lambda t, _, low, high: f"nn.init.uniform_({t}, {low}, {high})",
    "truncated_normal": _truncated_normal,
    "kaiming_normal": _kaiming_normal,
    "kaiming_uniform": _kaiming_uniform,
    "xavier_normal": _xavier_normal,
    "xavier_uniform": _xavier_uniform,
    "variance_scaling": _variance_scaling,
    "fan_in_uniform": _fan_in_uniform,
}
