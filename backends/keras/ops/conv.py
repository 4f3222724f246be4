"""Convolutions: stock layers where they compute the op, else the snippet of the op's name."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, replace

from netspec.backends.keras.initialise import initializer
from netspec.backends.keras.layer import (
    Layer,
    all_equal,
    helper,
    lowers,
    no_padding,
    stock,
    zeros_around,
)
from netspec.backends.keras.layer import unless_default as unless
from netspec.backends.lowering import Site

PER_AXIS = "per_axis("
GENERAL = ("stride", "padding", "dilation", "groups")


@lowers("conv")
def conv(site: Site) -> Layer:
    return _stock_conv(site) or _group_conv(site) or _general(site, "conv", GENERAL)


@lowers("conv_transpose")
def conv_transpose(site: Site) -> Layer:
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    return _stock_transpose(site) or _general(site, "conv_transpose", names)


def _stock_transpose(site: Site) -> Layer | None:
    """The stock layer, if it pads so: not at all, or to make `stride` times as many."""
    kernel, stride, padding = (site.known(name) for name in ("kernel", "stride", "padding"))
    plain = all_equal(site, "dilation", 1) and all_equal(site, "output_padding", 0)
    if None in (kernel, stride, padding) or not plain or site.known("groups") != 1:
        return None
    beyond = [k - s for k, s in zip(kernel, stride, strict=True)]
    exact = all((2 * a, 2 * b) == (e, e) for (a, b), e in zip(padding, beyond, strict=True))
    if min(beyond) < 0 or not (exact or no_padding(site)):
        return None
    weights = _weights(site, _area(site), depthwise=False, transposed=True)
    text = stock(
        f"Conv{site.rank}DTranspose",
        site.code("out"),
        site.code("kernel"),
        strides=unless(site, "stride"),
        padding=None if no_padding(site) else '"same"',
        use_bias=unless(site, "bias"),
        **weights.arguments,
    )
    return Layer(text, weights.helpers)


def _general(site: Site, function: str, attributes: tuple[str, ...]) -> Layer:
    """The snippet that computes the op whatever its attributes are."""
    weight, bias = initializer(site, "weight_init"), initializer(site, "bias_init")
    layer = helper(
        function,
        site.code("out"),
        site.code("kernel"),
        **{attribute: unless(site, attribute) for attribute in attributes},
        use_bias=unless(site, "bias"),
        kernel_initializer=weight.code,
        bias_initializer=None if site.known("bias") is False else bias.code,
    )
    return replace(layer, helpers=layer.helpers + weight.helpers + bias.helpers)


def _stock_conv(site: Site) -> Layer | None:
    """A stock layer, with another for zeros before it, if these compute the op."""
    padding, depthwise = _padding(site), _is_depthwise(site)
    steps_or_dilation = all_equal(site, "stride", 1) or all_equal(site, "dilation", 1)
    if padding is None or depthwise is None or not steps_or_dilation:
        return None
    weights = _weights(site, _area(site), depthwise)
    text = stock(
        f"DepthwiseConv{site.rank}D" if depthwise else f"Conv{site.rank}D",
        *(() if depthwise else (site.code("out"),)),
        site.code("kernel"),
        depth_multiplier=_multiplier(site) if depthwise else None,
        strides=unless(site, "stride"),
        padding=padding.word,
        dilation_rate=unless(site, "dilation"),
        groups=None if depthwise else unless(site, "groups"),
        use_bias=unless(site, "bias"),
        **weights.arguments,
    )
    needs = ("per_axis",) * (PER_AXIS in text)
    return Layer(text, weights.helpers + needs, padding.before)


def _area(site: Site) -> str:
    """The code of how many elements a kernel has along all axes."""
    known, code = site.known("kernel"), site.code("kernel")
    if known is not None:
        return str(math.prod(known))
    if not site.one_number("kernel"):
        return f"math.prod({PER_AXIS}{code}, {site.rank}))"
    if site.rank == 1:
        return _operand(code)
    apart = "**" if re.fullmatch(r"[\w.]+", code) else " ** "  # as formatters write it
    return f"{_operand(code)}{apart}{site.rank}"


def _group_conv(site: Site) -> Layer | None:
    """The snippet for numbers of groups and padding that are only known when it runs."""
    numbers = site.one_number("kernel") and site.one_number("stride")
    if site.rank != 2 or not numbers or not all_equal(site, "dilation", 1):
        return None
    kernel = site.code("kernel")
    weights = _weights(site, _area(site), None)
    layer = helper(
        "group_conv",
        site.code("out"),
        kernel,
        padding=unless(site, "padding"),
        groups=unless(site, "groups"),
        strides=unless(site, "stride"),
        use_bias=unless(site, "bias"),
        **weights.arguments,
    )
    return replace(layer, helpers=layer.helpers + weights.helpers)


def _is_depthwise(site: Site) -> bool | None:
    """Whether the layer for groups of one channel is to be used; None if that is not sure."""
    groups = site.known("groups")
    if groups is None:
        # The plain layer computes any number of groups, though slowly where they are many.
        return False if set(site.values("groups")) == {1} else None
    if groups == 1:
        return False
    if site.input is None:
        return None
    if groups != site.input.channels:
        return False
    # That layer knows neither three axes nor unequal strides.
    stride = site.known("stride")
    equal = stride is not None and len(set(stride)) == 1
    return True if equal and site.rank < 3 and site.channels.isdecimal() else None


def _multiplier(site: Site) -> str | None:
    out, groups = site.known("out"), site.known("groups")
    if out is None:
        return f"({site.code('out')}) // {groups}"
    return None if out == groups else str(out // groups)


@dataclass(frozen=True, slots=True)
class _Weights:
    arguments: dict[str, str | None]
    helpers: tuple[str, ...]


def _weights(
    site: Site, area: str, depthwise: bool | None, *, transposed: bool = False
) -> _Weights:
    """The arguments for initialisers. `area` is the code of how many elements the kernel has.

    Keras takes other fans for a depthwise kernel and for a bias than torch does. With None for
    `depthwise` they suit either layer.
    """
    weight, bias = initializer(site, "weight_init"), initializer(site, "bias_init")
    biased = site.known("bias") is not False
    plain = depthwise is False
    fan_in = _product("{x}.shape[-1]", site.code("groups"), area)
    fan_out = _product(site.code("out"), "1", area)
    groups = site.code("groups")
    # Asking for channels may freeze parameters, so it is not done where groups are not many.
    if depthwise or (groups != "1" and groups == site.channels):
        fan_in = area
    if transposed:
        fan_in, fan_out = fan_out, fan_in
    if plain and biased and weight.code is None and bias.code is None:
        return _Weights({"several": f"usual_initializers({fan_in})"}, ("usual_initializers",))
    key = "depthwise_initializer" if depthwise else "kernel_initializer"
    weight = weight if plain else weight.with_fans(fan_in, fan_out)
    bias = bias.with_fans(fan_in, fan_out)
    code = weight.of_kernel()
    return _Weights(
        {
            key: None if code == '"glorot_uniform"' else code,
            "bias_initializer": bias.code if biased and bias.code != '"zeros"' else None,
        },
        weight.helpers + (bias.helpers if biased else ()),
    )


def _product(factor: str, over: str, area: str) -> str:
    """The code of `factor // over * area`."""
    factor = _operand(factor) if over == "1" else f"{_operand(factor)} // {_operand(over)}"
    return factor if area == "1" else f"{factor} * {area}"


def _operand(code: str) -> str:
    return code if re.fullmatch(r"(\{x\}|\w)[\w.]*(\[[^][]*\])?", code) else f"({code})"


@dataclass(frozen=True, slots=True)
class _Padding:
    """Keras's `padding`, if it is to be given, and what applies a layer of zeros before."""

    word: str | None = None
    before: str = ""


def _padding(site: Site) -> _Padding | None:
    """How stock layers pad as the site asks, if they can."""
    padding = site.known("padding")
    if no_padding(site):
        return _Padding()
    if padding == "same":
        return _Padding('"same"')
    if padding is None:
        return _padding_in_code(site)
    kernel, dilation = site.known("kernel"), site.known("dilation")
    if None not in (kernel, dilation) and all_equal(site, "stride", 1):
        centred = all(
            pair == (d * (k - 1) // 2,) * 2 and k % 2
            for pair, k, d in zip(padding, kernel, dilation, strict=True)
        )
        if centred:
            return _Padding('"same"')
    return _Padding(before=zeros_around(site))


def _padding_in_code(site: Site) -> _Padding | None:
    text = site.code("padding")
    if word := _word(text):
        return _Padding(word)
    zero = any(not any(map(any, pads)) for pads in site.values("padding"))
    if zero or not site.one_number("padding"):
        return None
    return _Padding(before=f"layers.ZeroPadding{site.rank}D({text})({{x}})")


def _word(text: str) -> str | None:
    """A choice between 0 and `same` as Keras's words."""
    match ast.parse(text, mode="eval").body:
        case ast.Constant(value=0):
            return '"valid"'
        case ast.Constant(value="same"):
            return '"same"'
        case ast.IfExp(test, body, otherwise):
            parts = [ast.get_source_segment(text, part) for part in (body, test, otherwise)]
            yes, condition, no = (part or "" for part in parts)
            words = (_word(yes), _word(no))
            simple = not any(isinstance(part, ast.IfExp) for part in (body, test))
            return f"{words[0]} if {condition} else {words[1]}" if simple and all(words) else None
    return None
