"""Initialisers as Keras expressions.

Keras's own `he_normal` and `glorot_normal` are truncated and its `TruncatedNormal` always cuts at
two deviations, unlike torch's, so names that sound alike are not taken to mean the same.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from netspec.backends.keras.layer import call
from netspec.backends.lowering import NotLowered, Site
from netspec.backends.source.python import literal
from netspec.initialisers import INITIALISERS, canonical

DISTRIBUTIONS = {
    "normal": "untruncated_normal",
    "truncated_normal": "truncated_normal",
    "uniform": "uniform",
}
NEVER_REACHED = 6.0  # deviations beyond which a normal distribution has less than 2e-9


@dataclass(frozen=True, slots=True)
class Initializer:
    """An argument's code, and what it makes if that depends on fans.

    `code` is None for `fan_in_uniform`, which is the default of the general snippets. `scaling` is
    the code of a scale, a mode and a distribution: a variance of scale / fan, where fans are those
    that Keras derives from the shape, which only suits the kernels of plain layers.
    """

    code: str | None
    helpers: tuple[str, ...] = ()
    scaling: tuple[str, str, str] | None = None

    def of_kernel(self) -> str:
        """The code for a tensor whose shape has the right fans."""
        return self.code or call("initializers.VarianceScaling", "1 / 3", '"fan_in"', '"uniform"')

    def with_fans(self, fan_in: str, fan_out: str) -> Initializer:
        """The initialiser of a tensor whose fans, given as code, Keras would not find."""
        if self.scaling is None:
            return self
        scale, mode, distribution = self.scaling
        fan = {"fan_in": fan_in, "fan_out": fan_out}.get(mode, f"({fan_in} + {fan_out})")
        if mode == "fan_avg":
            scale = f"2 * {scale}"
        if self.code is None:
            return Initializer(f"uniform_within(1 / math.sqrt({fan}))", ("uniform_within",))
        if not re.fullmatch(r"[\w.]+|\{x\}\.shape\[-1\]|\([^()]*\)", fan):
            fan = f"({fan})"
        if distribution == "uniform":
            bound = f"math.sqrt(3 * {scale} / {fan})"
            return Initializer(call("uniform_within", bound), ("uniform_within",))
        deviation = f"math.sqrt({scale} / {fan})"
        if distribution == "untruncated_normal":
            return Initializer(call("initializers.RandomNormal", stddev=deviation))
        # A normal distribution cut at two deviations has .8796 of its deviation left.
        deviation = f"{deviation} / 0.87962566103423978"
        return Initializer(call("initializers.TruncatedNormal", stddev=deviation))


def initializer(site: Site, attribute: str) -> Initializer:
    """The initialiser that an attribute asks for.

    Raises:
        NotLowered: the attribute is a bare name.
    """
    kind, arguments = _parsed(site, attribute)
    match kind:
        case "fan_in_uniform":
            return Initializer(None, scaling=("1 / 3", "fan_in", "uniform"))
        case "zeros" | "ones":
            return Initializer(f'"{kind}"')
        case "constant":
            return Initializer(_constant(arguments["value"]))
        case "normal":
            return Initializer(call("initializers.RandomNormal", stddev=arguments["std"]))
        case "uniform":
            bounds = (arguments["low"], arguments["high"])
            return Initializer(call("initializers.RandomUniform", *bounds))
        case "truncated_normal":
            return _truncated(arguments)
        case "xavier_uniform":
            return Initializer('"glorot_uniform"', scaling=("1", "fan_avg", "uniform"))
        case "xavier_normal":
            scaling = ("1", "fan_avg", "untruncated_normal")
            return Initializer(call(kind), helpers=(kind,), scaling=scaling)
        case "kaiming_uniform" | "kaiming_normal" | "variance_scaling":
            return _scaled(kind, arguments)
    raise NotLowered(f"{site.kind} with {attribute} {kind}", "keras")


def _scaled(kind: str, arguments: dict[str, str]) -> Initializer:
    """A variance of scale / fan."""
    mode = ast.literal_eval(arguments["mode"])
    if kind == "variance_scaling":
        scale = arguments["scale"]
        distribution = DISTRIBUTIONS[ast.literal_eval(arguments["distribution"])]
    else:
        scale = "2"
        distribution = "uniform" if kind == "kaiming_uniform" else "untruncated_normal"
    if not re.fullmatch(r"[\w.]+", scale):
        scale = f"({scale})"
    scaling = (scale, mode, distribution)
    if kind == "kaiming_normal":
        mode_code = None if mode == "fan_in" else f'"{mode}"'
        return Initializer(call(kind, *filter(None, [mode_code])), (kind,), scaling)
    if kind == "kaiming_uniform" and mode == "fan_in":
        return Initializer('"he_uniform"', scaling=scaling)
    plain = arguments["scale"] if kind == "variance_scaling" else "2.0"
    code = call("initializers.VarianceScaling", plain, f'"{mode}"', f'"{distribution}"')
    return Initializer(code, scaling=scaling)


def _constant(value: str) -> str:
    """The initialiser of one number, which has a name for some, also where it is one or another."""
    match ast.parse(value, mode="eval").body:
        case ast.Constant(value=0 | 1 as number):
            return '"ones"' if number else '"zeros"'
        case ast.IfExp(test, ast.Constant(value=0 | 1 as yes), ast.Constant(value=0 | 1 as no)):
            words = ['"ones"' if number else '"zeros"' for number in (yes, no)]
            return f"{words[0]} if {ast.get_source_segment(value, test)} else {words[1]}"
    return call("initializers.Constant", value)


def _parsed(site: Site, attribute: str) -> tuple[str, dict[str, str]]:
    """An initialiser's kind and the code of its arguments by name, defaults filled in."""
    known = site.known(attribute)
    if known is not None:
        kind, values = canonical(known)
        return kind, {name: literal(value) for name, value in values.items()}
    text = site.code(attribute)

    def code(part: ast.expr) -> str:
        return ast.get_source_segment(text, part) or ""

    match ast.parse(text, mode="eval").body:
        case ast.Dict(keys=[ast.Constant(value=str(kind))], values=[given]):
            arguments = INITIALISERS[kind].arguments
            defaults = {a.name: literal(a.default) for a in arguments if not a.required}
            if not isinstance(given, ast.Dict):
                return kind, defaults | {a.name: code(given) for a in arguments if a.required}
            pairs = zip(given.keys, given.values, strict=True)
            return kind, defaults | {
                ast.literal_eval(name): code(value) for name, value in pairs if name
            }
    raise NotLowered(f"{site.kind} with a computed {attribute}", "keras")


def _truncated(arguments: dict[str, str]) -> Initializer:
    """A normal distribution cut at absolute bounds, by a stock initialiser where one draws it."""
    try:
        std, low, high = (float(ast.literal_eval(arguments[k])) for k in ("std", "low", "high"))
    except ValueError:  # code over names, which only runs later
        std = 0.0
    if std and min(-low, high) >= NEVER_REACHED * std:
        return Initializer(call("initializers.RandomNormal", stddev=arguments["std"]))
    if std and max(abs(-low - 2 * std), abs(high - 2 * std)) < 1e-6 * std:
        return Initializer(call("initializers.TruncatedNormal", stddev=arguments["std"]))
    code = call("CutNormal", *(arguments[name] for name in ("std", "low", "high")))
    return Initializer(code, helpers=("CutNormal",))
