"""Normalisation by statistics of a batch, of one position's channels, or of nearby channels."""

from __future__ import annotations

from netspec.backends.keras.initialise import initializer
from netspec.backends.keras.layer import Layer, helper, lowers, stock, unless_default
from netspec.backends.lowering import Site
from netspec.backends.source.python import number


@lowers("batch_norm")
def batch_norm(site: Site) -> Layer:
    """Keras's momentum is the share of the old statistics."""
    momentum = site.known("momentum")
    return _scale_and_shift(
        site,
        "BatchNormalization",
        momentum=f"1 - ({site.code('momentum')})"
        if momentum is None
        else number(round(1 - momentum, 12)),
        epsilon=site.code("eps"),
        scale=unless_default(site, "scale"),
    )


@lowers("layer_norm")
def layer_norm(site: Site) -> Layer:
    return _scale_and_shift(site, "LayerNormalization", epsilon=site.code("eps"))


@lowers("local_response_norm")
def local_response_norm(site: Site) -> Layer:
    rest = {attribute: unless_default(site, attribute) for attribute in ("alpha", "beta", "k")}
    return helper("local_response_norm", site.code("size"), **rest)


def _scale_and_shift(site: Site, layer: str, **arguments: str | None) -> Layer:
    weight, bias = initializer(site, "weight_init"), initializer(site, "bias_init")
    text = stock(
        layer,
        **arguments,
        gamma_initializer=None if weight.code == '"ones"' else weight.code,
        beta_initializer=None if bias.code == '"zeros"' else bias.code,
    )
    return Layer(text, weight.helpers + bias.helpers)
