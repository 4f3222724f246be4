"""The table of operators: which function evaluates which ONNX operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

import numpy as np

Array: TypeAlias = Any  # a NumPy array whose element type only the file knows
Operator = Callable[..., Any]
F = TypeVar("F", bound=Operator)

ELEMENTS = 2**30  # of one value: 8 GiB in float64

OPERATORS: dict[str, Operator] = {}


class NotEvaluatedError(Exception):
    """A file has something that the evaluator lacks; the message names it."""


class EvaluationError(ValueError):
    """A node or a tensor of a file has no value; the message names it."""


class TooLargeError(NotEvaluatedError):
    """A value would have more elements than are evaluated."""


def require_size(shape: Iterable[Any]) -> None:
    """Refuse a shape before memory is taken for it.

    Raises:
        TooLargeError: it has more than `ELEMENTS` elements.
    """
    sizes = [int(size) for size in shape]
    if (count := math.prod(sizes)) > ELEMENTS:
        text = f"{count:,}" if count < 2**63 else "more than 2^63"
        raise TooLargeError(f"with {text} elements is not evaluated")


def f32(value: float) -> float:
    """The nearest float32: a default of the standard, as an attribute would hold it."""
    return float(np.float32(value))


def operator(*names: str) -> Callable[[F], F]:
    """Register a function as the meaning of ONNX operators.

    It takes the inputs as arrays by position, None for one left out, and the attributes by name;
    a parameter `wanted` receives how many outputs the node has. It returns the output, or a tuple
    of outputs.
    """

    def register(function: F) -> F:
        for name in names:
            OPERATORS[name] = function
        return function

    return register
