"""Data classes that cost little at start.

`netspec check` answers within a blink, and most of its own start was spent on making data classes:
enforcing that they are frozen takes two thirds of that. Type checkers still hold every field
read-only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A data class with slots; fields are read-only to type checkers, and identity is equality."""
    return dataclass(slots=True, eq=False, repr=False)(cls)


@dataclass_transform(eq_default=True, frozen_default=True, field_specifiers=(field,))
def value_record(cls: type[T]) -> type[T]:
    """The same, equal where all fields are."""
    return dataclass(slots=True, unsafe_hash=True, repr=False)(cls)
