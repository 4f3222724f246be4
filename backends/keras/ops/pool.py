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
    zeros_around,
)
from netspec.backends.lowering import Site


@lowers("max_pool")
def max_pool(site: Site) -> Layer:
    if all_equal(site, "dilation", 1) and site.rank < 3:
        # `same` has as many windows with ceil_mode as without.
        if site.known("padding") == "same" or _centred(site):
            return _stock_pool(site, "MaxPooling", padding='"same"')
        if _whole_windows(site):
            return _stock_pool(site, "MaxPooling", before=_lowest_around(site))
        if _ends_only(site):
            return helper("ceil_pool", site.code("kernel"), site.code("stride"))
    return _helper(site, "max_pool", ("padding", "dilation", "ceil_mode"))


@lowers("avg_pool")
def avg_pool(site: Site) -> Layer:
    # Keras's engines disagree about what `same` padding counts.
    if site.rank < 3 and _whole_windows(site):
        if no_padding(site):
            return _stock_pool(site, "AveragePooling")
        if site.known("count_include_pad") is True:
            return _stock_pool(site, "AveragePooling", before=zeros_around(site))
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
    """Whether padding is known, in numbers, and no window reaches beyond it."""
    known = site.known("padding") not in (None, "same")
    return known and (site.known("ceil_mode") is False or all_equal(site, "stride", 1))


def _centred(site: Site) -> bool:
    """Whether there is a window around each element."""
    padding, kernel = site.known("padding"), site.known("kernel")
    if None in (padding, kernel) or padding == "same" or not all_equal(site, "stride", 1):
        return False
    return all(pads == (k // 2,) * 2 and k % 2 for pads, k in zip(padding, kernel, strict=True))


def _ends_only(site: Site) -> bool:
    """Whether windows of two equal axes may reach beyond the end, where no other one starts."""
    kernel, stride = site.known("kernel"), site.known("stride")
    if site.rank != 2 or None in (kernel, stride) or len({*kernel}) > 1 or len({*stride}) > 1:
        return False
    return no_padding(site) and site.known("ceil_mode") is True and kernel[0] >= stride[0]


def _lowest_around(site: Site) -> str:
    """What pads with what is never the largest."""
    if no_padding(site):
        return ""
    width = str(((0, 0), *site.known("padding"), (0, 0)))
    return f"ops.pad({{x}}, {width}, constant_values=-math.inf)"


def _stock_pool(site: Site, layer: str, padding: str | None = None, before: str = "") -> Layer:
    layer = f"{layer}{site.rank}D"
    text = stock(layer, site.code("kernel"), strides=_stride(site), padding=padding)
    return Layer(text, before=before)


def _helper(site: Site, function: str, attributes: tuple[str, ...]) -> Layer:
    rest = {attribute: unless_default(site, attribute) for attribute in attributes}
    return helper(function, site.code("kernel"), stride=_stride(site), **rest)


def _stride(site: Site) -> str | None:
    """The stride's code, or None where it is the kernel, as it is by default in Keras as well."""
    stride = site.code("stride")
    return None if stride == site.code("kernel") else stride
