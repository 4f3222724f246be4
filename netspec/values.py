"""Whether a computed value is what an attribute or a parameter takes, and in which words not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netspec.initialisers import InitialiserError, canonical
from netspec.lazy import hints
from netspec.ops.base import DIMENSION_LIMIT, Attribute
from netspec.schema import expected
from netspec.syntax import Block, ParamDecl

if TYPE_CHECKING:
    from collections.abc import Mapping


MAX_FLOAT = 1.7976931348623157e308


class ValueProblem(Exception):
    """A value is not what its place takes."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class KindName(str):
    """The name of an op or block as a value; it remembers the block where it was named."""

    block: Block | None = None


def attribute_value(attribute: Attribute, value: Any) -> Any:
    """The value, if the attribute takes it.

    Raises:
        ValueProblem: it does not.
    """
    if attribute.type == "Init":
        return _initialiser(attribute, value)
    if _fits(attribute, value):
        return value
    if _is_int(value) and attribute.max is None and value > DIMENSION_LIMIT:
        raise ValueProblem(f"`{attribute.name}` is too large: {value}")
    message = f"`{attribute.name}` must be {expected(attribute)}, not {hints.show(value)}"
    raise ValueProblem(message, _hint(attribute.type, value))


def param_value(param: ParamDecl, value: Any, scope: Mapping[str, Block]) -> Any:
    """The value, if the parameter takes it; ints become floats where the type says so.

    Raises:
        ValueProblem: it does not.
    """
    value = typed(param, value, scope)
    if param.choices and value not in param.choices:
        choices = ", ".join(f"`{c}`" for c in param.choices)
        raise ValueProblem(f"`{param.name}` must be one of {choices}, not {hints.show(value)}")
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            if param.min is not None and number < param.min:
                raise ValueProblem(f"`{param.name}` must be at least {param.min}, not {number}")
            if param.max is not None and number > param.max:
                raise ValueProblem(f"`{param.name}` must be at most {param.max}, not {number}")
    return value


def typed(param: ParamDecl, value: Any, scope: Mapping[str, Block]) -> Any:
    """The value, if it is of the parameter's type, whatever its bounds.

    Raises:
        ValueProblem: it is not.
    """
    match param.type:
        case "float" if _is_number(value) and abs(value) <= MAX_FLOAT:  # nor NaN
            return float(value)
        case "int" if _is_int(value):
            return value
        case "bool" if isinstance(value, bool):
            return value
        case "text" if isinstance(value, str):
            return value
        case "list" if isinstance(value, list):
            return value
        case "axes" if _is_int(value) or (
            isinstance(value, list) and value and all(_is_int(v) for v in value)
        ):
            return value
        case "kind" if isinstance(value, str):
            return _kind(value, scope)
    words = {
        "int": "an int",
        "float": "a number",
        "bool": "true or false",
        "text": "text",
        "list": "a list",
        "axes": "an int, or a list with one per axis",
        "kind": "the name of an op or block",
    }[param.type]
    message = f"`{param.name}` must be {words}, not {hints.show(value)}"
    raise ValueProblem(message, _hint(param.type, value))


def _kind(value: str, scope: Mapping[str, Block]) -> KindName:
    if isinstance(value, KindName):
        return value
    from netspec.ops import Op

    name = KindName(value)
    name.block = scope.get(value)
    if name.block is None and value not in Op.registry:
        hint = hints.op_hint(value, [*scope, *Op.registry])
        raise ValueProblem(f"unknown op or block `{value}`", hint)
    return name


def _fits(attribute: Attribute, value: Any) -> bool:
    match attribute.type:
        case "int":
            return _in_bounds(attribute, value, whole=True)
        case "float":
            return _in_bounds(attribute, value, whole=False)
        case "bool":
            return isinstance(value, bool)
        case "str":
            return value in attribute.choices
        case "Axes":
            values = value if isinstance(value, list) and value else [value]
            return all(_in_bounds(attribute, v, whole=True) for v in values)
        case "Floats":
            values = value if isinstance(value, list) and value else [value]
            return all(_in_bounds(attribute, v, whole=False) for v in values)
        case "Shape":
            return isinstance(value, list) and bool(value) and all(_size(v) for v in value)
        case _:
            return _padding(attribute, value)


def _padding(attribute: Attribute, value: Any) -> bool:
    if value == "same" or _in_bounds(attribute, value, whole=True):
        return True
    if not isinstance(value, list) or not value:
        return False
    for entry in value:
        pair = entry if isinstance(entry, list) and len(entry) == 2 else [entry]
        if not all(_in_bounds(attribute, v, whole=True) for v in pair):
            return False
    return True


def _in_bounds(attribute: Attribute, value: Any, *, whole: bool) -> bool:
    if not (_is_int(value) if whole else _is_number(value)):
        return False
    low = -DIMENSION_LIMIT if attribute.min is None else attribute.min
    high = DIMENSION_LIMIT if attribute.max is None else attribute.max
    return bool(low <= value <= high) if whole else _float_bounds(attribute, value)


def _float_bounds(attribute: Attribute, value: float) -> bool:
    low = -math.inf if attribute.min is None else attribute.min
    high = math.inf if attribute.max is None else attribute.max
    return bool(low <= value <= high)


def _size(value: Any) -> bool:
    return _is_int(value) and 1 <= value <= DIMENSION_LIMIT


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _hint(kind: str, value: Any) -> str | None:
    if kind in ("int", "axes", "Axes", "Padding") and isinstance(value, float):
        return "use // or round()"
    return hints.text_hint(value, kind) if isinstance(value, str) else None


def _initialiser(attribute: Attribute, value: Any) -> dict[str, Any]:
    try:
        name, arguments = canonical(value)
    except InitialiserError as error:
        raise ValueProblem(f"`{attribute.name}`: {error}", error.hint) from None
    return {name: arguments}
