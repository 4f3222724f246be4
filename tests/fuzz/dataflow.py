"""Random values with several readers: side ways, residuals, shared layers, several inputs."""

from __future__ import annotations

from dataclasses import replace

from tests.fuzz.nodes import Nodes
from tests.fuzz.place import Type, Yaml


class Dataflow(Nodes):
    """Grows by nodes that read what stands further back."""

    def side(self) -> None:
        """A value with two readers, joined later."""
        source = self.label()
        start = self.cur
        self.layer(self.writer.whole(self.place))
        for _ in range(self.rng.randint(0, 1)):
            before = self.keep
            self.keep = "spatial"
            self.simple()
            self.keep = before
        one = self.label()
        first = self.cur
        others = [
            n
            for n, v in self.place.values.items()
            if v.rank == start.rank and v.spatial == start.spatial
        ]
        origin = source if self.writer.maybe(0.7) or not others else self.rng.choice(others)
        self.cur = self.place.values.get(origin, start)
        channels = first.channels
        if channels is None:
            channels = self.writer.whole(self.place)
            self.cur = start
            origin = source
        if source not in self.place.values or origin not in self.place.values:
            return
        kind = self.rng.choice(["add", "concat", "mul"])
        if first.channels is None:
            kind = "concat"
        if self.keep == "all":
            kind = "concat"
        node = {"conv": {"out": self.writer.value(channels), "kernel": 1}}
        if self.cur.rank == 0:
            node = {"linear": {"out": self.writer.value(channels)}}
        self.put({"from": origin, **node}, replace(self.cur, channels=channels))
        two = self.label()
        if one not in self.place.values:
            return
        made = replace(self.cur, channels=None if kind == "concat" else channels)
        self.put({kind: [one, two]}, made)
        if self.keep == "all":
            if start.channels is None:
                return
            self.layer(start.channels)

    def projection(self) -> None:
        """A residual connection whose projection is left out where it is not needed."""
        if self.cur.channels is None or self.keep == "all":
            return self.simple()
        source, start = self.label(), self.cur
        out = self.writer.whole(self.place)
        self.layer(out)
        main = self.label()
        layer = {"conv": {"out": self.writer.value(out), "kernel": 1}}
        if self.cur.rank == 0:
            layer = {"linear": {"out": self.writer.value(out)}}
        condition = f"=({out}) != ({start.channels})"
        name = self.put({"from": source, "when": condition, **layer}, self.cur, certain=False)
        self.put({"add": [main, name]}, self.cur)
        return None

    def shared(self) -> None:
        fitting = [
            name
            for name, (start, end) in self.place.shared.items()
            if start == self.cur
            and self.cur.channels is not None
            and name in self.place.values
            and (not self.keep or (end.spatial == start.spatial and end.rank == start.rank))
            and (self.keep != "all" or end == start)
        ]
        if not fitting:
            return self.simple()
        name = self.rng.choice(fitting)
        start, end = self.place.shared[name]
        node: dict[str, Yaml] = {"share": name}
        if start == end and self.writer.maybe(0.2) and not self.named:
            self.put({"repeat": 2, **node}, end, counts=None)
            return None
        self.put(node, end)
        return None

    def staircase(self) -> None:
        """Down and up again, with connections across: names with formulas, read elsewhere."""
        if self.cur.rank in (0, None) or self.keep or "st" in self.place.taken:
            return self.simple()
        times = self.writer.value(self.writer.whole(self.place, simple=True))
        if isinstance(times, str):
            times = f"=min({times[1:]}, 3)"
        self.place.taken |= {"st", *(f"{w}{i}" for w in ("enc", "dec", "cat") for i in range(9))}
        if {"d", "u"} & self.place.formula_names:
            return self.simple()
        total = f"({times[1:]})" if isinstance(times, str) else str(times)
        down = {"enc{d}": {"conv": {"out": "=d + 2", "kernel": 3, "padding": 1}}}
        self.put(
            {"repeat": {"times": times, "index": "d"}, "inline": down},
            replace(self.cur, channels=None),
            certain=False,
        )
        up = {
            "dec{u}": {"conv": {"out": f"={total} - u + 1", "kernel": 1}},
            "cat{u}": {
                self.rng.choice(["add", "concat"]): ["dec{u}", "enc{" + total + " - 1 - u}"]
            },
        }
        self.put({"repeat": {"times": times, "index": "u"}, "inline": up}, self.cur, certain=False)
        return None

    def gather(self, inputs: dict[str, Type]) -> None:
        """Bring several inputs together."""
        out = self.writer.whole(self.place)
        names = []
        for name, given in inputs.items():
            self.cur = given
            args: dict[str, Yaml] = {"out": self.writer.value(out)}
            node = {"linear": args} if given.rank == 0 else {"conv": {**args, "kernel": 1}}
            label = self.put({"from": name, **node}, replace(given, channels=out))
            if given.rank:
                size = 3
                self.put(
                    {"adaptive_avg_pool": size},
                    replace(self.cur, spatial=(size,) * given.rank),
                )
                label = self.last
            names.append(label)
        kind = self.rng.choice(["add", "concat", "mul"])
        channels = out if kind != "concat" else None
        self.put({kind: names}, replace(self.cur, channels=channels))
