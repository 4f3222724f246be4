"""Data that the text states, judged before any value is computed."""

from __future__ import annotations

from netspec.diagnostics import Findings
from netspec.syntax import (
    Block,
    Formula,
    ListValue,
    MapValue,
    ParamDecl,
    Value,
)
from netspec.values import ValueProblem, param_value, typed


def check_bounds(param: ParamDecl, scope: dict[str, Block], findings: Findings) -> None:
    """What a declaration says of its values must leave some."""
    if param.min is not None and param.max is not None and param.min > param.max:
        message = f"no value is at least {param.min} and at most {param.max}"
        findings.error("wrong-type", message, param.span)
        findings.poison(param)
    if param.type in ("bool", "text", "kind") and (param.min, param.max) != (None, None):
        message = f"`{param.name}` is of type {param.type}, which has no `min` and `max`"
        findings.error("wrong-type", message, param.span)
    for choice in param.choices:
        try:
            typed(param, choice, scope)
        except ValueProblem as problem:
            message = f"of its `choices`: {problem.message}"
            findings.error("wrong-type", message, param.span, problem.hint)
            findings.poison(param)


def check_data(param: ParamDecl, value: Value, scope: dict[str, Block], findings: Findings) -> None:
    plain = plain_value(value)
    if plain is None or findings.is_poisoned(param):
        return
    try:
        param_value(param, plain, scope)
    except ValueProblem as problem:
        hint = literal_hint(plain, problem)
        findings.error("wrong-type", problem.message, value.span, hint)


def literal_hint(value: object, problem: ValueProblem) -> str | None:
    """A number that is written, and not computed, can be written otherwise."""
    if isinstance(value, float):
        return f"write {value:.0f}" if value.is_integer() else None
    return problem.hint


def plain_value(value: Value) -> object:
    """Data as Python values; None if a part is a formula or broken."""
    match value:
        case ListValue(items):
            found = [plain_value(item) for item in items]
            return None if any(v is None for v in found) else found
        case MapValue(entries):
            pairs = {name: plain_value(item) for name, item in entries}
            return None if any(v is None for v in pairs.values()) else pairs
        case _:
            return getattr(value, "value", None)


def has_formula(value: Value) -> bool:
    if isinstance(value, ListValue):
        return any(has_formula(item) for item in value.items)
    return isinstance(value, Formula)
