"""A routine's parameters as Python declares them, and the lets that its code mentions."""

from __future__ import annotations

import re
from typing import Any

from netspec import syntax
from netspec.backends.source.names import Names
from netspec.backends.source.plan import Routine
from netspec.backends.source.python import literal

PLAIN = {"int": "int", "float": "float", "bool": "bool", "text": "str"}


def arguments(routine: Routine) -> list[syntax.ParamDecl]:
    """The parameters that code mentions."""
    visible = routine.visible | routine.open.keys()
    return [p for p in routine.params if p.name in routine.used and p.name in visible]


def parameters(routine: Routine, names: Names, kind: str) -> list[str]:
    """The parameters that code mentions, as `name: type = default`, required ones first.

    `kind` is the type of a parameter that names an op.
    """
    required, optional = [], []
    for param in arguments(routine):
        hint = kind if param.name in routine.open else _annotation(routine, param)
        text = f"{names.spell(param.name)}: {hint}"
        default = _default(routine, names, param)
        if default is None:
            required.append(text)
        else:
            optional.append(f"{text} = {default}")
    return [*required, *optional]


def let_lines(routine: Routine, names: Names) -> list[str]:
    """Statements for the lets among `routine.used`, in order, and for the lets that these use."""
    lines: list[str] = []
    for let in reversed(routine.lets):
        if let.name not in routine.used or let.name not in routine.visible:
            continue
        expr = routine.formulas.expr(let.value, routine.context, routine.visible)
        name, code = names.spell(let.name), names.code(expr)
        if name != code:
            lines.insert(0, f"{name} = {code}")
    return lines


def _default(routine: Routine, names: Names, param: syntax.ParamDecl) -> str | None:
    """A default's code; None where a caller has to give the parameter."""
    if routine.block is None:  # the model's defaults are its present values
        return literal(routine.context.envs[0][param.name])
    if param.default is None:
        return None
    value = routine.formulas.expr(param.default, routine.context, set())
    if param.name in routine.open:  # a kind that no caller leaves to the default has no code
        return routine.kinds[param.name].get(value.value)
    text = names.code(value)
    return f"{text}.0" if param.type == "float" and re.fullmatch(r"-?\d+", text) else text


def _annotation(routine: Routine, param: syntax.ParamDecl) -> str:
    if param.type in PLAIN:
        return PLAIN[param.type]
    if param.type == "axes":
        ranks = {given.rank for given in routine.received}
        axes = ", ".join(["int"] * ranks.pop()) if len(ranks) == 1 else ""
        return f"int | tuple[{axes or 'int, ...'}]"
    return _sequence([env[param.name] for env in routine.context.envs])


def _sequence(values: list[Any]) -> str:
    """The type of lists: `Sequence[int]`, with `Any` where elements differ in type."""
    items = [item for value in values for item in value]
    if items and all(isinstance(item, list | tuple) for item in items):
        return f"Sequence[{_sequence(items)}]"
    kinds = {type(item) for item in items}
    if kinds == {int, float}:
        kinds = {float}
    known = len(kinds) == 1 and kinds <= {int, float, bool, str}
    return f"Sequence[{next(iter(kinds)).__name__ if known else 'Any'}]"
