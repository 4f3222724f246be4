"""Convolutions: a stock layer where it computes the op, else the snippet of the op's name."""

from __future__ import annotations

from dataclasses import replace

from netspec.backends.keras.initialise import initializer
from netspec.backends.keras.layer import Layer, all_equal, helper, lowers, no_padding, stock
from netspec.backends.keras.layer import unless_default as unless
from netspec.backends.lowering import Site


@lowers("conv")
def conv(site: Site) -> Layer:
    padding = _stock_padding(site)
    steps_or_dilation = all_equal(site, "stride", 1) or all_equal(site, "dilation", 1)
    layer = _stock_layer(site)
    if layer is None or padding is None or not steps_or_dilation:
        return _helper(site, "conv", ("stride", "padding", "dilation", "groups"))
    weight, bias = initializer(site, "weight_init"), initializer(site, "bias_init")
    depthwise = layer.startswith("Depthwise")
    weights = "depthwise_initializer" if depthwise else "kernel_initializer"
    text = stock(
        layer,
        *(() if depthwise else (site.code("out"),)),
        site.code("kernel"),
        depth_multiplier=_multiplier(site) if depthwise else None,
        strides=unless(site, "stride"),
        padding=padding or None,
        dilation_rate=unless(site, "dilation"),
        groups=None if depthwise else unless(site, "groups"),
        use_bias=unless(site, "bias"),
        **{weights: None if weight.code == '"glorot_uniform"' else weight.code},
        bias_initializer=None if bias.code in (None, '"zeros"') else bias.code,
    )
    return Layer(text, weight.helpers + bias.helpers)


@lowers("conv_transpose")
def conv_transpose(site: Site) -> Layer:
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    return _helper(site, "conv_transpose", names)


def _helper(site: Site, function: str, attributes: tuple[str, ...]) -> Layer:
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


def _stock_layer(site: Site) -> str | None:
    """The stock layer that has the site's groups and initialisers, if there is one."""
    weight, bias = initializer(site, "weight_init"), initializer(site, "bias_init")
    groups = site.known("groups")
    if weight.code is None or (bias.by_fans and site.known("bias") is not False):
        return None
    if groups == 1:
        return f"Conv{site.rank}D"
    if groups is None or site.input is None:
        return None
    if groups != site.input.channels:
        return f"Conv{site.rank}D"
    # Keras's fans of a depthwise kernel are not those of the convolution that it is.
    stride = site.known("stride")
    if weight.by_fans or site.rank == 3 or stride is None or len(set(stride)) > 1:
        return None
    return f"DepthwiseConv{site.rank}D"


def _multiplier(site: Site) -> str | None:
    out, groups = site.known("out"), site.known("groups")
    if out is None:
        return f"({site.code('out')}) // {groups}"
    return None if out == groups else str(out // groups)


def _stock_padding(site: Site) -> str | None:
    """Keras's `padding` where it means the site's: empty for no padding, None where none does."""
    padding = site.known("padding")
    if no_padding(site):
        return ""
    if padding == "same":
        return '"same"'
    kernel, dilation = site.known("kernel"), site.known("dilation")
    if None in (padding, kernel, dilation) or not all_equal(site, "stride", 1):
        return None
    centred = all(
        pair == (d * (k - 1) // 2,) * 2 and k % 2
        for pair, k, d in zip(padding, kernel, dilation, strict=True)
    )
    return '"same"' if centred else None
