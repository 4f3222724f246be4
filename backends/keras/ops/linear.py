"""Dense layers, which act on the last axis: a vector's features or a map's channels."""

from __future__ import annotations

from dataclasses import replace

from netspec.backends.keras.initialise import initializer
from netspec.backends.keras.layer import Layer, helper, lowers, stock, unless_default
from netspec.backends.lowering import Site


@lowers("linear")
def linear(site: Site) -> Layer:
    weight, bias = initializer(site, "weight_init"), initializer(site, "bias_init")
    no_bias = site.known("bias") is False
    helpers = weight.helpers + bias.helpers
    use_bias = unless_default(site, "bias")
    if weight.code is None or (bias.by_fans and not no_bias):
        layer = helper(
            "linear",
            site.code("out"),
            use_bias=use_bias,
            kernel_initializer=weight.code,
            bias_initializer=None if no_bias else bias.code,
        )
        return replace(layer, helpers=layer.helpers + helpers)
    text = stock(
        "Dense",
        site.code("out"),
        use_bias=use_bias,
        kernel_initializer=None if weight.code == '"glorot_uniform"' else weight.code,
        bias_initializer=None if no_bias or bias.code == '"zeros"' else bias.code,
    )
    return Layer(text, helpers)
