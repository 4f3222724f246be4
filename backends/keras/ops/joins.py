"""Ops of several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netspec.backends.keras.layer import Join, Lowering, lowers
from netspec.backends.lowering import Site
from netspec.types import TensorType

LAYERS = {"concat": "Concatenate", "mul": "Multiply", "sub": "Subtract"}


@lowers("add")
def add(site: Site) -> Join:
    return Join(_subtracted if any(map(_has_bias, site.operands)) else _layer("Add"))


def _has_bias(operands: Sequence[TensorType]) -> bool:
    """Whether Keras on TensorFlow may take an operand for a bias that it is not.

    There `keras.ops.add` calls `tf.nn.bias_add` where the second operand has one axis above 1, the
    batch among them, that is as long as the first one's channels or first spatial axis: a bias of
    the channels even if it lies along another axis.
    """
    if all(operand == operands[0] for operand in operands):
        return False
    above_1 = [[axis > 1 for axis in operand.shape] for operand in operands]
    return any(sum(axes) < 1 or (sum(axes) == 1 and not axes[0]) for axes in above_1[1:])


def _subtracted(values: Sequence[str], name: str) -> str:
    """The sum as a difference, which is exact as well and takes nothing for a bias."""
    first, *others = values
    for value in others[:-1]:
        first = f"{first} - -{value}"
    return f"layers.Subtract(name={name})([{first}, -{others[-1]}])"


def _layer(layer: str) -> Callable[[Sequence[str], str], str]:
    def render(values: Sequence[str], name: str) -> str:
        return f"layers.{layer}(name={name})([{', '.join(values)}])"

    return render


def _join(layer: str) -> Lowering:
    return lambda site: Join(_layer(layer))


for _kind, _name in LAYERS.items():
    lowers(_kind)(_join(_name))
