"""Ops of several inputs."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.backends.keras.layer import Join, Lowering, lowers
from netspec.backends.lowering import Site

LAYERS = {"add": "Add", "concat": "Concatenate", "mul": "Multiply", "sub": "Subtract"}


def _join(layer: str) -> Lowering:
    def render(values: Sequence[str], name: str) -> str:
        return f"layers.{layer}(name={name})([{', '.join(values)}])"

    def join(site: Site) -> Join:
        return Join(render)

    return join


for _kind, _layer in LAYERS.items():
    lowers(_kind)(_join(_layer))
