"""The nodes of a body, of which each kind is written by a class of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from tests.fuzz.calls import Calls
from tests.fuzz.place import Place, Type, Yaml


class Nodes(ABC):
    """Nodes one after the other. `own` are the names bound here and certain to be there."""

    def __init__(self, writer: Calls, place: Place, cur: Type, keep: str, named: bool) -> None:
        self.writer = writer
        self.rng = writer.rng
        self.place = place
        self.cur = cur
        self.keep = keep
        self.named = named
        self.items: list[tuple[str | None, Yaml]] = []
        self.own: set[str] = set()
        self.last: str | None = None

    @abstractmethod
    def grow(self) -> None:
        """Append a node of any kind, and what it needs before it."""

    @classmethod
    def body(
        cls,
        writer: Calls,
        place: Place,
        cur: Type,
        count: int,
        keep: str,
        named: bool | None = None,
    ) -> tuple[Yaml, Type]:
        """A body of about `count` nodes."""
        named = writer.maybe(0.5) if named is None else named
        maker = cls(writer, place, cur, keep, named)
        for _ in range(count):
            maker.grow()
        if not maker.items:
            maker.put(*writer.op(place, cur, keep))
        return maker.finished(), maker.cur

    def finished(self) -> Yaml:
        if not self.named:
            return [node for _, node in self.items]
        return dict(self.items)

    def modified(self, node: Yaml, modifiers: dict[str, Yaml]) -> dict[str, Yaml]:
        call = {node: {}} if isinstance(node, str) else node
        call = {"body": call} if isinstance(call, list) else call
        pairs = [*modifiers.items(), *call.items()]
        if self.writer.maybe(0.3):
            self.rng.shuffle(pairs)
        return dict(pairs)

    def put(
        self,
        node: Yaml,
        made: Type,
        *,
        counts: bool | None = True,
        certain: bool = True,
        key: str | None = None,
    ) -> str | None:
        """Append a node. `counts`: whether it takes a number; None if that is not known."""
        place = self.place
        name = key
        if self.named and name is None:
            name = self.writer.name(place)
        self.items.append((name, node))
        if not self.named and counts:
            name = None if place.number is None else str(place.number)
            place.number = None if place.number is None else place.number + 1
        elif counts is None and not self.named:
            place.number, name = None, None
        self.last = None
        if name is not None and "{" not in name:
            place.bind(name, made)
            if certain:
                self.own.add(name)
            self.last = name
        self.cur = made
        return name

    def label(self) -> str:
        """A name for the present value."""
        if self.last is None:
            self.put("identity", self.cur)
        assert self.last is not None
        return self.last

    def simple(self) -> None:
        start = self.cur
        name = self.put(*self.writer.op(self.place, self.cur, self.keep))
        if name is not None:
            self.place.shared[name] = (start, self.cur)

    def block(self) -> None:
        made = self.writer.block_call(self.place, self.cur, self.keep)
        if made is not None:
            start = self.cur
            name = self.put(*made)
            if name is not None:
                self.place.shared[name] = (start, self.cur)

    def layer(self, channels: int | str) -> None:
        out = self.writer.value(channels)
        args: dict[str, Yaml] = {"out": out}
        if self.cur.rank == 0:
            node = self.writer.call("linear", args)
        else:
            node = self.writer.call("conv", {**args, "kernel": 1}, required=2)
        self.put(node, replace(self.cur, channels=channels))

    def _fresh(self) -> str:
        name = self.writer.name(self.place)
        self.place.bind(name, self.cur)
        return name

    def _group_node(self, body: Yaml, word: str) -> Yaml:
        if word == "body" and isinstance(body, list) and self.writer.maybe(0.6):
            return body
        return {word: body}
