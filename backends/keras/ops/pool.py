"""Pools: a stock layer where it computes the op on every engine, else a snippet.

TensorFlow's pools of three axes know no float64, so those are always the snippet's.
"""

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
    if all_equal(site, "dilation", 1) and site.rank < 3:
        # `same` has as many windows with ceil_mode as without.
        if site.known("padding") == "same":
            return _stock_pool(site, "MaxPooling", padding='"same"')
        if _whole_windows(site):
            return _stock_pool(site, "MaxPooling")
    return _helper(site, "max_pool", ("padding", "dilation", "ceil_mode"))


@lowers("avg_pool")
def avg_pool(site: Site) -> Layer:
    # Keras's engines disagree about what `same` padding counts.
    if site.rank < 3 and _whole_windows(site):
        return _stock_pool(site, "AveragePooling")
    return _helper(site, "avg_pool", ("padding", "ceil_mode", "count_include_pad"))


@lowers("global_avg_pool")
def global_avg_pool(site: Site) -> Layer:
    return _global_pool(site)


@lowers("adaptive_avg_pool")
def adaptive_avg_pool(site: Site) -> Layer:
    if all_equal(site, "size", 1):
        return _global_pool(site)
    return helper("adaptive_avg_pool", site.code("size"))


def _global_pool(site: Site) -> Layer:
    return Layer(stock(f"GlobalAveragePooling{site.rank}D", keepdims="True"))


def _whole_windows(site: Site) -> bool:
    """Whether no window reaches beyond the input."""
    return no_padding(site) and site.known("ceil_mode") is False


def _stock_pool(site: Site, layer: str, padding: str | None = None) -> Layer:
    layer = f"{layer}{site.rank}D"
    return Layer(stock(layer, site.code("kernel"), strides=_stride(site), padding=padding))


def _helper(site: Site, function: str, attributes: tuple[str, ...]) -> Layer:
    rest = {attribute: unless_default(site, attribute) for attribute in attributes}
    return helper(function, site.code("kernel"), stride=_stride(site), **rest)


def _stride(site: Site) -> str | None:
    """The stride's code, or None where it is the kernel, as it is by default in Keras as well."""
    stride = site.code("stride")
    return None if stride == site.code("kernel") else stride
