"""The op as Keras source: a function that generated source copies."""

from __future__ import annotations

from pathlib import Path

from netspec.backends.keras.layer import Layer, helper, lowers
from netspec.backends.keras.snippet_text import add_snippets
from netspec.backends.lowering import Site

add_snippets(Path(__file__).with_name("keras_snippets.py"))


@lowers("clamp")
def clamp(site: Site) -> Layer:
    return helper("clamp", site.code("low"), site.code("high"))
