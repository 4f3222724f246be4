"""Preprocessing that belongs to the model."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import all_known, call
from netspec.backends.torch.layer import Layer, lowers


@lowers("normalize")
def normalize(site: Site) -> Layer:
    module = call("Normalize", mean=site.code("mean"), std=site.code("std"))
    return Layer(module, helpers=("Normalize",))


@lowers("affine")
def affine(site: Site) -> Layer:
    scale = site.code("scale")
    if site.known("shift") == 0 and site.one_number("scale"):
        function = f"torch.mul({{x}}, {scale})" if all_known(site, "scale") else None
        return Layer(call("Scale", scale), function, ("Scale",))
    module = call("Affine", scale, site.code("shift"))
    return Layer(module, helpers=("Affine",))


@lowers("standardize_image")
def standardize_image(site: Site) -> Layer:
    return Layer("StandardizeImage()", helpers=("StandardizeImage",))
