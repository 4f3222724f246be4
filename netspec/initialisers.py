"""The initialisers that a spec can name: their arguments, defaults and bounds."""

from __future__ import annotations

import math
from typing import Any

from netspec.lazy import hints
from netspec.ops.base import FLOAT32_MAX, REQUIRED, Shape
from netspec.record import value_record

LEAST_KEPT = 0.01  # of a normal distribution between the bounds of a truncated one


class InitialiserError(ValueError):
    """An initialiser is malformed, or cannot fill its tensor; `hint` says what to write."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@value_record
class Argument:
    """An argument of an initialiser; `min` is inclusive. The type is `float` or `str`."""

    name: str
    type: str
    doc: str
    default: Any = REQUIRED
    min: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@value_record
class Initialiser:
    """An initialiser; `fans` says whether its values depend on the tensor's fans."""

    name: str
    doc: str
    arguments: tuple[Argument, ...] = ()
    fans: bool = False


_STD = Argument("std", "float", "standard deviation", min=0)
_LOW = Argument("low", "float", "lower bound")
_HIGH = Argument("high", "float", "upper bound")
_MODE = Argument("mode", "str", "the fan to scale by", "fan_in", choices=("fan_in", "fan_out"))

INITIALISERS: dict[str, Initialiser] = {
    initialiser.name: initialiser
    for initialiser in (
        Initialiser("zeros", "All zero."),
        Initialiser("ones", "All one."),
        Initialiser("constant", "All equal.", (Argument("value", "float", "the value"),)),
        Initialiser("normal", "Normal around 0.", (_STD,)),
        Initialiser("uniform", "Uniform between two bounds.", (_LOW, _HIGH)),
        Initialiser(
            "truncated_normal",
            "Normal around 0, drawn again beyond the (absolute) bounds.",
            (_STD, _LOW, _HIGH),
        ),
        Initialiser("kaiming_normal", "Normal, std sqrt(2 / fan).", (_MODE,), fans=True),
        Initialiser("kaiming_uniform", "Uniform, std sqrt(2 / fan).", (_MODE,), fans=True),
        Initialiser("xavier_normal", "Normal, std sqrt(2 / (fan_in + fan_out)).", fans=True),
        Initialiser("xavier_uniform", "Uniform, std sqrt(2 / (fan_in + fan_out)).", fans=True),
        Initialiser(
            "variance_scaling",
            "Variance scale / fan; Keras's, of which the other scaled ones are cases.",
            (
                Argument("scale", "float", "factor of the variance", 1.0, min=0),
                Argument(
                    "mode",
                    "str",
                    "the fan to scale by",
                    "fan_in",
                    choices=("fan_in", "fan_out", "fan_avg"),
                ),
                Argument(
                    "distribution",
                    "str",
                    "truncated_normal: at two standard deviations",
                    "truncated_normal",
                    choices=("normal", "truncated_normal", "uniform"),
                ),
            ),
            fans=True,
        ),
        Initialiser(
            "fan_in_uniform", "Uniform in +-1 / sqrt(fan_in); a bias has its weight's.", fans=True
        ),
    )
}


def canonical(value: Any) -> tuple[str, dict[str, Any]]:
    """An initialiser's name and its arguments, defaults filled in and numbers made floats.

    The spec writes a name (`zeros`), `{name: {argument: value}}`, or `{name: value}` where exactly
    one argument is required (`{constant: 0.25}`).

    Raises:
        InitialiserError: there is no such initialiser, or its arguments are wrong.
    """
    if isinstance(value, str):
        name, given = value, None
    elif isinstance(value, dict) and len(value) == 1:
        ((name, given),) = value.items()
    else:
        raise InitialiserError(
            "an initialiser is one name, with its arguments if it has any",
            hint="for example `zeros` or `{normal: {std: 0.01}}`",
        )
    if name not in INITIALISERS:
        hint = _suggestion(str(name), INITIALISERS, "INITIALISERS")
        raise InitialiserError(f"there is no initialiser `{name}`", hint=hint)
    initialiser = INITIALISERS[name]
    arguments = _arguments(initialiser, given)
    _require_sense(name, arguments)
    return name, arguments


def fans(shape: Shape, weight: Shape | None = None) -> tuple[int, int]:
    """`(fan_in, fan_out)`: the second and first axis, each times the product of the others.

    torch's `_calculate_fan_in_and_fan_out`. A tensor with fewer than two axes, a bias, has the
    fans of its op's `weight`.

    Raises:
        InitialiserError: neither has two axes.
    """
    if len(shape) < 2:
        if weight is None or len(weight) < 2:
            raise InitialiserError(
                "a tensor of one axis has no fans to scale by",
                hint="use `normal`, `uniform` or `constant`",
            )
        shape = weight
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _arguments(initialiser: Initialiser, given: Any) -> dict[str, Any]:
    known = {argument.name: argument for argument in initialiser.arguments}
    required = [argument.name for argument in initialiser.arguments if argument.required]
    if given is None:
        given = {}
    elif not isinstance(given, dict):
        if len(required) != 1:
            raise InitialiserError(
                f"`{initialiser.name}` takes its arguments by name",
                hint=f"write `{{{initialiser.name}: {{{', '.join(f'{n}: ...' for n in known)}}}}}`"
                if known
                else f"write `{initialiser.name}` alone",
            )
        given = {required[0]: given}
    for name in given:
        if name not in known:
            hint = _suggestion(str(name), known, "INITIALISER_ARGUMENTS")
            raise InitialiserError(f"`{initialiser.name}` has no argument `{name}`", hint=hint)
    for name in required:
        if name not in given:
            raise InitialiserError(
                f"`{initialiser.name}` needs `{name}`", hint=f"add `{name}: ...`"
            )
    return {
        name: _checked(argument, given[name]) if name in given else argument.default
        for name, argument in known.items()
    }


def _checked(argument: Argument, value: Any) -> Any:
    if argument.type == "str":
        if value not in argument.choices:
            raise InitialiserError(
                f"`{argument.name}` is {value!r}", hint=f"one of {', '.join(argument.choices)}"
            )
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InitialiserError(f"`{argument.name}` needs a number, not {value!r}")
    if not abs(value) <= FLOAT32_MAX:
        raise InitialiserError(f"`{argument.name}` is {value}, which is not a finite float32")
    if argument.min is not None and value < argument.min:
        raise InitialiserError(
            f"`{argument.name}` is {value} but must be at least {argument.min:g}"
        )
    return float(value)


def _require_sense(name: str, arguments: dict[str, Any]) -> None:
    low, high = arguments.get("low"), arguments.get("high")
    if low is None or high is None:
        return
    if low > high:
        raise InitialiserError(f"`low` ({low:g}) is above `high` ({high:g})")
    if name == "truncated_normal":
        std = arguments["std"] * math.sqrt(2.0)
        kept = (math.erf(high / std) - math.erf(low / std)) / 2 if std else float(low <= 0 <= high)
        if kept < LEAST_KEPT:
            raise InitialiserError(
                f"less than {LEAST_KEPT:.0%} of the distribution lies between the bounds",
                hint="the bounds are absolute, not multiples of `std`",
            )


def _suggestion(name: str, known: dict[str, Any], dialect: str) -> str:

    return hints.suggestion(name, known, "known are", dialect) or "it takes no arguments"
