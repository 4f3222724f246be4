"""Values as a function's code knows them, and parts of it that are models of their own to share."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.backends.keras.statements import Line, Region, token
from netspec.backends.source.plan import Val


@dataclass(slots=True, eq=False)
class Shared:
    """A step that is applied several times: a model, and the lines that apply it.

    `inside` are the values of its own by serial, `aliases` its inputs by the values around it, and
    `extra` values of its own that are read outside, by serial.
    """

    region: Region
    begin: int  # where its inputs are made
    model: Line
    name: str
    entry: int
    inside: dict[int, int] = field(default_factory=dict)
    aliases: dict[int, int] = field(default_factory=dict)
    extra: dict[int, int] = field(default_factory=dict)
    result: int = 0
    applications: list[tuple[Line, int]] = field(default_factory=list)

    def finish(self) -> None:
        """Write the model's inputs and outputs and its applications, as they are known now."""
        inputs = [self.entry, *self.aliases.values()]
        outputs = [self.result, *(self.inside[serial] for serial in self.extra)]
        ends = f"{_one_or_list(inputs)}, {_one_or_list(outputs)}"
        self.model.text = f"keras.Model({ends}, {self.name})"
        for at, (line, read) in enumerate(self.applications):
            call = f"{token(self.model.targets[0])}({_one_or_list([read, *self.aliases])})"
            line.text = call
            if self.extra and at == 0:
                line.targets += self.extra.values()
            elif self.extra:
                line.text += "[0]"


class Values:
    """Numbers for the values of one function, with the names that they wish for."""

    def __init__(self) -> None:
        self.labels: dict[int, str] = {}
        self.known: dict[int, int] = {}
        self.open: list[Shared] = []
        self.closed: list[Shared] = []

    def new(self, label: str = "") -> int:
        """A value that the plan does not have."""
        number = len(self.labels)
        self.labels[number] = label
        return number

    def bind(self, value: Val, number: int) -> None:
        """Say which number a value of the plan has from now on."""
        known = self.open[-1].inside if self.open else self.known
        known[value.serial] = number

    def of(self, value: Val) -> int:
        """The number of a value of the plan, where code stands now."""
        return self._of(value.serial, len(self.open))

    def _of(self, serial: int, depth: int) -> int:
        if depth == 0:
            return self.known[serial] if serial in self.known else self._extra(serial)
        shared = self.open[depth - 1]
        if serial in shared.inside:
            return shared.inside[serial]
        outer = self._of(serial, depth - 1)
        if outer not in shared.aliases:
            shared.aliases[outer] = self.new("shared_input")
            line = Line(f"keras.Input({token(outer)}.shape[1:])", [shared.aliases[outer]])
            shared.region.statements.insert(shared.begin, line)
            shared.begin += 1
        return shared.aliases[outer]

    def _extra(self, serial: int) -> int:
        shared = next(s for s in self.closed if serial in s.inside)
        if serial not in shared.extra:
            shared.extra[serial] = self.new(self.labels[shared.inside[serial]])
        return shared.extra[serial]


def _one_or_list(values: list[int]) -> str:
    tokens = [token(value) for value in values]
    return tokens[0] if len(tokens) == 1 else f"[{', '.join(tokens)}]"
