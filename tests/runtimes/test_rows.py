"""What follows from the bits for the verdict, and which rows there are."""

from __future__ import annotations

from netspec.exports.plan import Task, rounding_plan, same_plan
from netspec.exports.precision import CONV, MATMUL
from netspec.exports.qualify import explained, qualified
from netspec.exports.report import AGREED, DISAGREED, NOT_RUN, Row
from tests.runtimes.rows import judged


def test_reduced_precision_does_not_pass_however_small_the_error() -> None:
    row = qualified(judged(0.1, bits={CONV: 24, MATMUL: 8}))
    assert row.status == DISAGREED
    assert row.info["arithmetic"] == "bfloat16: 8 bits"
    assert "a mistake below 2^-8" in row.reason


def test_strayed_nodes_are_listed() -> None:
    row = qualified(judged(0.5, bits={CONV: 24}, elsewhere=[f"n{i}" for i in range(7)]))
    assert row.status == AGREED
    assert row.reason == "left to another provider: n0, n1, n2, n3, n4 and 2 more"


def test_an_error_of_the_same_function_is_put_in_bits() -> None:
    row = judged(2.0**15, bits={CONV: 24})
    assert explained(row, set()).reason == ""
    assert "computes as in 9 mantissa bits, or wrongly" in explained(row, {"a source"}).reason
    assert explained(judged(2.0), {"a source"}).reason == ""


def test_sources_are_proven_once_whatever_runs_them() -> None:
    plan = rounding_plan(["keras"], ["keras", "keras-xla", "keras-jax"], None)
    (same,) = same_plan(plan)
    assert isinstance(same, Task)
    assert (same.subject, same.runtime.name) == ("keras source", "keras")
    assert same.runtime.options["dtype"] == "float64"


def test_what_runs_no_subject_is_a_row() -> None:
    (row,) = rounding_plan(["torch"], ["keras-xla"], None)
    assert isinstance(row, Row)
    assert (row.status, row.reason) == (
        NOT_RUN,
        "keras-xla runs keras source, which was not asked for",
    )
