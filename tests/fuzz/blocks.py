"""Random blocks and parameters: what is declared before it is used."""

from __future__ import annotations

from typing import Any

from tests.fuzz.body import Body
from tests.fuzz.calls import Calls
from tests.fuzz.choices import PARAMS
from tests.fuzz.place import Block, Place, Type, Yaml


class Blocks(Calls):
    """Writes declarations."""

    def declare(self, place: Place, count: int, of_model: bool) -> tuple[dict[str, Yaml], Any]:
        """Parameters with their defaults, put in the place."""
        rng, declared, params = self.rng, {}, []
        for _ in range(count):
            kind = rng.choice(["int", "int", "int", "list", "bool", "float", "kind", "text"])
            name = self.formula_name(place, PARAMS)
            required = not of_model and self.maybe(0.5)
            default = self.argument(Place(depth=-1), kind)
            declared[name] = self.declaration(kind, default, required)
            params.append((name, kind, required))
            getattr(place, f"{kind}s").append(name)
        return declared, params

    def declaration(self, kind: str, default: Yaml, required: bool) -> Yaml:
        if required:
            return kind if self.maybe(0.7) else {"type": kind}
        if kind == "text":
            return {"type": "text", "default": default, "choices": ["a", "b"]}
        if kind == "kind" or self.maybe(0.2):
            return {"type": kind, "default": default}
        return default

    def lets(self, place: Place) -> dict[str, Yaml]:
        found: dict[str, Yaml] = {}
        for _ in range(self.rng.randint(0, 2)):
            if self.maybe(0.3):
                items = [self.whole(place), self.whole(place)]
                text: Yaml = f"=[{items[0]}, {items[1]}]"
                if self.maybe(0.3):
                    text = [self.value(item) for item in items]
                name = self.formula_name(place, PARAMS)
                place.lists.append(name)
            elif self.maybe(0.3):
                text = f"={self.condition(place)}"
                name = self.formula_name(place, PARAMS)
                place.bools.append(name)
            else:
                text = self.value(self.whole(place))
                name = self.formula_name(place, PARAMS)
                place.ints.append(name)
            found[name] = text
        return found

    def block(self) -> dict[str, Yaml]:
        """A block; blocks before it may be called in it."""
        rank = self.rng.choice([None, None, None, 2, 2, 0, 1])
        place = Place()
        params, listed = self.declare(place, self.rng.randint(0, 3), of_model=False)
        start = Type(rank, "input.channels", () if rank == 0 else self.token())
        place.received = start
        text: dict[str, Yaml] = {"params": params} if params else {}
        if self.maybe(0.4) and (lets := self.lets(place)):
            text["let"] = lets
        keep = self.rng.choice(["", "spatial", "spatial", "all"])
        body, end = Body.body(self, place, start, self.rng.randint(1, 4), keep)
        text["body"] = body
        out = end.channels
        names = [p for p, _, _ in listed]
        if out == "input.channels":
            out = "same"
        elif isinstance(out, str) and out not in names:
            out = None
        name = f"{self.rng.choice(['unit', 'Fire', 'dense', 'Conv', 'keras', 'head', 'Relu'])}"
        name = f"{name}{len(self.blocks)}" if self.maybe(0.6) or self._known(name) else name
        keeps = end.spatial == start.spatial and end.rank == start.rank
        out_rank = end.rank if end.rank != rank or rank is not None else None
        fixed = end.spatial if isinstance(end.spatial, tuple) else None
        self.blocks.append(Block(name, listed, rank, out_rank, out, keeps, fixed))
        return text

    def _known(self, name: str) -> bool:
        return any(block.name == name for block in self.blocks)
