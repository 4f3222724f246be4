"""Dense layers, which act on the last axis: a vector's features or a map's channels."""

from __future__ import annotations

from netspec.backends.keras.initialise import initializer
from netspec.backends.keras.layer import Layer, lowers, stock, unless_default
from netspec.backends.lowering import Site


@lowers("linear")
def linear(site: Site) -> Layer:
    """A bias has no fans of its own in Keras."""
    weight, bias = initializer(site, "weight_init"), initializer(site, "bias_init")
    biased = site.known("bias") is not False
    plain = {"use_bias": unless_default(site, "bias")}
    if biased and weight.code is None and bias.code is None:
        both = "usual_initializers({x}.shape[-1])"
        return Layer(
            stock("Dense", site.code("out"), **plain, several=both), ("usual_initializers",)
        )
    code = weight.of_kernel()
    bias = bias.with_fans("{x}.shape[-1]", site.code("out"))
    text = stock(
        "Dense",
        site.code("out"),
        **plain,
        kernel_initializer=None if code == '"glorot_uniform"' else code,
        bias_initializer=bias.code if biased and bias.code != '"zeros"' else None,
    )
    return Layer(text, weight.helpers + (bias.helpers if biased else ()))
