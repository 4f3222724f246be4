"""A sample's result must not depend on the batch that it is in, nor on what was computed before.

So a network is run twice in one process, on the first sample alone and then on all of them, and
judged by one array: the first row is that of the sample alone, the others are the batch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.worker import JobError

Arrays = dict[str, NDArray[Any]]


def one_then_all(apply: Callable[[Arrays], Arrays], inputs: Arrays) -> Arrays:
    """What a network makes of inputs `(batch, ...)`, in two runs.

    Raises:
        JobError: of one sample it makes another shape.
    """
    alone = apply({name: x[:1] for name, x in inputs.items()})
    return joined(alone, apply(inputs))


def joined(alone: Arrays, whole: Arrays) -> Arrays:
    """The results of a batch, with those of its first sample alone in the first row.

    Raises:
        JobError: the sample alone has results of another shape.
    """
    for name, y in whole.items():
        if alone[name].shape != (1, *y.shape[1:]):
            raise JobError(
                f"{name}: of one sample it makes the shape {alone[name].shape}, "
                f"and of {len(y) if y.ndim else 1} samples {y.shape}"
            )
    return {name: np.concatenate([alone[name], y[1:]]) for name, y in whole.items()}


def holding(inputs: Arrays, sample: int) -> Arrays:
    """The batch of the run whose result for a sample is judged."""
    return inputs if sample else {name: x[:1] for name, x in inputs.items()}
