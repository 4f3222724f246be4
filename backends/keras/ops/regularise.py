"""Random layers of training."""

from __future__ import annotations

from netspec.backends.keras.layer import Layer, lowers, stock
from netspec.backends.lowering import Site


@lowers("dropout")
def dropout(site: Site) -> Layer:
    return Layer(stock("Dropout", site.code("rate")))


@lowers("stochastic_depth")
def stochastic_depth(site: Site) -> Layer:
    """Dropout with one draw for a whole sample."""
    shape = f"(None, {', '.join('1' * (site.rank + 1))})"
    return Layer(stock("Dropout", site.code("rate"), noise_shape=shape))
