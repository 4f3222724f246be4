"""The names of layers as code: what an f-string has between its quotes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from netspec.backends.keras.layer import ROLES, layer_name
from netspec.backends.source.names import Names
from netspec.backends.source.plan import GroupWhat, Item, JoinWhat, Loop, Split, Step

_UNQUOTABLE = re.compile(r"[\"'\\]")  # what a part of an f-string may not hold before Python 3.12


@dataclass(slots=True)
class Place:
    """Where children are named: the text before their names, and their numbers if in a list.

    `total` counts the numbered steps of the scope, `done` those that had fixed numbers. From the
    first loop or condition on, numbers come from `counter`, or from the index of the only loop.
    """

    prefix: str
    total: int
    done: int = 0
    counter: str = ""
    index: str = ""
    loop: Loop | None = None

    @staticmethod
    def of(prefix: str, items: list[Item]) -> Place:
        return Place(prefix, numbered(items))


class Naming:
    """Names the layers of one function; `emit` takes statements that have to come before."""

    def __init__(self, names: Names, emit: Callable[[str], None]) -> None:
        self.names = names
        self.emit = emit

    def reach(self, item: Item, place: Place) -> None:
        """Begin to count where the first item comes of which copies may be many or none."""
        if place.counter or place.index or not (isinstance(item, Loop) or item.condition):
            return
        inside = numbered([item])
        if not inside:
            return
        if isinstance(item, Loop):
            place.loop = item
            if inside == 1 and place.done + 1 == place.total and _once_a_turn(item.items):
                index = self.names.spell(item.index)
                place.index = f"{{{index} + {place.done}}}" if place.done else f"{{{index}}}"
                return
        place.counter = self.names.new("number")
        self.emit(f"{place.counter} = itertools.count({place.done or ''})")

    def child(self, step: Step, place: Place) -> str:
        """A step's own part of the name; each call takes a number."""
        if step.key is not None:
            return "".join(
                part if isinstance(part, str) else self._part(self.names.code(part))
                for part in step.key.parts
            )
        if place.index:
            return place.index
        if place.counter:
            return f"{{next({place.counter})}}"
        number = str(place.done)
        place.done += 1
        assert all(name == number for name in present(step)), (number, step.names)
        return number

    def fixed(self, text: str, wanted: str) -> str:
        """The same text, to be used more than once."""
        if "{next(" not in text:
            return text
        variable = self.names.new(wanted)
        self.emit(f"{variable} = {quoted(text)}")
        return f"{{{variable}}}"

    def layer(self, step: Step, place: Place, child: str) -> str:
        """The code of an op's layer name.

        Raises:
            Split: only some copies have a name that means something else to Keras or to what reads
                weights.
        """
        clashes = [
            bool(ROLES.search(f"-{name}")) if place.prefix else layer_name(name) != name
            for name in present(step)
        ]
        if not step.inner.all_equal(clashes):
            raise Split(step.inner, clashes)
        return quoted(f"{place.prefix}{child}--" if clashes[0] else place.prefix + child)

    def _part(self, code: str) -> str:
        if not _UNQUOTABLE.search(code):
            return f"{{{code}}}"
        variable = self.names.new("part")
        self.emit(f"{variable} = {code}")
        return f"{{{variable}}}"


def quoted(text: str) -> str:
    """The f-string, or a plain string where that is the same; a part may be a number."""
    return f'f"{text}"' if "{" in text else f'"{text}"'


def numbered(items: list[Item]) -> int:
    """How many steps take their numbers from the scope of these items."""
    return sum(_numbered(item) for item in items)


def _numbered(item: Item) -> int:
    if isinstance(item, Loop):
        return numbered(item.items)
    if isinstance(item.what, GroupWhat) and item.what.inline:
        return numbered(item.what.items)
    inside = branches_of(item)
    return numbered(inside) + (item.key is None)


def branches_of(item: Step) -> list[Item]:
    """The items in the branches of a join."""
    if not isinstance(item.what, JoinWhat):
        return []
    return [inner for branch in item.what.branches for inner in branch.items]


def _once_a_turn(items: list[Item]) -> bool:
    """Whether the numbered step among these is there once, whatever the parameters."""
    for item in items:
        if not _numbered(item):
            continue
        if isinstance(item, Loop) or item.condition:
            return False
        inline = isinstance(item.what, GroupWhat) and item.what.inline
        inside = item.what.items if inline else branches_of(item)  # type: ignore[union-attr] # a group
        if not _once_a_turn(inside):
            return False
    return True


def present(step: Step) -> list[str]:
    """A step's names in the copies that have it."""
    if step.condition is None:
        return step.names
    return [step.names[lane] for lane in step.inner.up]
