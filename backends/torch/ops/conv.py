"""Convolutions and linear maps."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import any_padding, call, symmetric_padding, unless_default
from netspec.backends.torch.layer import Layer, lowers


@lowers("conv")
def conv(site: Site) -> Layer:
    name = f"Conv{site.rank}d"
    padding = symmetric_padding(site)
    if site.known("padding") == "same" and set(site.known("stride") or ()) == {1}:
        padding = '"same"'  # torch pads the odd element after, as TensorFlow does
    return _windowed(site, name, f"Padded{name}", padding, {})


@lowers("conv_transpose")
def conv_transpose(site: Site) -> Layer:
    name = f"ConvTranspose{site.rank}d"
    extra = {"output_padding": unless_default(site, "output_padding")}
    return _windowed(site, name, f"Cropped{name}", symmetric_padding(site), extra)


def _windowed(
    site: Site, native: str, snippet: str, padding: str | None, extra: dict[str, str | None]
) -> Layer:
    stride = unless_default(site, "stride")
    by_name = stride != "stride" or not padding  # `stride=stride` says it twice
    constructor = call(
        f"nn.{native}" if padding else snippet,
        site.channels,
        site.code("out"),
        site.code("kernel"),
        *([] if by_name else ["stride"]),
        stride=stride if by_name else None,
        padding=None if site.is_default("padding") else padding or any_padding(site),
        **extra,
        dilation=unless_default(site, "dilation"),
        groups=unless_default(site, "groups"),
        bias=unless_default(site, "bias"),
    )
    return Layer(constructor, helpers=() if padding else (snippet,))


@lowers("linear")
def linear(site: Site) -> Layer:
    arguments = (site.channels, site.code("out"))
    bias = unless_default(site, "bias")
    if site.rank == 0:
        return Layer(call("nn.Linear", *arguments, bias=bias))
    return Layer(call("PositionLinear", *arguments, bias=bias), helpers=("PositionLinear",))
