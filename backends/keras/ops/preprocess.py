"""Preprocessing that belongs to the model."""

from __future__ import annotations

from netspec.backends.keras.layer import Layer, helper, lowers, stock
from netspec.backends.lowering import Site


@lowers("normalize")
def normalize(site: Site) -> Layer:
    return helper("normalize", site.code("mean"), site.code("std"))


@lowers("affine")
def affine(site: Site) -> Layer:
    scale, shift = site.code("scale"), site.code("shift")
    if site.one_number("scale") and site.one_number("shift"):
        return Layer(stock("Rescaling", scale, *([] if site.is_default("shift") else [shift])))
    return helper("affine", scale, shift)


@lowers("standardize_image")
def standardize_image(site: Site) -> Layer:
    return helper("standardize_image")
