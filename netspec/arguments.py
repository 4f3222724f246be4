"""What a Python caller passes, as plain values; what cannot be meant is refused by its name."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

Shapes = Mapping[str, Sequence[SupportsIndex]]
Params = Mapping[str, Any]


def spec_path(spec: str | os.PathLike[str]) -> str:
    """A spec's name or path as text.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(spec, (str, os.PathLike)):
        text = os.fspath(spec)
        if isinstance(text, str):
            return text
    raise TypeError(f"a spec is a name or a path, not {_kind(spec)}")


def settings(params: Params | None, named: Params) -> dict[str, Any]:
    """A spec's parameters by name, from the mapping `params` and from keyword arguments.

    Values become those of a spec: tuples and arrays lists, NumPy's numbers Python's.

    Raises:
        TypeError: `params` is no mapping of names, or a name stands in both.
    """
    if params is None:
        params = {}
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise TypeError(f"params maps names to values, as in {{'seed': 3}}; it is {_kind(params)}")
    if both := sorted(params.keys() & named.keys()):
        raise TypeError(f"given twice: {', '.join(both)}")
    return {name: plain(value) for name, value in {**params, **named}.items()}


def plain(value: Any) -> Any:
    """A value as YAML would give it, where it can be one."""
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays, a framework's tensors
        value = value.tolist()
    if isinstance(value, (tuple, list, range)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return value


def shapes(inputs: Shapes | None) -> dict[str, tuple[int, ...]]:
    """Shapes by input.

    Raises:
        TypeError: `inputs` is no mapping, or a shape is no sequence of whole numbers.
    """
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping):
        example = "{'image': (3, 224, 224)}"
        raise TypeError(f"inputs maps names to shapes, as in {example}; it is {_kind(inputs)}")
    return {_name(name): _shape(name, plain(shape)) for name, shape in inputs.items()}


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of an input is text, not {name!r}")
    return name


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list):
        raise TypeError(f"the shape of input {name!r} is a sequence of sizes, not {shape!r}")
    return tuple(whole(size, f"a size of input {name!r}") for size in shape)


def seed(value: Any) -> int:
    """A seed.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is below 0.
    """
    found = whole(value, "a seed")
    if found < 0:
        raise ValueError(f"a seed is a whole number from 0, not {found}")
    return found


def names(value: Iterable[str] | None, what: str) -> tuple[str, ...] | None:
    """Names of backends or runtimes, each once; None stays None.

    Raises:
        TypeError: it is one text, or holds something else.
        ValueError: it is empty.
    """
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{what} is a list of names, as in ['onnx']; it is {value!r}")
    found = tuple(dict.fromkeys(value))
    if not all(isinstance(name, str) for name in found):
        raise TypeError(f"{what} is a list of names, as in ['onnx']; it is {list(found)!r}")
    if not found:
        raise ValueError(f"{what} names none: leave it out for the usual ones")
    return found


def whole(value: Any, what: str) -> int:
    """A whole number, NumPy's too.

    Raises:
        TypeError: it is none.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} is a whole number, not {value!r}")
    return operator.index(value)


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
