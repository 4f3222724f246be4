"""Pools and resizing."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import (
    all_known,
    any_padding,
    call,
    symmetric_padding,
    unless_default,
)
from netspec.backends.torch.layer import Layer, lowers


@lowers("max_pool")
def max_pool(site: Site) -> Layer:
    return _pool(site, "MaxPool", "dilation", "ceil_mode")


@lowers("avg_pool")
def avg_pool(site: Site) -> Layer:
    return _pool(site, "AvgPool", "ceil_mode", "count_include_pad")


def _pool(site: Site, name: str, *options: str) -> Layer:
    kernel, stride = site.code("kernel"), site.code("stride")
    native = _torch_pads(site) and not (name == "AvgPool" and _wider_than_input(site))
    padding = symmetric_padding(site) if native else None
    constructor = call(
        f"nn.{name}{site.rank}d" if native else name,
        kernel,
        stride=None if stride == kernel else stride,
        padding=None if site.is_default("padding") else padding or any_padding(site),
        **{option: unless_default(site, option) for option in options},
    )
    return Layer(constructor, helpers=() if native else (name,))


def _torch_pads(site: Site) -> bool:
    """Whether torch's pools take this padding: the same on both sides, at most half a window."""
    padding, kernel = site.known("padding"), site.known("kernel")
    if padding is None:
        return site.one_number("kernel") and site.code("padding") == f"{site.code('kernel')} // 2"
    if padding == "same":
        return False
    if not any(side for pair in padding for side in pair):
        return True
    return kernel is not None and all(
        before == after <= size // 2 for (before, after), size in zip(padding, kernel, strict=True)
    )


def _wider_than_input(site: Site) -> bool:
    """Whether a window may be wider than its 3-D input, which `nn.AvgPool3d` refuses."""
    if site.rank < 3 or site.is_default("padding"):  # unpadded, every window fits
        return False
    kernel = site.known("kernel")
    if kernel is None or site.input is None:
        return True
    return any(window > size for window, size in zip(kernel, site.input.spatial, strict=True))


@lowers("adaptive_avg_pool")
def adaptive_avg_pool(site: Site) -> Layer:
    function = None
    if all_known(site, "size"):
        function = f"F.adaptive_avg_pool{site.rank}d({{x}}, {site.code('size')})"
    return Layer(call(f"nn.AdaptiveAvgPool{site.rank}d", site.code("size")), function)


@lowers("global_avg_pool")
def global_avg_pool(site: Site) -> Layer:
    return Layer(f"nn.AdaptiveAvgPool{site.rank}d(1)", f"F.adaptive_avg_pool{site.rank}d({{x}}, 1)")


@lowers("resize")
def resize(site: Site) -> Layer:
    size, mode = site.code("size"), site.known("mode")
    if mode != "bilinear":
        # nn.Upsample's nearest computes indices in float32, which errs for some pairs of sizes.
        return Layer(call("Resize", size, mode=unless_default(site, "mode")), helpers=("Resize",))
    options = {"mode": '"bilinear"', "align_corners": "False"}
    function = call("F.interpolate", "{x}", size, **options) if all_known(site, "size") else None
    return Layer(call("nn.Upsample", size, **options), function)


@lowers("upsample")
def upsample(site: Site) -> Layer:
    scale, needs = site.code("scale"), False
    if site.known("scale") is None and not site.one_number("scale"):
        scale, needs = call("per_axis", scale, str(site.rank)), True  # it refuses lists
    options = {
        "scale_factor": scale,
        "mode": unless_default(site, "mode"),
        "align_corners": "False" if site.known("mode") == "bilinear" else None,
    }
    known = all_known(site, "scale", "mode")
    function = call("F.interpolate", "{x}", **options) if known else None
    return Layer(call("nn.Upsample", **options), function, ("per_axis",) * needs)
