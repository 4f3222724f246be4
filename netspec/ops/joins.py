"""Ops that join branches."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, ClassVar

from netspec.lazy import LazyModule
from netspec.ops.base import Array, Op, OpError, case
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

ELEMENTWISE_CASES = (
    case((4, 5, 6), (4, 5, 6)),
    case((4, 5, 6), (4, 1, 1)),
    case((4, 1, 6), (1, 5, 1)),
    case((7,), (7,)),
    case((7,), (1,)),
    case((3, 8), (3, 1)),
    case((2, 3, 4, 5), (2, 1, 1, 1)),
    case((3, 4, 4), (1, 1, 4)),
)
THREE_CASES = (case((4, 5, 6), (4, 5, 6), (4, 5, 6)), case((4, 1, 1), (1, 5, 6), (4, 5, 1)))


class Concat(Op, kind="concat"):
    """Put the channels of all branches one after the other."""

    arity = (2, None)
    join = True
    cases = (
        case((3, 4, 5), (2, 4, 5)),
        case((1, 4, 5), (2, 4, 5), (3, 4, 5)),
        case((3,), (4,)),
        case((3, 6), (2, 6)),
        case((1, 2, 3, 4), (2, 2, 3, 4)),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        first = inputs[0]
        for other in inputs[1:]:
            _require_same_rank("concat", first, other)
            if other.spatial != first.spatial:
                raise OpError(
                    f"`concat` joins channels, but the other axes differ: {first} and {other}",
                    hint="give the branches the same stride and padding",
                )
        return TensorType((sum(x.channels for x in inputs), *first.spatial))

    def reference(self, *inputs: Array) -> Array:
        batch = max(len(x) for x in inputs)  # a `parameter` is one sample, the same for all
        return np.concatenate([np.broadcast_to(x, (batch, *x.shape[1:])) for x in inputs], axis=1)


class Elementwise(Op):
    """What `add`, `mul` and `sub` share: equal shapes, but for axes of 1, which are repeated."""

    arity: ClassVar[tuple[int, int | None]] = (2, None)
    join = True

    def infer(self, *inputs: TensorType) -> TensorType:
        return functools.reduce(self._pair, inputs)

    def _pair(self, a: TensorType, b: TensorType) -> TensorType:
        _require_same_rank(self.kind, a, b)
        axes = list(zip(a.shape, b.shape, strict=True))
        if any(m != n and 1 not in (m, n) for m, n in axes):
            raise OpError(
                f"`{self.kind}` needs equal shapes, but has {a} and {b}",
                hint="only axes of 1 are repeated; a projection can match channels and sizes",
            )
        return TensorType(tuple(max(pair) for pair in axes))


class Add(Elementwise, kind="add"):
    """The sum of the branches."""

    cases = (*ELEMENTWISE_CASES, *THREE_CASES)

    def reference(self, *inputs: Array) -> Array:
        return functools.reduce(operator.add, inputs)


class Mul(Elementwise, kind="mul"):
    """The product of the branches."""

    cases = (*ELEMENTWISE_CASES, *THREE_CASES)

    def reference(self, *inputs: Array) -> Array:
        return functools.reduce(operator.mul, inputs)


class Sub(Elementwise, kind="sub"):
    """The first branch less the second."""

    arity = (2, 2)
    cases = ELEMENTWISE_CASES

    def reference(self, *inputs: Array) -> Array:
        a, b = inputs
        return a - b


def _require_same_rank(kind: str, a: TensorType, b: TensorType) -> None:
    if a.rank != b.rank:
        hint = "`flatten` makes a map a vector; `unflatten: {shape: [n, 1, 1]}` lets it gate one"
        raise OpError(f"`{kind}` cannot join {a} with {b}: the axes differ in number", hint=hint)
