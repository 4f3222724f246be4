"""Rows of reports: one that is made, and one that a machine may lack."""

from __future__ import annotations

from typing import Any

import pytest

from netspec.exports.noise import Figures
from netspec.exports.report import AGREED, DISAGREED, NOT_RUN, Row


def judged(ratio: float, **info: Any) -> Row:
    status = AGREED if ratio <= 4 else DISAGREED
    return Row("a source", "b", status, {"y": Figures(ratio, ratio, 1.0, 1.0)}, info=info)


def run_or_skip(row: Row) -> Row:
    """The row, unless what it needs is not on this machine."""
    if row.status == NOT_RUN:
        pytest.skip(f"{row.runtime}: {row.reason}")
    return row
