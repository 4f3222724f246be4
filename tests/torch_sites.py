"""Places where a torch lowering is asked for its text, and values of what it says."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from netspec.backends.torch.arguments import literal
from netspec.backends.torch.snippet_text import snippet_text
from netspec.ops import Op
from netspec.types import TensorType

torch = pytest.importorskip("torch")
nn = torch.nn


@dataclass
class KnownSite:
    """A place where every attribute is a literal, floats as the float32 that references use."""

    kind: str
    op: Op
    input: TensorType | None
    operands: list[tuple[TensorType, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rank = self.input.rank if self.input else 0
        self.channels = str(self.input.channels) if self.input else ""

    def known(self, attribute: str) -> Any:
        return as_float32(getattr(self.op, attribute))

    def values(self, attribute: str) -> list[Any]:
        return [self.known(attribute)]

    def one_number(self, attribute: str) -> bool:
        return isinstance(ast.literal_eval(self.code(attribute)), int | float)

    def code(self, attribute: str) -> str:
        return literal(self.known(attribute))

    def is_default(self, attribute: str) -> bool:
        default = self.op.attributes[attribute].default
        value = self.known(attribute)
        if attribute == "padding":
            return bool(value != "same" and not np.any(value))
        return bool(value == default or (isinstance(value, tuple) and set(value) == {default}))


@dataclass
class NamedSite:
    """A place where every attribute is a name, bound only when the source runs."""

    kind: str
    rank: int
    channels: str = "in_channels"
    input: TensorType | None = None
    operands: list[tuple[TensorType, ...]] = field(default_factory=list)

    def known(self, attribute: str) -> Any:
        return None

    def values(self, attribute: str) -> list[Any]:
        return []

    def one_number(self, attribute: str) -> bool:
        return False

    def code(self, attribute: str) -> str:
        return attribute

    def is_default(self, attribute: str) -> bool:
        return False


def as_float32(value: Any) -> Any:
    if isinstance(value, float):
        return float(np.float32(value))
    return tuple(map(as_float32, value)) if isinstance(value, tuple) else value


def evaluate(expression: str, helpers: tuple[str, ...], scope: dict[str, Any]) -> Any:
    imports, text = snippet_text(helpers)
    namespace = {"torch": torch, "nn": nn, "F": nn.functional, **scope}
    exec("\n".join(imports) + "\n\n\n" + text, namespace)
    return eval(expression, namespace)
