"""Initialisers as Keras expressions.

Keras's own `he_normal` and `glorot_normal` are truncated and its `TruncatedNormal` always cuts at
two deviations, unlike torch's, so names that sound alike are not taken to mean the same.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from netspec.backends.keras.layer import call
from netspec.backends.lowering import NotLowered, Site
from netspec.initialisers import INITIALISERS, canonical

DISTRIBUTIONS = {
    "'normal'": '"untruncated_normal"',
    "'truncated_normal'": '"truncated_normal"',
    "'uniform'": '"uniform"',
}
NEVER_REACHED = 6.0  # deviations beyond which a normal distribution has less than 2e-9


@dataclass(frozen=True, slots=True)
class Initializer:
    """An argument's code, and whether what it makes depends on fans.

    `code` is None for `fan_in_uniform`, which Keras has no expression for that suits a bias: it is
    the default of the snippets.
    """

    code: str | None
    by_fans: bool = False
    helpers: tuple[str, ...] = ()


def initializer(site: Site, attribute: str) -> Initializer:
    """The initialiser that an attribute asks for.

    Raises:
        NotLowered: the attribute is a bare name.
    """
    kind, arguments = _parsed(site, attribute)
    match kind:
        case "fan_in_uniform":
            return Initializer(None, by_fans=True)
        case "zeros" | "ones":
            return Initializer(f'"{kind}"')
        case "constant":
            return Initializer(call("initializers.Constant", arguments["value"]))
        case "normal":
            return Initializer(call("initializers.RandomNormal", stddev=arguments["std"]))
        case "uniform":
            bounds = (arguments["low"], arguments["high"])
            return Initializer(call("initializers.RandomUniform", *bounds))
        case "truncated_normal":
            return _truncated(arguments)
        case "xavier_uniform":
            return Initializer('"glorot_uniform"', by_fans=True)
        case "kaiming_uniform" if arguments["mode"] == "'fan_in'":
            return Initializer('"he_uniform"', by_fans=True)
        case "kaiming_uniform":
            code = call("initializers.VarianceScaling", "2.0", _quoted(arguments), '"uniform"')
            return Initializer(code, by_fans=True)
        case "kaiming_normal":
            return Initializer(call(kind, _quoted(arguments)), by_fans=True, helpers=(kind,))
        case "xavier_normal":
            return Initializer(call(kind), by_fans=True, helpers=(kind,))
        case "variance_scaling":
            distribution = DISTRIBUTIONS[arguments["distribution"]]
            scaling = (arguments["scale"], _quoted(arguments), distribution)
            return Initializer(call("initializers.VarianceScaling", *scaling), by_fans=True)
    raise NotLowered(f"{site.kind} with {attribute} {kind}", "keras")


def _parsed(site: Site, attribute: str) -> tuple[str, dict[str, str]]:
    """An initialiser's kind and the code of its arguments by name, defaults filled in."""
    known = site.known(attribute)
    if known is not None:
        kind, values = canonical(known)
        return kind, {name: repr(value) for name, value in values.items()}
    match ast.parse(site.code(attribute), mode="eval").body:
        case ast.Dict(keys=[ast.Constant(value=str(kind))], values=[given]):
            arguments = INITIALISERS[kind].arguments
            defaults = {a.name: repr(a.default) for a in arguments if not a.required}
            if not isinstance(given, ast.Dict):
                return kind, defaults | {
                    a.name: ast.unparse(given) for a in arguments if a.required
                }
            pairs = zip(given.keys, given.values, strict=True)
            return kind, defaults | {
                ast.literal_eval(name): ast.unparse(value) for name, value in pairs if name
            }
    raise NotLowered(f"{site.kind} with a computed {attribute}", "keras")


def _quoted(arguments: dict[str, str]) -> str:
    """The code of `mode`, in double quotes."""
    return arguments["mode"].replace("'", '"')


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
