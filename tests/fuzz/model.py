"""A random model: inputs, parameters, blocks or a library, a body, outputs."""

from __future__ import annotations

from tests.fuzz.blocks import Blocks
from tests.fuzz.body import Body
from tests.fuzz.choices import ACTIVATIONS
from tests.fuzz.place import Place, Type, Yaml
from tests.fuzz.text import dumped


def network(seed: int) -> dict[str, str]:
    """The files of a random network: `net.yaml`, and `library.yaml` if it includes one."""
    writer = Writer(seed)
    spec, library = writer.spec()
    files = {"net.yaml": dumped(spec, writer.rng).lstrip("\n") + "\n"}
    if library is not None:
        files["library.yaml"] = dumped(library, writer.rng).lstrip("\n") + "\n"
    return files


class Writer(Blocks):
    """Writes one random spec."""

    def spec(self) -> tuple[dict[str, Yaml], dict[str, Yaml] | None]:
        """The model, and the library that it includes."""
        rng = self.rng
        spec: dict[str, Yaml] = {"netspec": 1, "name": rng.choice(["net", "class", "Unit", "a-1"])}
        blocks = {}
        for _ in range(rng.randint(0, 4)):
            text = self.block()
            blocks[self.blocks[-1].name] = text
        place = Place()
        params, _ = self.declare(place, rng.randint(0, 4), of_model=True)
        count = rng.choice([1, 1, 1, 2, 3])
        inputs = self.inputs(place, count)
        self.input_names = set(inputs)
        lets = self.lets(place) if self.maybe(0.4) else {}
        library = None
        if blocks and self.maybe(0.2):
            library = {"netspec": 1, "blocks": dict(blocks)}
            spec["include"] = {"library.yaml": list(blocks)}
            blocks = {}
        for key, part in (("params", params), ("let", lets)):
            if part:
                spec[key] = part
        if params and self.maybe(0.2):
            chosen = rng.sample(list(params), 1)
            spec["variants"] = {"net_v": {n: self._other(params[n]) for n in chosen}}
        spec["inputs"] = {n: self._shape(t, place) for n, t in inputs.items()}
        if self.maybe(0.25):
            spec["defaults"] = self.defaults(place)
        if blocks:
            spec["blocks"] = blocks
        maker = Body(self, place, next(iter(inputs.values())), "", self.maybe(0.75) or count > 1)
        place.values.update(inputs)
        if count == 1:
            place.received = maker.cur
        else:
            maker.gather(inputs)
        for _ in range(rng.randint(2, 6)):
            maker.grow()
        outputs = self.outputs(maker)
        spec["body"] = maker.finished()
        if outputs:
            spec["outputs"] = outputs
        return spec, library

    def _other(self, declared: Yaml) -> Yaml:
        default = declared["default"] if isinstance(declared, dict) else declared
        match default:
            case bool():
                return not default
            case int():
                return self.rng.randint(1, 5)
            case float():
                return round(self.rng.uniform(0.05, 0.9), 2)
            case list():
                return [self.rng.randint(1, 4) for _ in range(self.rng.randint(1, 3))]
        return "b" if default in ("a", "b") else self.rng.choice(ACTIVATIONS)

    def _shape(self, given: Type, place: Place) -> Yaml:
        assert isinstance(given.spatial, tuple)
        return [given.channels, *given.spatial]

    def inputs(self, place: Place, count: int) -> dict[str, Type]:
        words = ["image", "x", "self", "left", "meta", "a", "out", "class_", "input1", "torch", "i"]
        found: dict[str, Type] = {}
        rank = self.rng.choice([0, 1, 2, 2, 2, 2, 3])
        for _ in range(count):
            name = self.rng.choice([w for w in words if w not in found])
            sizes = tuple(self.rng.randint(3, 9) for _ in range(rank))
            found[name] = Type(rank, self.rng.randint(1, 5), sizes)
            place.taken.add(name)
        return found

    def defaults(self, place: Place) -> dict[str, Yaml]:
        found: dict[str, Yaml] = {}
        if self.maybe(0.5):
            found["conv"] = {"bias": self.maybe(0.5)}
            if self.maybe(0.5):
                found["conv"]["weight_init"] = self.initialiser(place, fans=True)
        if self.maybe(0.5):
            found["batch_norm"] = {"eps": self.fraction(place)}
        if self.maybe(0.3):
            found["dropout"] = {"rate": self.fraction(place)}
        if self.maybe(0.3):
            found["avg_pool"] = {"count_include_pad": False}
        return found

    def outputs(self, maker: Body) -> dict[str, Yaml]:
        """Perhaps named outputs: the last value, some others, and heads for training."""
        if not maker.named or self.maybe(0.5):
            return {}
        rng = self.rng
        found: dict[str, Yaml] = {}
        words = ["out", "y", "class_", "count", "index", "score", "self", "x", "a", "lambda"]
        words = [w for w in words if w not in self.input_names]
        rng.shuffle(words)
        last = maker.label()
        others = [v for v in maker.place.values if v != last and "." not in v]
        extra = [v for v in others if v in maker.own]
        for ref in rng.sample(extra, min(len(extra), rng.randint(0, 2))):
            found[words.pop()] = ref
        for _ in range(rng.randint(0, 2) if extra and self.maybe(0.4) else 0):
            ref = rng.choice(extra)
            node, _ = self.op(maker.place, maker.place.values[ref], "")
            name = self.name(maker.place)
            maker.items.append((name, maker.modified(node, {"from": ref})))
            maker.place.bind(name, None)
            output: dict[str, Yaml] = {"from": name, "only": "training"}
            found[words.pop()] = output
        found[words.pop()] = last
        return found
