"""What a worker told of its run beside the results, and what follows from it for the verdict."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from netspec.exports.precision import arithmetic, level, objection
from netspec.exports.report import AGREED, DISAGREED, FAILED, PASSED, Row

SHOWN = 5


def qualified(row: Row) -> Row:
    """The row with the name of its arithmetic; too few bits do not pass, however small the error.

    Nodes that ran elsewhere are listed, and what the worker notes of the file.
    """
    row = replace(row, reason=_joined(row.reason, *row.info.get("notes", ())))
    bits = row.info.get("bits")
    if not bits:
        return row
    row = replace(row, info={**row.info, "arithmetic": arithmetic(bits)})
    elsewhere = row.info.get("elsewhere")
    if is_reduced(row):
        status = FAILED if row.status == FAILED else DISAGREED
        return replace(row, status=status, reason=_joined(objection(bits), row.reason))
    if row.status == AGREED and elsewhere:
        more = f" and {len(elsewhere) - SHOWN} more" if elsewhere[SHOWN:] else ""
        listed = ", ".join(elsewhere[:SHOWN]) + more
        return replace(row, reason=_joined(row.reason, f"left to another provider: {listed}"))
    return row


def is_reduced(row: Row) -> bool:
    """Whether what ran had fewer mantissa bits than float32."""
    return bool(objection(row.info.get("bits") or {}))


def explained(row: Row, proven: Container[str]) -> Row:
    """A row that is beyond the noise although its subject is proven to be the same function.

    Then the runtime rounds more than float32 does, by as much as fewer bits would, or is wrong.
    """
    ratio = row.ratio_rms
    if row.status != DISAGREED or row.subject not in proven or ratio is None or is_reduced(row):
        return row
    bits = level(ratio)
    if bits is None:
        return row
    reason = f"the same function in float64, so it computes as in {bits} mantissa bits, or wrongly"
    return replace(row, reason=_joined(row.reason, reason))


def proven(rows: list[Row]) -> set[str]:
    """The subjects that float64 rows show to be the same function."""
    return {row.subject for row in rows if row.differences and row.status in PASSED}


def _joined(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)
