"""The PyTorch backend: one lowering per op, to source."""

from __future__ import annotations

from netspec.graph import Graph


def source(graph: Graph) -> str:
    """PyTorch source of a graph; torch itself is not imported.

    Raises:
        NotLowered: an op has no lowering to torch.
    """
    from netspec.backends.torch.generate import source as generate

    return generate(graph)
