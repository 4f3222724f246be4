"""Convolutions and linear maps."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import any_padding, call, symmetric_padding, unless_default
from netspec.backends.torch.layer import Layer, lowers


@lowers("conv")
def conv(site: Site) -> Layer:
    name = f"Conv{site.rank}d"
    if site.known("padding") == "same":
        if set(site.known("stride") or ()) == {1}:
            # torch pads the odd element after, as TensorFlow does
            return _windowed(site, f"nn.{name}", '"same"')
        if site.is_default("dilation"):
            return _windowed(site, f"Same{name}", None)
    return _padded(site, name, f"Padded{name}")


@lowers("conv_transpose")
def conv_transpose(site: Site) -> Layer:
    name = f"ConvTranspose{site.rank}d"
    return _padded(
        site, name, f"Cropped{name}", output_padding=unless_default(site, "output_padding")
    )


def _padded(site: Site, native: str, snippet: str, **extra: str | None) -> Layer:
    """torch's module if it takes the padding, else the snippet, which takes any."""
    padding = symmetric_padding(site)
    name = f"nn.{native}" if padding else snippet
    written = None if site.is_default("padding") else padding or any_padding(site)
    return _windowed(site, name, written, **extra)


def _windowed(site: Site, name: str, padding: str | None, **extra: str | None) -> Layer:
    stride = unless_default(site, "stride")
    by_name = stride != "stride"  # `stride=stride` says it twice
    constructor = call(
        name,
        site.channels,
        site.code("out"),
        site.code("kernel"),
        *([] if by_name else ["stride"]),
        stride=stride if by_name else None,
        padding=padding,
        **extra,
        dilation=unless_default(site, "dilation"),
        groups=unless_default(site, "groups"),
        bias=unless_default(site, "bias"),
    )
    return Layer(constructor, helpers=() if name.startswith("nn.") else (name,))


@lowers("linear")
def linear(site: Site) -> Layer:
    arguments = (site.channels, site.code("out"))
    bias = unless_default(site, "bias")
    if site.rank == 0:
        return Layer(call("nn.Linear", *arguments, bias=bias))
    return Layer(call("PositionLinear", *arguments, bias=bias), helpers=("PositionLinear",))
