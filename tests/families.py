"""The families of the zoo: of each its smallest variant, at an input that is quick to compute."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

import netspec
from netspec.graph import Graph
from netspec.zoo import zoo_names

PARAMETERS = 30_000_000
WHY_NOT = "takes long: `make features` runs it"


@dataclass(frozen=True, slots=True)
class Family:
    """A variant of the zoo, with the shape that replaces that of its one input."""

    name: str
    inputs: dict[str, tuple[int, ...]]

    @property
    def shape(self) -> tuple[int, ...]:
        (shape,) = self.inputs.values()
        return shape

    def graph(self) -> Graph:
        return netspec.load(self.name, inputs=self.inputs)


def files() -> list[str]:
    """Every file of the zoo that is a model."""
    return sorted({found.shown for found in zoo_names().values()})


def large(file: str, nodes: int) -> bool:
    """Whether a family has more nodes and was not asked for, as `make features` asks for all."""
    graph = family(file).graph()
    heavy = len(graph.nodes) > nodes or graph.param_count > PARAMETERS
    return heavy and os.environ.get("NETSPEC_FEATURES") != "all"


@cache
def family(file: str) -> Family:
    """The variant of a file that has the fewest parameters."""
    names = (name for name, found in zoo_names().items() if found.shown == file)
    graph = min(map(netspec.load, names), key=lambda g: g.param_count)
    return Family(graph.name, _small(graph))


def _small(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The input with a quarter of its sides, or with as much of them as the network needs."""
    (value,) = graph.inputs
    for part in (4, 3, 2, 1):
        sides = (max(size // part, 8) for size in value.type.spatial)
        shape = {value.name: (value.type.channels, *sides)}
        try:
            netspec.load(graph.name, inputs=shape)
        except netspec.SpecError:
            continue
        break
    return shape
