"""Data classes that cost little at start.

`netspec check` answers within a blink, and most of its own start was spent on making data classes.
These are plain classes with slots and a generated `__init__`: read-only to type checkers, without
inheritance, without default factories.
"""

from __future__ import annotations

from typing import TypeVar, cast, dataclass_transform

T = TypeVar("T")

WITHOUT_SLOTS = ("__dict__", "__weakref__")  # what a class has that its copy must not

INIT = "def __init__(self, {parameters}):\n    {assignments}\n"
VALUE = """\
def __eq__(self, other):
    if other.__class__ is not self.__class__:
        return NotImplemented
    return ({own}) == ({others})

def __hash__(self):
    return hash(({own}))
"""


@dataclass_transform(eq_default=False, frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A data class with slots; fields are read-only to type checkers, and identity is equality."""
    return _with_slots(cls, INIT)


@dataclass_transform(eq_default=True, frozen_default=True)
def value_record(cls: type[T]) -> type[T]:
    """The same, equal where all fields are."""
    return _with_slots(cls, INIT + VALUE)


def _with_slots(cls: type[T], methods: str) -> type[T]:
    names = tuple(cls.__annotations__)
    members = {key: value for key, value in vars(cls).items() if key not in WITHOUT_SLOTS}
    defaults = {f"_{name}": members.pop(name) for name in names if name in members}
    text = methods.format(
        parameters=", ".join(f"{n}=_{n}" if f"_{n}" in defaults else n for n in names),
        assignments="; ".join(f"self.{name} = {name}" for name in names),
        own=" ".join(f"self.{name}," for name in names),
        others=" ".join(f"other.{name}," for name in names),
    )
    # The text is made of the class's own identifiers and of nothing else.
    exec(text, defaults, members)
    members |= {"__slots__": names, "__match_args__": names, "__qualname__": cls.__qualname__}
    return cast(type[T], type(cls.__name__, cls.__bases__, members))
