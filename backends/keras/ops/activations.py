"""Elementwise functions, and softmax over channels, which are Keras's last axis."""

from __future__ import annotations

from netspec.backends.keras.initialise import initializer
from netspec.backends.keras.layer import Layer, Lowering, helper, lowers, stock
from netspec.backends.lowering import Site

NAMES = {
    "hard_sigmoid": "hard_sigmoid",
    "hard_swish": "hard_silu",
    "log_softmax": "log_softmax",
    "mish": "mish",
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softmax": "softmax",
    "softplus": "softplus",
    "tanh": "tanh",
}


def _named(activation: str) -> Lowering:
    return lambda site: Layer(stock("Activation", f'"{activation}"'))


for _kind, _activation in NAMES.items():
    lowers(_kind)(_named(_activation))


@lowers("elu")
def elu(site: Site) -> Layer:
    return Layer(stock("ELU", site.code("alpha")))


@lowers("leaky_relu")
def leaky_relu(site: Site) -> Layer:
    """Keras's layer refuses a negative slope."""
    slope = site.known("slope")
    if slope is None or slope < 0:
        return helper("leaky_relu", site.code("slope"))
    return Layer(stock("LeakyReLU", site.code("slope")))


@lowers("gelu")
def gelu(site: Site) -> Layer:
    return helper("gelu")


@lowers("abs")
def absolute(site: Site) -> Layer:
    return Layer("layers.Identity(name={name})(ops.abs({x}))")


@lowers("identity")
def identity(site: Site) -> Layer:
    return Layer(stock("Identity"))


@lowers("prelu")
def prelu(site: Site) -> Layer:
    """One slope per channel: shared by the spatial axes."""
    slope = initializer(site, "weight_init")
    axes = str(list(range(1, site.rank + 1))) if site.rank else None
    text = stock("PReLU", alpha_initializer=slope.code, shared_axes=axes)
    return Layer(text, slope.helpers)
