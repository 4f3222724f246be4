"""What acts in training only."""

from __future__ import annotations

from netspec.backends.lowering import Site
from netspec.backends.torch.arguments import call
from netspec.backends.torch.layer import Layer, lowers


@lowers("dropout")
def dropout(site: Site) -> Layer:
    return Layer(call("nn.Dropout", site.code("rate")))


@lowers("stochastic_depth")
def stochastic_depth(site: Site) -> Layer:
    return Layer(call("StochasticDepth", site.code("rate")), helpers=("StochasticDepth",))
