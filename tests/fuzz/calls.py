"""A random node on a value: an op, or a block with its arguments."""

from __future__ import annotations

from dataclasses import replace

from tests.fuzz.choices import ACTIVATIONS
from tests.fuzz.layers import Layers
from tests.fuzz.place import Block, Place, Spatial, Type, Yaml


class Calls(Layers):
    """Writes calls of any op, and of the blocks that there are."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.blocks: list[Block] = []
        self.budget = 40  # nodes; after them only simple ones follow

    def op(self, place: Place, cur: Type, keep: str) -> tuple[Yaml, Type]:
        """An op on a value; `keep` is "all", "spatial" or "" for what must stay as it is."""
        choices = [self.activation, self.norm, self.regulariser, self.elementwise]
        if cur.rank != 0:
            choices += [self.window_that_keeps] * 2
            if keep != "all":
                choices += [self.convolution] * 5
            if keep == "":
                choices += [self.reduction] * 2
        elif keep != "all":
            choices += [self.linear] * 3
        if keep != "all" and cur.channels is not None:
            choices += [self.cut]
        return self.rng.choice(choices)(place, cur)

    def activation(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        rng = self.rng
        kinds = [f"={k}" for k in place.kinds]
        kind = rng.choice(kinds) if kinds and self.maybe(0.4) else rng.choice(ACTIVATIONS)
        args: dict[str, Yaml] = {}
        if kind == "leaky_relu" and self.maybe(0.5):
            args["slope"] = self.fraction(place)
        if kind == "elu" and self.maybe(0.5):
            args["alpha"] = self.fraction(place)
        return self.call(kind, args, required=0), cur

    def norm(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        kind = self.rng.choice(["batch_norm"] * 3 + ["layer_norm", "prelu"])
        args: dict[str, Yaml] = {}
        if kind == "batch_norm" and self.maybe(0.2):
            args["scale"] = self.maybe(0.5)
        if kind == "batch_norm" and self.maybe(0.2):
            args["momentum"] = self.fraction(place)
        if kind != "prelu" and self.maybe(0.3):
            args["eps"] = self.fraction(place)
        if self.maybe(0.2):
            args["weight_init"] = self.initialiser(place, fans=False)
        return self.call(kind, args, required=0), cur

    def regulariser(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        kind = self.rng.choice(["dropout", "stochastic_depth"])
        return self.call(kind, {"rate": self.fraction(place)}), cur

    def elementwise(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        kind = self.rng.choice(["normalize", "affine", "softmax", "log_softmax", "lrn", "shuffle"])
        if kind == "normalize":
            args = {"mean": 0.25, "std": self.fraction(place)}
            if isinstance(cur.channels, int) and self.maybe(0.5):
                args["mean"] = [round(self.rng.uniform(-1, 1), 2) for _ in range(cur.channels)]
            return self.call(kind, args, required=2), cur
        if kind == "affine":
            return self.call(kind, {"scale": self.fraction(place)}), cur
        if kind == "lrn" and cur.rank != 0:
            args = {"size": self.value(self.whole(place)), "alpha": self.fraction(place)}
            return self.call("local_response_norm", args), cur
        if kind == "shuffle" and cur.channels is not None:
            groups = cur.channels if isinstance(cur.channels, int) else f"{cur.channels}"
            return self.call("channel_shuffle", {"groups": self.value(groups)}), cur
        return self.call("log_softmax" if kind == "log_softmax" else "softmax", {}), cur

    def cut(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        assert cur.channels is not None
        if isinstance(cur.channels, int) and cur.channels > 1:
            start = self.rng.randrange(cur.channels - 1)
            stop = self.rng.randint(start + 1, cur.channels)
            args = {"start": start, "stop": stop} if start else {"stop": stop}
            return self.call("slice", args), replace(cur, channels=stop - start)
        half = f"(({cur.channels}) + 1) // 2"
        return self.call("slice", {"stop": f"={half}"}), replace(cur, channels=half)

    def block_call(self, place: Place, cur: Type, keep: str) -> tuple[Yaml, Type] | None:
        fitting = [
            b
            for b in self.blocks
            if (b.rank == cur.rank or (b.rank is None and cur.rank != 0))
            and (not keep or b.keeps_spatial)
            and (keep != "all" or b.out == "same")
        ]
        if not fitting:
            return None
        block = self.rng.choice(fitting)
        args = {}
        for name, kind, required in block.params:
            if required or self.maybe(0.5):
                args[name] = self.argument(place, kind)
        required_count = sum(required for _, _, required in block.params)
        out: int | str | None = None
        if block.out == "same":
            out = cur.channels
        elif isinstance(block.out, int):
            out = block.out
        elif block.out in args:
            out = self._plain(args[block.out])
        spatial: Spatial = self.token() if block.out_spatial is None else block.out_spatial
        spatial = cur.spatial if block.keeps_spatial else spatial
        rank = cur.rank if block.out_rank is None else block.out_rank
        if rank == 0:
            spatial = ()
        return self.call(block.name, args, required_count), Type(rank, out, spatial)

    def argument(self, place: Place, kind: str) -> Yaml:
        """A value for a block's parameter."""
        rng = self.rng
        match kind:
            case "int":
                return self.value(self.whole(place))
            case "float":
                return self.fraction(place)
            case "bool":
                plain = place.depth < 0 or self.maybe(0.5)
                return self.maybe(0.5) if plain else f"={self.condition(place)}"
            case "list":
                if place.lists and self.maybe(0.5):
                    return f"={rng.choice(place.lists)}"
                return [rng.randint(1, 4) for _ in range(rng.randint(1, 3))]
            case "text":
                if place.texts and self.maybe(0.5):
                    return f"={rng.choice(place.texts)}"
                return rng.choice("ab")
            case "axes":
                return rng.choice([1, 1, 2])
        if place.kinds and self.maybe(0.4):
            return f"={rng.choice(place.kinds)}"
        return rng.choice(ACTIVATIONS)
