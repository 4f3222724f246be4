"""The Keras backend: one lowering per op, to source."""

from __future__ import annotations

from netspec.graph import Graph


def source(graph: Graph) -> str:
    """Keras source of a graph; Keras itself is not imported.

    Raises:
        NotLowered: an op has no lowering to Keras.
    """
    from netspec.backends.keras.generate import source as generate

    return generate(graph)
