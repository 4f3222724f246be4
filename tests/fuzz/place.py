"""What the writer of a spec knows of the place where it writes.

A `Type` says what the writer knows of a value; what it does not know is None, or a token that
stands for some spatial sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

Yaml: TypeAlias = Any  # str, number, bool, None (a key alone), list or dict of these
Spatial: TypeAlias = tuple[int, ...] | int  # sizes, or a token for sizes that nobody knows


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
