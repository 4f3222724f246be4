"""Where the nodes of a network stand on a page: in layers, each below all that it reads.

The layers, orders and positions are those of Sugiyama, Tagawa and Toda's method (1981) in its
simplest form. A value that is read further down runs through the layers between in a lane of its
own, which all its readers share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

BOX, LANE, GAP = 1.0, 0.08, 0.12  # widths of a node and of a lane, and what is left between
SWEEPS = 6
ITEM_LIMIT = 20_000  # nodes and pieces of lanes


@dataclass(slots=True, eq=False)
class Item:
    """A node, or a piece of a node's lane in one layer; `x` is its middle, in widths of a node."""

    node: int
    layer: int
    width: float
    x: float = 0.0
    above: list[Item] = field(default_factory=list)
    below: list[Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """Every item, the nodes first and in their order; `width` of all, `layers` from the top."""

    items: list[Item]
    width: float
    layers: int


def layered(inputs: Sequence[Sequence[int]]) -> Layout | None:
    """Place nodes by the numbers of those that each reads, all smaller than its own.

    None if there is more to draw than anyone would look at.
    """
    layers = _layers(inputs)
    items = _items(inputs, layers)
    if items is None:
        return None
    rows: list[list[Item]] = [[] for _ in range(max(layers, default=-1) + 1)]
    for item in items:
        rows[item.layer].append(item)
    _order(rows)
    _position(rows)
    left = min((item.x - item.width / 2 for item in items), default=0.0)
    for item in items:
        item.x -= left
    width = max((item.x + item.width / 2 for item in items), default=0.0)
    return Layout(items, width, len(rows))


def _layers(inputs: Sequence[Sequence[int]]) -> list[int]:
    """Each node below all that it reads; what reads nothing, just above its first reader."""
    layers = [0] * len(inputs)
    for node, given in enumerate(inputs):
        layers[node] = max((layers[i] + 1 for i in given), default=0)
    highest = [len(inputs)] * len(inputs)
    for node, given in enumerate(inputs):
        for i in given:
            highest[i] = min(highest[i], layers[node])
    return [
        layer
        if given or not layers[node] < highest[node] - 1 < len(inputs) - 1
        else highest[node] - 1
        for node, (layer, given) in enumerate(zip(layers, inputs, strict=True))
    ]


def _items(inputs: Sequence[Sequence[int]], layers: Sequence[int]) -> list[Item] | None:
    nodes = [Item(node, layer, BOX) for node, layer in enumerate(layers)]
    items = list(nodes)
    lanes: list[list[Item]] = [[node] for node in nodes]
    for reader, given in zip(nodes, inputs, strict=True):
        for i in dict.fromkeys(given):
            lane = lanes[i]
            while lane[-1].layer < reader.layer - 1:
                piece = Item(i, lane[-1].layer + 1, LANE)
                _connect(lane[-1], piece)
                lane.append(piece)
                items.append(piece)
                if len(items) > ITEM_LIMIT:
                    return None
            _connect(lane[reader.layer - 1 - layers[i]], reader)
    return items if len(items) <= ITEM_LIMIT else None


def _connect(above: Item, below: Item) -> None:
    above.below.append(below)
    below.above.append(above)


def _order(rows: list[list[Item]]) -> None:
    """Sort each layer by where its neighbours stand, down and up, so that few lines cross."""
    place = {item: float(at) for row in rows for at, item in enumerate(row)}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):

            def key(item: Item, down: bool = sweep % 2 == 0) -> float:
                return _mean((place[n] for n in (item.above if down else item.below)), place[item])

            row.sort(key=key)
            place.update((item, float(at)) for at, item in enumerate(row))


def _position(rows: list[list[Item]]) -> None:
    """Move each item below what it reads, as far as those beside it let it.

    It begins from the bottom, so that what reads nothing stands above its readers.
    """
    for row in rows:
        _spread(row, [0.0] * len(row))
    for row in reversed(rows):
        _spread(row, [_middle(item.below or item.above, item.x) for item in row])
    for row in rows:
        _spread(row, [_middle(item.above or item.below, item.x) for item in row])


def _spread(row: list[Item], wanted: Sequence[float]) -> None:
    """The positions nearest to those wanted, by least squares, that keep order and distance.

    With the distances taken off, it is isotonic regression: neighbours that would pass each other
    are pooled at their mean.
    """
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + GAP)
    pools: list[tuple[float, int]] = []  # the sum of places, and of how many
    for place, offset in zip(wanted, offsets, strict=False):
        total, count = place - offset, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    means = [total / count for total, count in pools for _ in range(count)]
    for item, mean, offset in zip(row, means, offsets, strict=False):
        item.x = mean + offset


def _middle(items: Sequence[Item], default: float) -> float:
    return _mean((item.x for item in items), default)


def _mean(values: Iterable[float], default: float) -> float:
    found = list(values)
    return sum(found) / len(found) if found else default
