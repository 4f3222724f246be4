"""Random joins: of branches, of earlier values, of values that are learned."""

from __future__ import annotations

from dataclasses import replace

from tests.fuzz.nodes import Nodes
from tests.fuzz.place import Yaml


class Joins(Nodes):
    """Grows by nodes that join several values."""

    def branch(self, keep: str, channels: int | str | None) -> dict[str, Yaml]:
        """A branch of named nodes; with `channels` it ends in a layer of so many."""
        maker = type(self)(self.writer, self.place, self.cur, keep, True)
        maker.place.depth += 1
        for _ in range(self.rng.randint(0 if channels is not None else 1, 2)):
            maker.grow()
        if channels is not None or not maker.items:
            maker.layer(channels if channels is not None else self.writer.whole(self.place))
        maker.place.depth -= 1
        found: dict[str, Yaml] = maker.finished()
        self.branch_end = maker.cur
        return found

    def join(self) -> None:
        writer, rng = self.writer, self.rng
        kind = rng.choice(["concat", "concat", "add", "add", "mul", "sub"])
        count = 2 if kind == "sub" else rng.choice([2, 2, 3])
        if self.keep == "all":
            kind = "add" if kind == "concat" else kind
        branches: list[Yaml] = []
        refs = [
            name
            for name, value in self.place.values.items()
            if value.rank == self.cur.rank and value.spatial == self.cur.spatial
        ]
        total: list[int | str | None] = []
        channels: int | str | None = self.cur.channels
        if kind != "concat" and self.keep != "all" and (channels is None or writer.maybe(0.5)):
            channels = writer.whole(self.place)
            refs = []
        elif kind != "concat":
            refs = [r for r in refs if self.place.values[r].channels == channels]
            refs = refs if channels is not None else []
        for at in range(count):
            if at and refs and writer.maybe(0.4):
                ref = rng.choice(refs)
                if ref in self.place.values:
                    branches.append(ref)
                    total.append(self.place.values[ref].channels)
                    continue
            if kind == "concat":
                branches.append(self.branch("spatial", None))
            elif channels is None:  # kept, and unknown
                branches.append({self._fresh(): "identity"})
                self.branch_end = self.cur
            else:
                branches.append(self.branch("spatial", channels))
            total.append(self.branch_end.channels)
            refs = [r for r in refs if r in self.place.values]
        if all(isinstance(t, int) for t in total) and kind == "concat":
            channels = sum(t for t in total if isinstance(t, int))
        elif kind == "concat":
            channels = None
        rng.shuffle(branches)
        branches = self._in_order(branches)
        self.put({kind: branches}, replace(self.cur, channels=channels))

    def _in_order(self, branches: list[Yaml]) -> list[Yaml]:
        """References to names of other branches stand after these."""
        return sorted(branches, key=lambda b: isinstance(b, str))

    def gate(self) -> None:
        """Scale a map by a value of one position."""
        if self.cur.rank == 0 or self.cur.channels is None:
            return self.simple()
        names = [self._fresh() for _ in range(3)]
        for name in names:
            self.place.values.pop(name, None)
        conv = {"conv": {"out": self.writer.value(self.cur.channels), "kernel": 1}}
        scale = {names[0]: "global_avg_pool", names[1]: conv, names[2]: "sigmoid"}
        branches: list[Yaml] = [{self._fresh(): "identity"}, scale]
        self.rng.shuffle(branches)
        self.put({"mul": branches}, self.cur)
        return None

    def parameter(self) -> None:
        """Add a learned value, or put one beside the channels."""
        channels = self.cur.channels
        rank = self.cur.rank
        if channels is None or rank is None:
            return self.simple()
        shape = [self.writer.value(channels), *(1,) * rank]
        if isinstance(self.cur.spatial, tuple) and self.writer.maybe(0.4):
            shape = [shape[0], *self.cur.spatial]
        init = self.writer.initialiser(self.place, fans=False)
        node: Yaml = {"parameter": {"shape": shape, "init": init}}
        first, second = self._fresh(), self._fresh()
        for name in (first, second):
            self.place.values.pop(name, None)
        branches: list[Yaml] = [{first: "identity"}, {second: node}]
        self.rng.shuffle(branches)
        kind = self.rng.choice(["add", "mul", "sub"])
        self.put({kind: branches}, self.cur)
        return None
