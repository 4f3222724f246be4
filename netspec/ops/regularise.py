"""What only training does: the identity at inference."""

from __future__ import annotations

from netspec.ops.base import Array, Op, attr, case


class Dropout(Op, kind="dropout"):
    """In training, zero each element with probability `rate` and scale the rest by 1/(1-rate)."""

    rate: float = attr(min=0, max=1, doc="probability of an element to be zeroed")

    training_only = True
    cases = (case((7,), rate=0.5), case((4, 5, 6), rate=0.2))

    def reference(self, x: Array) -> Array:
        return x


class StochasticDepth(Op, kind="stochastic_depth"):
    """In training, zero each whole sample with probability `rate`; scale the rest by 1/(1-rate).

    https://arxiv.org/abs/1603.09382
    """

    rate: float = attr(min=0, max=1, doc="probability of a sample to be zeroed")

    training_only = True
    cases = (case((4, 5, 6), rate=0.2), case((7,), rate=0.5), case((3, 8), rate=0.1))

    def reference(self, x: Array) -> Array:
        return x
