"""A trainable value by itself, such as a positional embedding or a layer's scale."""

from __future__ import annotations

from netspec.ops.base import Array, Init, Op, Param, Shape, attr, case
from netspec.ops.shape import require_shape
from netspec.types import TensorType


class Parameter(Op, kind="parameter"):
    """A trainable value that reads nothing, the same for every sample; its key is its path."""

    shape: Shape = attr(min=1, doc="channels and spatial sizes")
    init: Init = attr(doc="initialiser of the value")

    arity = (0, 0)
    cases = (
        case(shape=[4, 1, 1], init={"constant": {"value": 0.1}}),
        case(shape=[3, 4, 5], init={"normal": {"std": 0.02}}),
        case(shape=[7], init={"zeros": {}}),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        require_shape(self.shape)
        return TensorType(self.shape)

    def params(self, *inputs: TensorType) -> tuple[Param, ...]:
        return (Param("", self.shape, self.init),)

    def reference(self, *inputs: Array, **params: Array) -> Array:
        """The value under its empty name, as a batch of one that broadcasts."""
        return params[""][None]
