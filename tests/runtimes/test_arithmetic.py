"""How many bits: what is measured of arithmetic that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netspec.exports import precision
from netspec.exports.precision import CONV, MATMUL, Probe, arithmetic, measure, objection

Array = NDArray[Any]
Cast = Callable[[Array], Array]


def computed(cast: Cast, total: Callable[[Array, Array], Array]) -> precision.Run:
    """The probes' results with rounded operands, the weighted sums made by `total`.

    `total` takes `(positions, terms)` and `(terms, outputs)`.
    """
    kernel, columns = (cast(probe.weight) for probe in precision.probes().values())

    def run(image: Array, rows: Array) -> tuple[Array, Array]:
        windows = np.lib.stride_tricks.sliding_window_view(cast(image), (3, 3), (2, 3))
        samples, _, height, width = windows.shape[:4]
        positions = windows.transpose(0, 2, 3, 1, 4, 5).reshape(samples * height * width, -1)
        sums = total(positions, kernel.reshape(len(kernel), -1).T)
        convolved = sums.reshape(samples, height, width, -1).transpose(0, 3, 1, 2)
        return convolved, total(cast(rows), columns)

    return run


def in_float32(a: Array, b: Array) -> Array:
    return np.asarray(a, np.float32) @ np.asarray(b, np.float32)


def in_float16(a: Array, b: Array) -> Array:
    """Every product and every partial sum is rounded to 11 bits."""
    total = np.zeros((len(a), b.shape[1]), np.float16)
    for term in range(a.shape[1]):
        total += np.outer(a[:, term], b[term]).astype(np.float16)
    return total


def cut(bits: int) -> Cast:
    """Cuts a mantissa off, as hardware that rounds toward zero does."""
    mask = np.uint32(0xFFFFFFFF << (24 - bits) & 0xFFFFFFFF)
    return lambda x: np.asarray(np.ascontiguousarray(x).view(np.uint32) & mask).view(np.float32)


def nearest(bits: int) -> Cast:
    """Rounds a mantissa to nearest: Dekker's splitting."""
    factor = np.float32(2.0 ** (24 - bits) + 1.0)

    def cast(x: Array) -> Array:
        big = np.asarray(factor * x)
        return np.asarray(big - (big - x))

    return cast


@pytest.mark.parametrize(
    ("cast", "total", "low", "high", "name"),
    [
        (lambda x: x, in_float32, 24, 24, "float32"),
        (nearest(8), in_float32, 8, 8, "bfloat16: 8 bits"),
        (cut(8), in_float32, 7, 8, "bfloat16: 7 bits"),
        (nearest(11), in_float32, 11, 11, "TF32 or float16: 11 bits"),
        (cut(11), in_float32, 10, 11, "TF32 or float16: 10 bits"),
        (nearest(16), in_float32, 16, 16, "reduced precision: 16 bits"),
        (lambda x: x, in_float16, 8, 11, None),
        (lambda x: x, lambda a, b: nearest(8)(in_float32(a, b)), 8, 9, None),
        (lambda x: x, lambda a, b: nearest(22)(in_float32(a, b)), 22, 23, "float32"),
    ],
    ids=[
        *("float32", "bfloat16", "cut to 8", "TF32", "cut to 11", "16 bits"),
        *("float16 sums", "bfloat16 results", "a fast algorithm"),
    ],
)
def test_bits_of_known_arithmetic(
    cast: Cast, total: Callable[[Array, Array], Array], low: int, high: int, name: str | None
) -> None:
    bits = measure(computed(cast, total))
    assert all(low <= found <= high for found in bits.values())
    assert name in (None, arithmetic(bits))
    assert bool(objection(bits)) == (high < 20)


def test_one_op_in_fewer_bits_is_named() -> None:
    bits = {CONV: 24, MATMUL: 11}
    assert arithmetic(bits) == "TF32 or float16: 11 bits"
    assert "11 bits of 24 in matmul:" in objection(bits)


@pytest.mark.parametrize(
    "found", [np.full((64, 64), np.nan), np.zeros((64, 63)), np.full((64, 64), np.inf)]
)
def test_no_result_has_no_bits(found: Array) -> None:
    assert precision.probes()[MATMUL].bits(found) == 0


def test_the_probes_truth_is_exact() -> None:
    """In float64 nothing of them is rounded, so any other order of sums gives the same."""
    probe: Probe = precision.probes()[CONV]
    x, w = probe.x.astype(np.float64), probe.weight.astype(np.float64)
    sums = [
        np.einsum("nchw,oc->nohw", x[:, :, i : i + 14, j : j + 14], w[:, :, i, j])
        for i in range(3)
        for j in range(3)
    ]
    np.testing.assert_array_equal(np.sum(sums, axis=0), probe.truth)
