"""Random layers and windows: what has a kernel, a weight or a size."""

from __future__ import annotations

from dataclasses import replace

from tests.fuzz.formulas import Formulas
from tests.fuzz.place import Place, Spatial, Type, Yaml


class Layers(Formulas):
    """Writes calls of layers; each method has a node and the type of what it makes."""

    def call(self, kind: str, args: dict[str, Yaml], required: int = 1) -> Yaml:
        """A call in one of the forms that mean the same."""
        if not args:
            return kind if self.maybe(0.8) else {kind: {}}
        if len(args) == 1 and required == 1 and self.maybe(0.5):
            (only,) = args.values()
            if not isinstance(only, (list, dict)):
                return {kind: only}
        shown = {
            k: None if v == f"={k}" and self.maybe(0.8) else v  # a key alone passes its name on
            for k, v in args.items()
        }
        return {kind: shown}

    def convolution(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        """A convolution that keeps the sizes."""
        rng, kernel = self.rng, self.rng.choice([1, 1, 3, 3, 5])
        out = self.whole(place)
        args: dict[str, Yaml] = {"out": self.value(out), "kernel": kernel}
        dilation = rng.choice([1, 1, 2])
        if kernel > 1:
            reach = dilation * (kernel - 1)
            pairs = [[reach // 2 + 1, reach // 2 - 1], [0, reach], [reach, 0]]
            args["padding"] = rng.choice([reach // 2, "same"])
            if cur.rank and self.maybe(0.3):
                args["padding"] = [rng.choice(pairs) for _ in range(cur.rank)]
        if cur.rank and cur.rank > 1 and kernel == 3 and dilation == 1 and self.maybe(0.3):
            args["kernel"] = [1] * (cur.rank - 1) + [3]
            args["padding"] = [0] * (cur.rank - 1) + [1]
        if kernel > 1 and dilation > 1:
            args["dilation"] = dilation
        if cur.channels is not None and self.maybe(0.25):  # depthwise
            args["groups"] = self.value(cur.channels)
            out = f"2 * ({cur.channels})" if self.maybe(0.5) else cur.channels
            args["out"] = self.value(out)
        if self.maybe(0.3):
            args["bias"] = f"={self.condition(place)}" if self.maybe(0.3) else self.maybe(0.5)
        if self.maybe(0.15):
            args["weight_init"] = self.initialiser(place, fans=True)
        if self.maybe(0.1) and args.get("bias", True) is True:
            args["bias_init"] = self.initialiser(place, fans=False)
        kind = "conv"
        if self.maybe(0.1):
            args = {"out": self.value(self.whole(place)), "per_position": True}
            kind, out = "linear", self._plain(args["out"])
        return self.call(kind, args, required=2), replace(cur, channels=out)

    def linear(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        out = self.whole(place)
        args: dict[str, Yaml] = {"out": self.value(out)}
        if self.maybe(0.2):
            args["bias"] = self.maybe(0.5)
        if self.maybe(0.15):
            args["weight_init"] = self.initialiser(place, fans=True)
        if cur.channels is not None and self.maybe(0.15):
            shape = [self.value(cur.channels), 1, 1]
            return {"unflatten": {"shape": shape}}, Type(2, cur.channels, (1, 1))
        return self.call("linear", args), replace(cur, channels=out)

    def window_that_keeps(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        """A window that leaves sizes and channels."""
        rng, kernel = self.rng, self.rng.choice([1, 3, 5])
        kind = rng.choice(["max_pool", "avg_pool", "avg_pool", "shift", "pad"])
        if kind == "shift" and cur.rank == 2:
            return self.call("shift", {"kernel": 1}, required=0), cur
        if kind == "pad":
            args: dict[str, Yaml] = {"padding": 0, "value": self.fraction(place)}
            return self.call("pad", args), cur
        kind = "avg_pool" if kind == "avg_pool" else "max_pool"
        args = {"kernel": kernel, "stride": 1, "padding": rng.choice([kernel // 2, "same"])}
        if cur.rank and self.maybe(0.3):
            args["padding"] = [[kernel // 2, kernel // 2]] * cur.rank
        if kind == "avg_pool" and self.maybe(0.4):
            args["count_include_pad"] = self.maybe(0.5)
        if self.maybe(0.3):
            args["ceil_mode"] = True
        return self.call(kind, args), cur

    def reduction(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        """What changes sizes, and works at every size."""
        rng, rank = self.rng, cur.rank
        kinds = ["conv", "conv", "max_pool", "avg_pool", "adaptive", "global", "flatten"]
        kinds += ["conv_transpose", "resize", "upsample", "pad", "exact"]
        kind = rng.choice(kinds)
        unknown = replace(cur, spatial=self.token())
        if kind == "conv":
            out = self.whole(place)
            args: dict[str, Yaml] = {"out": self.value(out), "kernel": rng.choice([1, 2, 3, 4])}
            args |= {"stride": rng.choice([2, 3]), "padding": "same"}
            if rank and rank > 1 and self.maybe(0.3):
                args["stride"] = [1] * (rank - 1) + [2]
            return self.call("conv", args, required=2), replace(unknown, channels=out)
        if kind in ("max_pool", "avg_pool"):
            args = {"kernel": rng.choice([2, 3]), "padding": "same"}
            if self.maybe(0.5):
                args["stride"] = 2
            if self.maybe(0.3):
                args = {"kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True}
            return self.call(kind, args), unknown
        if kind == "conv_transpose":
            out = self.whole(place)
            stride = rng.choice([1, 2])
            args = {"out": self.value(out), "kernel": rng.choice([2, 3]), "stride": stride}
            if stride > 1 and self.maybe(0.4):
                args["output_padding"] = 1
            return self.call(kind, args, required=2), replace(unknown, channels=out)
        size = rng.randint(1, 5)
        fixed: Spatial = (size,) * rank if rank else self.token()
        if kind == "adaptive":
            return self.call("adaptive_avg_pool", {"size": size}), replace(cur, spatial=fixed)
        if kind == "resize":
            sizes = [rng.randint(1, 6) for _ in range(rank)] if rank else size
            args = {"size": sizes}
            if rank == 2 and self.maybe(0.5):
                args["mode"] = "bilinear"
            made = tuple(sizes) if isinstance(sizes, list) else fixed
            return self.call(kind, args), replace(cur, spatial=made)
        if kind == "upsample":
            args = {"scale": rng.choice([2, 3])}
            if rank == 2 and self.maybe(0.5):
                args["mode"] = "bilinear"
            return self.call(kind, args), unknown
        if kind == "pad":
            value = [[1, 0]] * rank if rank else 1
            return self.call(kind, {"padding": value, "value": self.fraction(place)}), unknown
        if kind == "flatten":
            return "flatten", Type(0, None, ())
        if kind == "exact" and isinstance(cur.spatial, tuple) and min(cur.spatial) >= 3:
            args = {"kernel": 2, "ceil_mode": self.maybe(0.5)}
            if self.maybe(0.5):
                args["stride"] = [rng.choice([1, 2, 3]) for _ in cur.spatial]
            return self.call(rng.choice(["max_pool", "avg_pool"]), args), unknown
        ones: Spatial = (1,) * rank if rank else self.token()
        return self.call("global_avg_pool", {}), replace(cur, spatial=ones)
