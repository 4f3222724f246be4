"""Ops that move, cut, widen or resize, and values that no input gives."""

from __future__ import annotations

import re
from dataclasses import replace

from netspec.backends.keras.initialise import initializer
from netspec.backends.keras.layer import (
    Layer,
    helper,
    lowers,
    no_padding,
    stock,
    unless_default,
    zero_pairs,
)
from netspec.backends.lowering import Site


@lowers("flatten")
def flatten(site: Site) -> Layer:
    """Channels first."""
    if site.rank == 0:
        return Layer(stock("Flatten"))
    order = (site.rank + 1, *range(1, site.rank + 1))
    return Layer(stock("Flatten"), before=f"layers.Permute({order})({{x}})", reorders=True)


@lowers("unflatten")
def unflatten(site: Site) -> Layer:
    shape = site.known("shape")
    if shape is not None and max(shape[1:], default=1) == 1:
        return Layer(stock("Reshape", str((*shape[1:], shape[0]))))
    return helper("unflatten", _tuple(site, "shape"))


@lowers("channel_shuffle")
def channel_shuffle(site: Site) -> Layer:
    return helper("channel_shuffle", site.code("groups"))


@lowers("slice")
def channel_slice(site: Site) -> Layer:
    start = "" if site.is_default("start") else site.code("start")
    stop = site.code("stop")
    # Formatters set a colon between formulas apart.
    apart = " " * any(not re.fullmatch(r"[\w.]*", end) for end in (start, stop))
    colon = f"{apart if start else ''}:{apart}"
    return Layer(f"layers.Identity(name={{name}})({{x}}[..., {start}{colon}{stop}])")


@lowers("pad")
def pad(site: Site) -> Layer:
    padding = site.known("padding")
    if site.known("value") == 0 and padding is not None and not no_padding(site):
        return Layer(stock(f"ZeroPadding{site.rank}D", zero_pairs(site)))
    return helper("pad", site.code("padding"), value=unless_default(site, "value"))


@lowers("resize")
def resize(site: Site) -> Layer:
    mode = site.known("mode")
    if mode is None:
        return helper("resize", site.code("size"), mode=site.code("mode"))
    return helper(f"resize_{mode}", site.code("size"))


@lowers("upsample")
def upsample(site: Site) -> Layer:
    mode = site.known("mode")
    if mode is None:
        return helper("upsample", site.code("scale"), mode=site.code("mode"))
    if mode == "nearest":
        return Layer(stock(f"UpSampling{site.rank}D", site.code("scale")))
    # Keras's own computes in float32, whatever the model's type.
    return helper("upsample_bilinear", site.code("scale"))


@lowers("shift")
def shift(site: Site) -> Layer:
    return helper("shift", kernel=unless_default(site, "kernel"))


@lowers("parameter")
def parameter(site: Site) -> Layer:
    value = initializer(site, "init")
    if value.code is None:
        layer = helper("parameter", _tuple(site, "shape"))
    else:
        layer = helper("parameter", _tuple(site, "shape"), initializer=value.code)
    return replace(layer, helpers=layer.helpers + value.helpers)


def _tuple(site: Site, attribute: str) -> str:
    """A shape's code; a known one is written out, since a single number would be ambiguous."""
    known = site.known(attribute)
    return site.code(attribute) if known is None else str(known)
