"""Ops that move elements and compute nothing."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import all_known, call, flat_padding, unless_default
from netspec.backends.torch.layer import Layer, lowers


@lowers("flatten")
def flatten(site: Site) -> Layer:
    return Layer("nn.Flatten()", "torch.flatten({x}, 1)")


@lowers("unflatten")
def unflatten(site: Site) -> Layer:
    shape = site.known("shape")
    if shape is None:
        return Layer(call("nn.Unflatten", "1", site.code("shape")))
    return Layer(f"nn.Unflatten(1, {shape})", f"{{x}}.unflatten(1, {shape})")


@lowers("slice")
def slice_channels(site: Site) -> Layer:
    start, stop = site.known("start"), site.known("stop")
    function = None
    if all_known(site, "start", "stop"):
        function = f"{{x}}[:, {start}:{stop}]" if start else f"{{x}}[:, :{stop}]"
    module = call("Slice", site.code("stop"), start=unless_default(site, "start"))
    return Layer(module, function, ("Slice",))


@lowers("channel_shuffle")
def channel_shuffle(site: Site) -> Layer:
    if site.rank:
        return Layer(call("nn.ChannelShuffle", site.code("groups")))
    return Layer(call("VectorShuffle", site.code("groups")), helpers=("VectorShuffle",))


@lowers("pad")
def pad(site: Site) -> Layer:
    pairs = site.known("padding")
    value = unless_default(site, "value")
    if pairs is None:
        return Layer(call("Pad", site.code("padding"), value=value), helpers=("Pad",))
    sides = flat_padding(pairs)
    function = call("F.pad", "{x}", sides, value=value) if all_known(site, "value") else None
    if value is None:
        return Layer(f"nn.ZeroPad{site.rank}d({sides})", function)
    return Layer(f"nn.ConstantPad{site.rank}d({sides}, {value})", function)


@lowers("shift")
def shift(site: Site) -> Layer:
    return Layer(call("Shift", kernel=unless_default(site, "kernel")), helpers=("Shift",))
