"""Random repeats: counted, over lists and over rows, with names that carry the index."""

from __future__ import annotations

from dataclasses import replace

from tests.fuzz.choices import ACTIVATIONS, INDICES, PARAMS
from tests.fuzz.nodes import Nodes
from tests.fuzz.place import Place, Type, Yaml


class Repeats(Nodes):
    """Grows by nodes that are there several times."""

    def loop(self) -> tuple[Yaml, Place, str]:
        """A `repeat`, the place inside it and the name of its index."""
        writer, rng, inner = self.writer, self.rng, self.place.inside()
        form = rng.choice(["count", "count", "times", "each", "rows", "maps", "list"])
        index = "i"
        repeat: dict[str, Yaml] = {}
        if "i" in inner.formula_names or form != "count":
            index = writer.formula_name(inner, INDICES)
            repeat = {"index": index}
        inner.formula_names.add(index)
        count: Yaml = rng.choice([0, 1, 2, 2, 3])
        if self.place.ints and writer.maybe(0.6):
            count = f"={rng.choice(self.place.ints)} % 4"
        match form:
            case "each":
                name = writer.formula_name(inner, PARAMS)
                repeat |= {"each": [rng.randint(1, 4) for _ in range(rng.randint(0, 3))]}
                repeat["as"] = name
                inner.ints.append(name)
            case "rows":
                names = [writer.formula_name(inner, PARAMS) for _ in range(2)]
                rows = [[rng.randint(1, 4), writer.maybe(0.5)] for _ in range(rng.randint(1, 3))]
                repeat |= {"each": rows, "as": names}
                inner.ints.append(names[0])
                inner.bools.append(names[1])
            case "maps":
                names = [writer.formula_name(inner, PARAMS) for _ in range(2)]
                repeat["each"] = [
                    {names[0]: rng.randint(1, 4), names[1]: rng.choice(ACTIVATIONS)}
                    for _ in range(rng.randint(1, 3))
                ]
                inner.ints.append(names[0])
                inner.kinds.append(names[1])
            case "list" if self.place.lists:
                name = writer.formula_name(inner, PARAMS)
                source = rng.choice(self.place.lists)
                formula = [source, f"[q7 + 1 for q7 in {source}]", f"{source}[:2]"]
                repeat |= {"each": f"={rng.choice(formula)}", "as": name}
                inner.ints.append(name)
            case "count" if not repeat:
                inner.ints.append(f"({index} + 1)")
                return count, inner, index
            case _:
                repeat["times"] = count
        inner.ints.append(f"({index} + 1)")
        return repeat, inner, index

    def repeat(self) -> None:
        writer, rng = self.writer, self.rng
        repeat, inner, index = self.loop()
        keep = rng.choice(["all", "spatial"]) if self.keep != "all" else "all"
        word = self.writer.name(self.place)
        template = rng.choice([f"{word}{{{index}}}", f"{word}_{{{index} + 1}}"])
        if writer.maybe(0.1):
            template = rng.choice([f"{{{index}}}", f"{word}-{{{index}}}x"])
        values, shared = dict(self.place.values), dict(self.place.shared)
        start = self.cur if keep == "all" else replace(self.cur, channels=None)
        form = rng.choice(["op", "op", "block", "group", "inline", "join"])
        end = start
        node: Yaml = None
        if form == "block" and (call := writer.block_call(inner, start, keep)):
            node, end = call
        elif form == "group":
            group = inner.group()
            body, end = self.body(writer, group, start, rng.randint(1, 3), keep)
            node = self._group_node(body, "body")
        elif form == "inline" and self.named:
            body, end = self.chain(inner, index, start, keep)
            node, template = {"inline": body}, word
        elif form == "inline":
            inner.number = None
            body, end = self.body(writer, inner, start, rng.randint(1, 3), keep, False)
            node = {"inline": body}
        elif form == "join" and self.named:
            body, end = self.chain(inner, index, start, "spatial" if keep else keep)
            kind = "concat" if keep != "all" else "add"
            if kind == "concat" or end == start:
                other = {f"{self.writer.name(inner)}_{{{index}}}o": "identity"}
                node = {kind: [other, body]}
                end = replace(start, channels=None) if kind == "concat" else end
        if node is None:
            node, end = writer.op(inner, start, keep)
        self.place.taken.add(word)
        self.place.values, self.place.shared = values, shared
        modifiers: dict[str, Yaml] = {"repeat": repeat}
        if writer.maybe(0.2) and end == start:
            modifiers["when"] = writer.when(inner)
        key = template if self.named else None
        made = self.cur if end == self.cur else replace(end, channels=None)
        self.put(self.modified(node, modifiers), made, counts=None, certain=False, key=key)

    def chain(self, place: Place, index: str, start: Type, keep: str) -> tuple[Yaml, Type]:
        """A named chain whose names carry an index."""
        body, cur = {}, start
        for _ in range(self.rng.randint(1, 3)):
            made = self.writer.block_call(place, cur, keep) if self.writer.maybe(0.3) else None
            node, cur = made or self.writer.op(place, cur, keep)
            name = self.writer.name(self.place)
            self.place.taken.add(name)
            if self.writer.maybe(0.2) and keep == "all":
                node = self.modified(node, {"when": self.writer.when(place)})
            body[f"{name}{{{index}}}"] = node
        return body, cur
