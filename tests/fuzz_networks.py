"""Random networks as spec text, valid by construction as far as that is cheap to arrange.

A `Type` says what the writer knows of a value; what it does not know is None, or a token that
stands for some spatial sizes. Formulas that are written for a size are valid for every value that
their names can have, so that blocks, repeats and parameters may be combined freely.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

Yaml: TypeAlias = Any  # str, number, bool, None (a key alone), list or dict of these
Spatial: TypeAlias = tuple[int, ...] | int  # sizes, or a token for sizes that nobody knows

NAMES = """
    conv bn relu a b c left right tower stem fc head pool features layer class forward train
    type self x out 1x1 0 7 12 a-b block1-0 lambda None True def name layers keras add torch F
    nn append pop keys items values eval half _modules _x __init__ T_destination print len math
    in_channels channels stride value branch super return getattr is body from when repeat share
    inline on no true input_ input-1 mul sigmoid pad shift identity Model initialize weight bias
    running_mean dropout nn-x count index Sequence clear update copy load_state_dict zero_grad
    to cpu float double device build inputs outputs kernel_size data shape grad bn1 conv1 conv2
    up0 enc0
""".split()
PARAMS = """
    n m w width out depth stride_ lambda self def x torch name layers np keras k class_ inputs
    nn F math in_channels channels getattr getattr_ rate act kind groups growth each list str
    None_ is_ value branch super index i_ row type init shape kernel tuple print Any model aux
    training
""".split()
INDICES = "i j s stage level t d idx lambda_ u x2".split()
ACTIVATIONS = """
    relu relu6 sigmoid hard_sigmoid silu hard_swish gelu tanh abs softplus mish leaky_relu elu
    identity
""".split()
INITS: list[Yaml] = [
    "zeros",
    "ones",
    {"constant": 0.5},
    {"normal": 0.3},
    {"normal": {"std": 0.2}},
    {"uniform": {"low": -1, "high": 0.5}},
    {"truncated_normal": {"std": 0.5, "low": -1, "high": 1.5}},
]
FAN_INITS: list[Yaml] = [
    {"kaiming_normal": {"mode": "fan_out"}},
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
    {"variance_scaling": {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform"}},
    "fan_in_uniform",
]


@dataclass(frozen=True)
class Type:
    """Rank (None: some map), channels (a number, a formula, or None) and spatial sizes."""

    rank: int | None
    channels: int | str | None
    spatial: Spatial


@dataclass
class Place:
    """What a node can name: in formulas and as values."""

    ints: list[str] = field(default_factory=list)
    bools: list[str] = field(default_factory=list)
    floats: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    values: dict[str, Type] = field(default_factory=dict)
    shared: dict[str, tuple[Type, Type]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    formula_names: set[str] = field(default_factory=set)
    received: Type | None = None
    number: int | None = 0  # of the next child of a list, if it is known
    depth: int = 0

    def inside(self, **changes: Any) -> Place:
        copies = {
            name: list(getattr(self, name))
            for name in ("ints", "bools", "floats", "lists", "texts", "kinds")
        }
        more = {"formula_names": set(self.formula_names), "depth": self.depth + 1}
        return replace(self, **{**copies, **more, **changes})

    def group(self) -> Place:
        values, shared = dict(self.values), dict(self.shared)
        return self.inside(values=values, shared=shared, taken=set(), number=0)

    def bind(self, name: str, value: Type | None) -> None:
        """Name a value; what an outer value of this name led to is hidden."""
        self.taken.add(name)
        for table in (self.values, self.shared):
            for known in [k for k in table if k == name or k.startswith(f"{name}.")]:
                del table[known]
        if value is not None:
            self.values[name] = value


@dataclass
class Block:
    """A block as its callers see it; `out` is a parameter, "same", a number or None."""

    name: str
    params: list[tuple[str, str, bool]]  # name, type, required
    rank: int | None
    out_rank: int | None
    out: int | str | None
    keeps_spatial: bool
    out_spatial: tuple[int, ...] | None


class Writer:
    """Writes one random spec; `files` holds it under `net.yaml`, and its library if it has one."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tokens = 0
        self.blocks: list[Block] = []
        self.library: list[str] = []
        self.budget = 40

    # -- small choices ----------------------------------------------------------------------

    def maybe(self, chance: float) -> bool:
        return self.rng.random() < chance

    def token(self) -> int:
        self.tokens += 1
        return self.tokens

    def name(self, place: Place) -> str:
        """A name that no sibling has."""
        for _ in range(20):
            name = self.rng.choice(NAMES)
            if name not in place.taken:
                return name
        return self._numbered(lambda n: f"v{n}", place.taken)

    def formula_name(self, place: Place, words: list[str]) -> str:
        for _ in range(20):
            name = self.rng.choice(words)
            if name not in place.formula_names:
                break
        else:
            name = self._numbered(lambda n: f"p{n}", place.formula_names)
        place.formula_names.add(name)
        return name

    def _numbered(self, name: Callable[[int], str], taken: set[str]) -> str:
        return next(name(n) for n in range(1000) if name(n) not in taken)

    # -- formulas ---------------------------------------------------------------------------

    def whole(self, place: Place, simple: bool = False) -> int | str:
        """A positive number, or a formula (without `=`) that gives one."""
        rng = self.rng
        atoms: list[str] = [*place.ints, *(f"len({x})" for x in place.lists)]
        if place.received is not None:
            atoms.append("min(input.channels, 9)")
            if place.received.rank == 2:
                atoms.append("min(input.height, 4)")
        if not atoms or self.maybe(0.45):
            return rng.randint(1, 6)
        a = rng.choice(atoms)
        b = rng.choice([*atoms, str(rng.randint(1, 4))])
        if simple or self.maybe(0.3):
            return a
        forms = [
            f"{a} + {b}",
            f"2 * ({a})" if " " in a else f"2 * {a}",
            f"max({a}, {b})",
            f"min({a} + 1, 6)",
            f"abs(-{a})",
            f"({a} + {b}) % 3 + 1",
            f"-(-{a} // 2)",
            f"2 ** min({a}, 3)",
            f"make_divisible({a} * 1.5, 2)",
            f"ceil({a} / 2)",
            f"floor(sqrt({a} * 4))",
            f"range({a} + 1)[{a}] + 1",
            f"3 if {a} > 2 else {b} + 1",
            f"{a} if {self.condition(place)} else {b}",
            f"sum(range({a})) % 7 + 1",
            f"[q9 * 2 for q9 in [{a}, {b}]][1]",
            f"len([{a}, {b}, 1][1:]) + {b}",
        ]
        if place.lists:
            x = rng.choice(place.lists)
            forms += [f"{x}[0]", f"{x}[-1]", f"{x}[len({x}) - 1]", f"sum({x})", f"max({x})"]
            forms += [f"[2 * q8 for q8 in {x}][0]", f"{x}[:1][0]", f"{x}[{a} % len({x})]"]
        if place.floats:
            forms += [f"round({rng.choice(place.floats)} * 4) + 1"]
        return rng.choice(forms)

    def condition(self, place: Place) -> str:
        """A formula (without `=`) that is true or false."""
        rng = self.rng
        forms = [*place.bools, *(f"not {b}" for b in place.bools)]
        for a in place.ints:
            forms += [f"{a} > 2", f"{a} % 2 == 0", f"{a} != 3 and {a} <= 5"]
        forms += [f"{f} > 0.4" for f in place.floats]
        forms += [f"{t} == 'a'" for t in place.texts]
        forms += [f"len({x}) > 1 or {x}[0] < 3" for x in place.lists]
        if place.received is not None:
            forms += ["input.channels > 4"]
        return rng.choice(forms) if forms else rng.choice(["1 < 2", "2 < 1"])

    def when(self, place: Place) -> Yaml:
        if self.maybe(0.1):
            return self.maybe(0.5)
        return f"={self.condition(place)}"

    def fraction(self, place: Place) -> Yaml:
        if place.floats and self.maybe(0.5):
            return f"={self.rng.choice(place.floats)}"
        if place.ints and self.maybe(0.2):
            return f"=1 / ({self.rng.choice(place.ints)} + 2)"
        return round(self.rng.uniform(0.05, 0.9), 2)

    def value(self, number: int | str) -> Yaml:
        return number if isinstance(number, int) else f"={number}"

    def initialiser(self, place: Place, fans: bool) -> Yaml:
        if place.floats and self.maybe(0.3):
            return {"normal": {"std": f"={self.rng.choice(place.floats)}"}}
        return self.rng.choice([*INITS, *(FAN_INITS if fans else [])])

    # -- ops --------------------------------------------------------------------------------

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

    def _plain(self, value: Yaml) -> int | str:
        return value[1:] if isinstance(value, str) else int(value)

    def reduction(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        """What changes sizes, and works at every size."""
        rng, rank = self.rng, cur.rank
        kinds = ["conv", "conv", "max_pool", "avg_pool", "adaptive", "global", "flatten"]
        kinds += ["conv_transpose", "resize", "pad", "exact"]
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

    def cut(self, place: Place, cur: Type) -> tuple[Yaml, Type]:
        assert cur.channels is not None
        if isinstance(cur.channels, int) and cur.channels > 1:
            start = self.rng.randrange(cur.channels - 1)
            stop = self.rng.randint(start + 1, cur.channels)
            args = {"start": start, "stop": stop} if start else {"stop": stop}
            return self.call("slice", args), replace(cur, channels=stop - start)
        half = f"(({cur.channels}) + 1) // 2"
        return self.call("slice", {"stop": f"={half}"}), replace(cur, channels=half)

    # -- bodies -----------------------------------------------------------------------------

    def body(
        self, place: Place, cur: Type, count: int, keep: str, named: bool | None = None
    ) -> tuple[Yaml, Type]:
        """A body of about `count` nodes."""
        named = self.maybe(0.5) if named is None else named
        maker = Body(self, place, cur, keep, named)
        for _ in range(count):
            maker.grow()
        if not maker.items:
            maker.put(*self.op(place, cur, keep))
        return maker.finished(), maker.cur

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
        body, end = self.body(place, start, self.rng.randint(1, 4), keep)
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

    # -- the model --------------------------------------------------------------------------

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


class Body:
    """Nodes one after the other. `own` are the names bound here and certain to be there."""

    def __init__(self, writer: Writer, place: Place, cur: Type, keep: str, named: bool) -> None:
        self.writer = writer
        self.rng = writer.rng
        self.place = place
        self.cur = cur
        self.keep = keep
        self.named = named
        self.items: list[tuple[str | None, Yaml]] = []
        self.own: set[str] = set()
        self.last: str | None = None

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

    # -- one more node ----------------------------------------------------------------------

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
            for inside in maker.own:
                self.place.values[f"{name}.{inside}"] = inner.values[inside]
            self.place.shared[name] = (start, self.cur)

    def _group_node(self, body: Yaml, word: str) -> Yaml:
        if word == "body" and isinstance(body, list) and self.writer.maybe(0.6):
            return body
        return {word: body}

    def inline(self) -> None:
        made, end = self.nested_inline(self.keep)
        self.put({"inline": made}, end, counts=False)

    def nested_inline(self, keep: str) -> tuple[Yaml, Type]:
        place = self.place
        before = dict(place.values)
        body, end = self.writer.body(
            place, self.cur, self.rng.randint(1, 2), keep, self.named or self.writer.maybe(0.0)
        )
        for name in list(place.values):
            if name not in before:  # seen outside, but its copy may be left out
                place.values[name] = place.values[name]
        return body, end

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

    # -- joins ------------------------------------------------------------------------------

    def branch(self, keep: str, channels: int | str | None) -> dict[str, Yaml]:
        """A branch of named nodes; with `channels` it ends in a layer of so many."""
        maker = Body(self.writer, self.place, self.cur, keep, True)
        maker.place.depth += 1
        for _ in range(self.rng.randint(0 if channels is not None else 1, 2)):
            maker.grow()
        if channels is not None or not maker.items:
            maker.layer(channels if channels is not None else self.writer.whole(self.place))
        maker.place.depth -= 1
        found: dict[str, Yaml] = maker.finished()
        self.branch_end = maker.cur
        return found

    def layer(self, channels: int | str) -> None:
        out = self.writer.value(channels)
        args: dict[str, Yaml] = {"out": out}
        if self.cur.rank == 0:
            node = self.writer.call("linear", args)
        else:
            node = self.writer.call("conv", {**args, "kernel": 1}, required=2)
        self.put(node, replace(self.cur, channels=channels))

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
                branches.append(self.branch("all", None) if False else {self._fresh(): "identity"})
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

    def _fresh(self) -> str:
        name = self.writer.name(self.place)
        self.place.bind(name, self.cur)
        return name

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

    # -- other dataflow ---------------------------------------------------------------------

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

    # -- repeats ----------------------------------------------------------------------------

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
            body, end = writer.body(group, start, rng.randint(1, 3), keep)
            node = self._group_node(body, "body")
        elif form == "inline" and self.named:
            body, end = self.chain(inner, index, start, keep)
            node, template = {"inline": body}, word
        elif form == "inline":
            inner.number = None
            body, end = writer.body(inner, start, rng.randint(1, 3), keep, False)
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


# -- YAML -----------------------------------------------------------------------------------

_SAFE = re.compile(r"=?[A-Za-z_][A-Za-z0-9_.]*|=[A-Za-z_0-9 +*/().<>%-]*[A-Za-z_0-9)]")
_RISKY = frozenset("true false null on no".split())


def dumped(value: Yaml, rng: random.Random, indent: int = 0, flow: bool = False) -> str:
    """YAML text of plain data, in flow or block style at random."""
    pad = "  " * indent
    if isinstance(value, dict) and not value:
        return "{}"
    flow = flow or (isinstance(value, (dict, list)) and rng.random() < 0.25 and indent > 1)
    if isinstance(value, dict) and flow:
        pairs = [f"{_key(k)}: {dumped(v, rng, 0, True)}" for k, v in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list) and (flow or not value):
        return "[" + ", ".join(dumped(v, rng, 0, True) for v in value) + "]"
    if isinstance(value, dict):
        lines = []
        for key, inner in value.items():
            text = dumped(inner, rng, indent + 1)
            lines.append(f"{pad}{_key(key)}:{text if text.startswith(chr(10)) else ' ' + text}")
        return "\n" + "\n".join(lines)
    if isinstance(value, list):
        lines = []
        for inner in value:
            text = dumped(inner, rng, indent + 1)
            if text.startswith("\n"):
                text = text[1:].replace("  " * (indent + 1), "", 1)
            lines.append(f"{pad}- {text}")
        return "\n" + "\n".join(lines)
    return _scalar(value)


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_][\w-]*", text) else json.dumps(text)


def _scalar(value: Yaml) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and _SAFE.fullmatch(value) and value.lower() not in _RISKY:
        return value
    return json.dumps(value)


def network(seed: int) -> dict[str, str]:
    """The files of a random network: `net.yaml`, and `library.yaml` if it includes one."""
    writer = Writer(seed)
    spec, library = writer.spec()
    files = {"net.yaml": dumped(spec, writer.rng).lstrip("\n") + "\n"}
    if library is not None:
        files["library.yaml"] = dumped(library, writer.rng).lstrip("\n") + "\n"
    return files
