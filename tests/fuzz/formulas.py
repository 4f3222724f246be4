"""Random formulas.

One that is written for a size is valid for every value that its names can have, so that blocks,
repeats and parameters may be combined freely.
"""

from __future__ import annotations

from tests.fuzz.choices import FAN_INITS, INITS, Choices
from tests.fuzz.place import Place, Yaml


class Formulas(Choices):
    """Writes attributes: numbers, or formulas of what a place can name."""

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

    def _plain(self, value: Yaml) -> int | str:
        return value[1:] if isinstance(value, str) else int(value)

    def initialiser(self, place: Place, fans: bool) -> Yaml:
        if place.floats and self.maybe(0.3):
            return {"normal": {"std": f"={self.rng.choice(place.floats)}"}}
        return self.rng.choice([*INITS, *(FAN_INITS if fans else [])])
