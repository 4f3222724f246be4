"""Preprocessing that belongs to the model."""

from __future__ import annotations

from netspec.backends.keras.layer import Layer, helper, lowers
from netspec.backends.lowering import Site


@lowers("normalize")
def normalize(site: Site) -> Layer:
    return helper("normalize", site.code("mean"), site.code("std"))


@lowers("affine")
def affine(site: Site) -> Layer:
    return helper("affine", site.code("scale"), site.code("shift"))


@lowers("standardize_image")
def standardize_image(site: Site) -> Layer:
    return helper("standardize_image")
