"""The op as PyTorch source: a module of its own where one is needed, else a call."""

from __future__ import annotations

from pathlib import Path

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import all_known, call
from netspec.backends.torch.layer import Layer, lowers
from netspec.backends.torch.snippet_text import add_snippets

add_snippets(Path(__file__).with_name("torch_snippets.py"))


@lowers("clamp")
def clamp(site: Site) -> Layer:
    bounds = (site.code("low"), site.code("high"))
    function = call("torch.clamp", "{x}", *bounds) if all_known(site, "low", "high") else None
    return Layer(call("Clamp", *bounds), function, helpers=("Clamp",))
