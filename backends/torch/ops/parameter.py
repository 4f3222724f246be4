"""A value that is itself a parameter."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import call
from netspec.backends.torch.layer import Layer, lowers


@lowers("parameter")
def parameter(site: Site) -> Layer:
    shape = site.known("shape")
    sizes = [site.code("shape")] if shape is None else map(str, shape)
    tensor = call("torch.empty", *sizes)
    return Layer(f"nn.Parameter({tensor})", "{x}.unsqueeze(0)", is_parameter=True)
