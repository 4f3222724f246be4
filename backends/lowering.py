"""What a lowering is given: one place in the source where an op stands, in every copy of it."""

from __future__ import annotations

from typing import Any, Protocol

from netspec.types import TensorType


class Site(Protocol):
    """An op where generated source constructs it.

    A block's source serves every copy of the block, and a loop's body every turn, so an attribute
    is either known (equal in all copies) or an expression over the names in scope.
    """

    @property
    def kind(self) -> str: ...

    @property
    def rank(self) -> int:
        """Spatial axes of the first input."""

    @property
    def channels(self) -> str:
        """A Python expression for the channels of the first input."""

    @property
    def input(self) -> TensorType | None:
        """The type of the first input where it is the same in all copies."""

    @property
    def operands(self) -> list[tuple[TensorType, ...]]:
        """The types of all inputs, in each copy."""

    def code(self, attribute: str) -> str:
        """A Python expression for an attribute, fit to stand as a call's argument.

        Known values are literals: per-axis tuples whose entries are equal shrink to one number.
        """

    def known(self, attribute: str) -> Any:
        """The attribute's normalised value where no name is in it and all copies agree, or None."""

    def values(self, attribute: str) -> list[Any]:
        """The attribute's normalised values in the copies, as far as it is sure to have them."""

    def one_number(self, attribute: str) -> bool:
        """Whether the attribute is one number, never a list or a word, whatever parameters are."""

    def is_default(self, attribute: str) -> bool:
        """Whether the attribute is known to equal the op's default."""


class NotLowered(Exception):
    """A backend has no lowering for an op."""

    def __init__(self, kind: str, backend: str) -> None:
        super().__init__(f"the {backend} backend has no lowering for `{kind}`")
        self.kind = kind
        self.backend = backend
