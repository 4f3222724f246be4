"""Pools: a stock layer without padding or with TensorFlow's `same`, else a snippet."""

from __future__ import annotations

from netspec.backends.keras.layer import (
    Layer,
    all_equal,
    helper,
    lowers,
    no_padding,
    stock,
    unless_default,
)
from netspec.backends.lowering import Site


@lowers("max_pool")
def max_pool(site: Site) -> Layer:
    if all_equal(site, "dilation", 1) and _stock_windows(site):
        return _stock_pool(site, "MaxPooling")
    return _helper(site, "max_pool", ("padding", "dilation", "ceil_mode"))


@lowers("avg_pool")
def avg_pool(site: Site) -> Layer:
    if _stock_windows(site):
        return _stock_pool(site, "AveragePooling")
    return _helper(site, "avg_pool", ("padding", "ceil_mode", "count_include_pad"))


@lowers("global_avg_pool")
def global_avg_pool(site: Site) -> Layer:
    return Layer(stock(f"GlobalAveragePooling{site.rank}D", keepdims="True"))


@lowers("adaptive_avg_pool")
def adaptive_avg_pool(site: Site) -> Layer:
    if all_equal(site, "size", 1):
        return global_avg_pool(site)
    return helper("adaptive_avg_pool", site.code("size"))


def _stock_windows(site: Site) -> bool:
    # `same` has as many windows as fit with or without ceil_mode. TensorFlow's pools of three
    # axes know no float64.
    padding = site.known("padding")
    if site.rank == 3:
        return False
    return padding == "same" or (no_padding(site) and site.known("ceil_mode") is False)


def _stock_pool(site: Site, layer: str) -> Layer:
    same = '"same"' if site.known("padding") == "same" else None
    text = stock(f"{layer}{site.rank}D", site.code("kernel"), strides=_stride(site), padding=same)
    return Layer(text)


def _helper(site: Site, function: str, attributes: tuple[str, ...]) -> Layer:
    rest = {attribute: unless_default(site, attribute) for attribute in attributes}
    return helper(function, site.code("kernel"), stride=_stride(site), **rest)


def _stride(site: Site) -> str | None:
    """The stride's code, or None where it is the kernel, as it is by default in Keras as well."""
    stride = site.code("stride")
    return None if stride == site.code("kernel") else stride
