"""Mistakes in generated source: a piece of its text, and what stands there instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

TABLE = Path(__file__).with_name("sources.yaml")
LOADED = "    model.load_state_dict(load_file(path))"
CHANGED = "    state = load_file(path)\n    {}\n    model.load_state_dict(state)"


@dataclass(frozen=True, slots=True)
class SourceMutant:
    """What `backend` generates for `network`, with `new` for `old` once; `node` is to blame."""

    name: str
    node: str
    network: str
    backend: str
    old: str
    new: str

    @property
    def where(self) -> str:
        return f"{self.network}, {self.backend} source"

    def applied(self, text: str) -> str:
        """The wrong source.

        Raises:
            ValueError: the right one does not have the piece.
        """
        if self.old not in text:
            raise ValueError(f"{self.name}: the {self.where} has no {self.old!r}")
        return text.replace(self.old, self.new, 1)


def source_mutants() -> Iterator[SourceMutant]:
    """The mistakes of the table."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    for network, backends in table.items():
        for backend, rows in backends.items():
            for name, node, old, new in rows:
                if old == "LOADED":
                    old, new = LOADED, CHANGED.format(new)
                yield SourceMutant(name, node, network, backend, old, new)
