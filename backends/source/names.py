"""Python names in one routine: each spec name has one, and new locals take none of them."""

from __future__ import annotations

import builtins
import re
from collections.abc import Collection

from netspec.backends.source.plan import Routine
from netspec.backends.source.python import atom, code, identifier
from netspec.backends.source.symbols import IN_CHANNELS
from netspec.formula import Expr, InputShape, Name, free

_BUILTINS = frozenset(dir(builtins))


class Names:
    """Gives Python names to a routine's names, and notes which of them code mentions.

    Without `parameters`, the names of parameters and lets are free for variables. Variables of our
    own give way to parameters, whose names are public.
    """

    def __init__(self, routine: Routine, taken: frozenset[str], *, parameters: bool = True) -> None:
        self.routine = routine
        own = (*(p.name for p in routine.params), *(let.name for let in routine.lets))
        self.in_channels = _beside(own, "in_channels", "input_channels")
        self.carried = _beside(own, "channels", "carried_channels")
        # `super()` needs the name `__class__` as it is.
        self.taken = set(taken | _BUILTINS | {self.in_channels, self.carried, "__class__"})
        self.known: dict[str, str] = {}
        for name in own if parameters else ():
            self.spell(name)

    def name(self, spec_name: str) -> str:
        """The Python name of a parameter, let or loop name; `$in` and `$c1` have theirs."""
        self.routine.used.add(spec_name)
        return self.spell(spec_name)

    def spell(self, spec_name: str) -> str:
        """The same without noting that code mentions it."""
        if spec_name == IN_CHANNELS:
            return self.in_channels
        if spec_name in self.routine.spelt_as:
            return self.spell(self.routine.spelt_as[spec_name])
        if spec_name.startswith("$c"):
            number = spec_name[2:]
            return self.carried if number == "1" else f"{self.carried}_{number}"
        if spec_name not in self.known:
            # A parameter `layers` is `layers_` beside `keras.layers`, never `layers_2`.
            self.known[spec_name] = self.new(identifier(spec_name, frozenset(self.taken)))
        return self.known[spec_name]

    def is_free(self, wanted: str) -> bool:
        """Whether `new` would give a variable this very name."""
        return wanted.isidentifier() and identifier(wanted, frozenset(self.taken)) == wanted

    def new(self, wanted: str) -> str:
        """A Python name that nothing else here has."""
        base = identifier(wanted, frozenset(self.taken & _BUILTINS))
        name, number = base, 2
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        return name

    def code(self, expr: Expr) -> str:
        """An expression as code fit for an argument."""
        return code(expr, self.name, _no_shape)

    def atom(self, expr: Expr) -> str:
        """An expression as one term."""
        return atom(expr, self.name, _no_shape)

    def template(self, parts: tuple[str | Expr, ...], prefix: str = "") -> str:
        """A child's name as code: a literal, or an f-string."""
        if prefix == "" and all(isinstance(part, str) for part in parts):
            return '"' + "".join(part for part in parts if isinstance(part, str)) + '"'
        codes = [p if isinstance(p, str) else self.code(p) for p in parts]
        pairs = list(zip(parts, codes, strict=True))
        # Before Python 3.12 an f-string's parts may hold neither its quotes nor a backslash.
        if any(re.search(r"[\"'\\]", c) for p, c in pairs if not isinstance(p, str)):
            terms = [f'"{c}"' if isinstance(p, str) else f"str({c})" for p, c in pairs]
            return " + ".join([f'f"{prefix}"', *terms] if prefix else terms)
        texts = [c if isinstance(p, str) else f"{{{c}}}" for p, c in pairs]
        return f'f"{prefix}{"".join(texts)}"'


def _beside(own: Collection[str], wanted: str, other: str) -> str:
    """The name that is wanted, or another, if a routine has it itself."""
    if wanted not in own:
        return wanted
    while other in own:
        other += "_"
    return other


def _no_shape(axis: str) -> str:
    raise AssertionError(f"input.{axis} is replaced before code is made")


def mentions(expr: Expr) -> set[str]:
    """The names that an expression reads."""
    return {n.name for n in free(expr) if not isinstance(n, InputShape)}


__all__ = ["Name", "Names", "mentions"]
