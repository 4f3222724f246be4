"""Normalisations."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import call, unless_default
from netspec.backends.torch.layer import Layer, lowers


@lowers("batch_norm")
def batch_norm(site: Site) -> Layer:
    eps, momentum = unless_default(site, "eps"), unless_default(site, "momentum")
    if site.known("scale"):
        name = f"nn.BatchNorm{max(site.rank, 1)}d"
        return Layer(call(name, site.channels, eps=eps, momentum=momentum))
    scale = site.code("scale")
    constructor = call("BatchNorm", site.channels, eps=eps, momentum=momentum, scale=scale)
    return Layer(constructor, helpers=("BatchNorm",))


@lowers("layer_norm")
def layer_norm(site: Site) -> Layer:
    eps = unless_default(site, "eps")
    if site.rank == 0:
        return Layer(call("nn.LayerNorm", site.channels, eps=eps))
    constructor = call("ChannelLayerNorm", site.channels, eps=eps)
    return Layer(constructor, helpers=("ChannelLayerNorm",))


@lowers("local_response_norm")
def local_response_norm(site: Site) -> Layer:
    options = {name: unless_default(site, name) for name in ("alpha", "beta", "k")}
    return Layer(call("nn.LocalResponseNorm", site.code("size"), **options))
