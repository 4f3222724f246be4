"""The values of a forward: expressions that nest while they are short, lines where they are not."""

from __future__ import annotations

import ast
import re

from netspec.backends.source.names import Names
from netspec.backends.source.plan import Routine, Val
from netspec.backends.source.text import WIDTH, is_wrapped

INLINE = 64  # a longer expression gets a line of its own


class Values:
    """Which code stands for each value of one routine.

    `reads` counts how often a value is read, by serial; `names` gives names of variables.
    """

    def __init__(self, routine: Routine, reads: dict[int, int], names: Names) -> None:
        self.routine = routine
        self.reads = reads
        self.names = names
        self.running = "x"
        self.pending: dict[int, str] = {}  # expressions of values without a line yet
        self.atoms: set[int] = set()  # of these, the ones that are one term
        self.named: set[int] = set()  # values that have a variable of their own
        self.nameless: list[str] = []  # variables whose names mean nothing
        self.shape: tuple[int, ...] = ()

    def receive(self) -> None:
        """Name what the routine receives."""
        inputs = self.routine.inputs
        single = len(inputs) == 1
        for value in inputs:
            value.label = "x" if single else self.names.new(value.label)
            self.bind(value, value.label)
        if not single or self.reads.get(inputs[0].serial, 0) != 1:
            self.named |= {v.serial for v in inputs}
            self.running = "out"

    def bind(self, value: Val, name: str) -> None:
        """Say which variable holds a value from now on."""
        self.pending[value.serial] = name
        self.atoms.add(value.serial)

    def use(self, value: Val) -> str:
        """The expression of a value; one that is read once is consumed."""
        text = self.pending[value.serial]
        if self.reads.get(value.serial, 0) <= 1 and value.serial not in self.named:
            del self.pending[value.serial]
        return text

    def fill(self, template: str, values: dict[str, Val]) -> str:
        """Code with values where their names stand in braces.

        What would not hold together there stands in parentheses.
        """

        def text(found: re.Match[str]) -> str:
            value = values[found["name"]]
            whole = found["argument"] is not None or value.serial in self.atoms
            code = self.use(value)
            around = template[: found.start()], template[found.end() :]
            return code if whole or _holds_together(code, *around) else f"({code})"

        argument = r"(?:(?<=[(\[])|(?<=, ))\{\w+\}(?=[,)\]])"
        return re.sub(rf"(?P<argument>(?={argument}))?\{{(?P<name>\w+)\}}", text, template)

    def define(
        self, value: Val, text: str, out: list[str], running: str, *, is_atom: bool = True
    ) -> None:
        """Give a value its expression, in a line of its own where it is long or read again.

        `running` is the variable that holds one value after the other; empty where there is none.
        """
        if is_wrapped(text):  # an atom's, which this is no more
            text, is_atom = text[1:-1], False
        several = self.reads.get(value.serial, 0) > 1
        if not several and running and len(text) <= INLINE:
            self.pending[value.serial] = text
            if is_atom:
                self.atoms.add(value.serial)
            return
        name = running
        if several or running != self.running:
            name = self.names.new(value.label or running or "value")
            self.named.add(value.serial)
            if value.serial not in self.routine.referenced:
                self.nameless.append(name)
        else:
            self.flush(running, out)
        line = f"{name} = {text}"
        out.append(f"{line}{self.shape_comment(value, len(line))}")
        self.bind(value, name)

    def flush(self, running: str, out: list[str]) -> None:
        """Give lines to the values whose expressions mention a variable that is about to change."""
        for serial, text in list(self.pending.items()):
            if serial not in self.named and uses(running, text):
                name = self.names.new("value")
                out.append(f"{name} = {text}")
                self.pending[serial] = name
                self.atoms.add(serial)
                self.named.add(serial)

    def settled(self, lines: list[str]) -> list[str]:
        """A forward's lines, with the running variable for names that mean nothing."""
        for name in self.nameless:
            lines = _renamed(lines, name, self.running)
        return lines

    def shape_comment(self, value: Val, width: int, before: str = "") -> str:
        """The value's shape as a comment, where the model's changes and the line has room."""
        shape = value.types[0].shape
        comment = f"  # {before}{' x '.join(map(str, shape))}"
        room = WIDTH - 8 - width
        if self.routine.block is not None or shape == self.shape or 0 <= room < len(comment):
            return ""
        self.shape = shape
        return comment


def uses(name: str, line: str) -> bool:
    """Whether code mentions a variable, and not an attribute, an argument or a text of its name."""
    return any(found[1] for found in _variable(name).finditer(line))


def _renamed(lines: list[str], name: str, running: str) -> list[str]:
    """Lines with `name` called `running` as well, if that is free while `name` lives."""
    mentions = [at for at, line in enumerate(lines) if uses(name, line)]
    if len(mentions) < 2 or not lines[mentions[0]].startswith(f"{name} = "):
        return lines
    start, end = mentions[0], mentions[-1]
    inside = lines[start + 1 : end + 1]
    if any(line.startswith((" ", "for ", "if ")) for line in inside):
        return lines
    targets = [
        line.partition(" = ")[2] if line.startswith(f"{running} = ") else line for line in inside
    ]
    if any(uses(running, line) for line in targets):
        return lines
    if any(line.startswith(f"{running} = ") for line in inside[:-1]):
        return lines
    after = next((line for line in lines[end + 1 :] if uses(running, line)), None)
    assigned = inside[-1].startswith(f"{running} = ")
    if after is not None and not assigned:
        return lines
    word = _variable(name)
    renamed = [
        word.sub(lambda found: running if found[1] else found[0], line)
        for line in lines[start : end + 1]
    ]
    return [*lines[:start], *renamed, *lines[end + 1 :]]


def _variable(name: str) -> re.Pattern[str]:
    return re.compile(rf"""(?<![\w.])({name})\b(?!=)|"[^"]*"|'[^']*'""")


def _holds_together(code: str, before: str, after: str) -> bool:
    """Whether a sum or product needs no parentheses as an operand between two pieces of code."""
    match ast.parse(code, mode="eval").body:
        case ast.BinOp(op=ast.Mult()):
            factors = True
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            factors = False
        case _:
            return False
    if before[-3:] not in ("", " + ", " - ") or after[:3] not in ("", " + ", " - ", " * "):
        return False
    return factors or not (before or after.startswith(" * "))
