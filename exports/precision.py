"""How many mantissa bits a runtime multiplies and adds with, measured in the runtime itself.

Flags and hints say what was asked for, and a library may do otherwise without a word. So each
runtime also computes a convolution and a matrix product made for this: of their output channels
one half are single products of full mantissas, which lose what is cut from the operands; the other
half are sums of small whole numbers, exact in any order, which lose what is cut from the sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[[Array, Array], tuple[Array, Array]]
"""Applies the probes' convolution and matrix product to their two inputs."""

FULL = 24  # of float32, the leading one included
# Fast algorithms round more than once (Winograd's transforms), and cost a bit or two.
ENOUGH = 20
FORMATS = {8: "bfloat16", 11: "TF32 or float16"}
NEAR = 1  # a rounding toward zero costs one bit more than one to nearest

CONV, MATMUL = "conv", "matmul"
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """An op's input and weight in float32, and the float64 truth.

    A convolution without padding of `(2, 32, 16, 16)` by `(32, 32, 3, 3)`, or a matrix product of
    `(64, 64)` by `(64, 64)`. Channels, axis 1 of the truth, are products in the first half.
    """

    x: Array
    weight: Array
    truth: Array

    def bits(self, found: Array) -> int:
        """The mantissa bits of a result, from 0 to 24."""
        if found.shape != self.truth.shape or not np.isfinite(found).all():
            return 0
        half = self.truth.shape[1] // 2
        error = np.asarray(found, np.float64) - self.truth
        products = error[:, :half] / self.truth[:, :half]
        sums = error[:, half:] / _rms(self.truth[:, half:])
        return min(_bits(_rms(products)), _bits(_rms(sums)))


@cache
def probes() -> dict[str, Probe]:
    """The probes by op."""
    rng = np.random.Generator(np.random.Philox(SEED))
    x, kernel = _operands(rng, (2, 32, 16, 16), (32, 32, 3, 3))
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), (2, 3))
    conv = Probe(x, kernel, np.einsum("nchwij,ocij->nohw", windows, kernel.astype(np.float64)))
    rows, weight = _operands(rng, (64, 64), (64, 64))
    columns = np.ascontiguousarray(weight.T)
    product = rows.astype(np.float64) @ columns.astype(np.float64)
    return {CONV: conv, MATMUL: Probe(rows, columns, product)}


def measure(run: Run) -> dict[str, int]:
    """The mantissa bits of a runtime's convolutions and matrix products."""
    conv, matmul = probes()[CONV], probes()[MATMUL]
    image, product = run(conv.x, matmul.x)
    return {CONV: conv.bits(image), MATMUL: matmul.bits(product)}


def onnx_model() -> bytes:
    """Both probes as an ONNX file: inputs and outputs in the order of `Run`."""
    from onnx import TensorProto, helper, numpy_helper

    conv, matmul = probes()[CONV], probes()[MATMUL]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["convolved"], "conv"),
            helper.make_node("MatMul", ["rows", "columns"], ["product"], "matmul"),
        ],
        "probe",
        [
            helper.make_tensor_value_info("image", floats, conv.x.shape),
            helper.make_tensor_value_info("rows", floats, matmul.x.shape),
        ],
        [
            helper.make_tensor_value_info("convolved", floats, conv.truth.shape),
            helper.make_tensor_value_info("product", floats, matmul.truth.shape),
        ],
        [
            numpy_helper.from_array(conv.weight, "kernel"),
            numpy_helper.from_array(matmul.weight, "columns"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    serialised: bytes = model.SerializeToString()
    return serialised


def arithmetic(bits: Mapping[str, int]) -> str:
    """What measured bits are called: "float32", or the format of the op that has fewest."""
    least = min(bits.values())
    if least >= ENOUGH:
        return "float32"
    near = [name for full, name in FORMATS.items() if abs(least - full) <= NEAR]
    return f"{near[0] if near else 'reduced precision'}: {least} bits"


def objection(bits: Mapping[str, int]) -> str:
    """Why what was computed with these bits does not count as float32; empty if it does."""
    low = {op: found for op, found in bits.items() if found < ENOUGH}
    if not low:
        return ""
    return (
        f"computed in {arithmetic(low)} of {FULL} in {' and '.join(low)}: "
        f"a mistake below 2^-{min(low.values())} cannot be told from its rounding"
    )


def level(ratio: float) -> int | None:
    """The mantissa bits that would explain an error of so many times float32's noise.

    None where it is more than a reduced format would leave, or less.
    """
    if not 2.0**4 <= ratio <= 2.0**18:
        return None
    return FULL - round(math.log2(ratio))


def _operands(
    rng: np.random.Generator, x_shape: tuple[int, ...], weight_shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Inputs, whose axis 1 is channels, and weights `(out, in, ...)`, each in two halves.

    Sums stay below 2^24, so that float32 holds them, and mostly below 2^16, as float16 does.
    """
    half_in, half_out = weight_shape[1] // 2, weight_shape[0] // 2
    x = _mantissas(rng, x_shape)
    x[:, half_in:] = rng.integers(-127, 128, x[:, half_in:].shape)
    weight = np.zeros(weight_shape, np.float32)
    for channel in range(half_out):
        at = [int(rng.integers(size)) for size in (half_in, *weight_shape[2:])]
        weight[(channel, *at)] = _mantissas(rng, ())
    weight[half_out:, half_in:] = rng.integers(-7, 8, weight[half_out:, half_in:].shape)
    return x, weight


def _mantissas(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers of either sign, 1 to 2 in size, with all their bits in use."""
    return np.asarray(rng.uniform(1.0, 2.0, shape) * rng.choice([-1.0, 1.0], shape), np.float32)


def _bits(relative: float) -> int:
    """The bits left by a relative error, as rms.

    Rounding both factors of a product to p bits to nearest leaves 2^-p / sqrt(3): each is off by
    +-2^-p uniformly, over a mantissa m whose 1 / m^2 is 1/2 on average from 1 to 2.
    """
    if relative == 0.0:
        return FULL
    return max(0, min(FULL, round(-math.log2(math.sqrt(3.0) * relative))))


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
