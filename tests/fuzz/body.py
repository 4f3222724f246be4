"""A random body: which kind of node comes next, and nodes that hold others."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.dataflow import Dataflow
from tests.fuzz.joins import Joins
from tests.fuzz.place import Type, Yaml
from tests.fuzz.repeats import Repeats


class Body(Joins, Dataflow, Repeats):
    """Grows by any node."""

    def grow(self) -> None:
        writer = self.writer
        writer.budget -= 1
        simple = writer.budget < 0 or self.place.depth > 3
        choices: list[Callable[[], None]] = [self.simple] * 5
        choices += [self.block, self.block, self.conditional, self.conditional]
        if not simple:
            choices += [self.group, self.inline, self.join, self.join, self.repeat, self.repeat]
            choices += [self.shared, self.gate, self.parameter]
            if self.named:
                choices += [self.side, self.side, self.projection, self.staircase]
        self.rng.choice(choices)()

    def group(self, modifiers: dict[str, Yaml] | None = None) -> None:
        inner, start = self.place.group(), self.cur
        keep = "all" if modifiers else self.keep
        maker = Body(self.writer, inner, self.cur, keep, self.writer.maybe(0.5))
        for _ in range(self.rng.randint(1, 3)):
            maker.grow()
        if not maker.items:
            maker.simple()
        node = self._group_node(maker.finished(), "body")
        certain = not modifiers
        if modifiers:
            node = self.modified(node, modifiers)
        name = self.put(node, maker.cur, counts=True if certain else None, certain=certain)
        if name is not None and certain:
            for inside in [value for value in inner.values if value in maker.own]:
                self.place.values[f"{name}.{inside}"] = inner.values[inside]
            self.place.shared[name] = (start, self.cur)

    def inline(self) -> None:
        made, end = self.nested_inline(self.keep)
        self.put({"inline": made}, end, counts=False)

    def nested_inline(self, keep: str) -> tuple[Yaml, Type]:
        count = self.rng.randint(1, 2)
        # No chance, but a draw: what a seed gives depends on every one.
        named = self.named or self.writer.maybe(0.0)
        return self.body(self.writer, self.place, self.cur, count, keep, named)

    def conditional(self) -> None:
        """A node with `when`, which leaves the type as it is."""
        modifiers = {"when": self.writer.when(self.place)}
        if self.place.depth < 3 and self.writer.maybe(0.3):
            self.group(modifiers)
            return
        if self.writer.maybe(0.2) and self.place.depth < 3:
            saved = (dict(self.place.values), dict(self.place.shared))
            made, _ = self.nested_inline("all")
            self.place.values, self.place.shared = saved
            self.put(
                self.modified({"inline": made}, modifiers), self.cur, counts=None, certain=False
            )
            return
        block = self.writer.block_call(self.place, self.cur, "all")
        if block is not None and self.writer.maybe(0.4):
            node, end = block
        else:
            node, end = self.writer.op(self.place, self.cur, "all")
        self.put(self.modified(node, modifiers), end, counts=None, certain=False)
