"""`runtimes`: what can run a network here, in which arithmetic, and why the others cannot."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netspec.exports.report import Row
    from netspec.exports.runtimes import Runtime

HEAD = ("runtime", "runs", "version", "device", "arithmetic", "status")
AVAILABLE = "available"


def runtimes(args: argparse.Namespace) -> int:
    """Print a line for every runtime; each that can has run a small network."""
    from netspec.exports.runtimes import runtimes as known_runtimes
    from netspec.exports.survey import survey

    known = list(known_runtimes().values())
    rows = survey(known, _say)
    if args.json:
        print(json.dumps([_data(*pair) for pair in zip(known, rows, strict=True)], indent=2))
    else:
        print("\n".join(table(known, rows)))
    return 0


def table(known: Sequence[Runtime], rows: Sequence[Row]) -> list[str]:
    """Aligned lines with a head, one for each runtime and its row."""
    lines = [HEAD, *(_cells(*pair) for pair in zip(known, rows, strict=True))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _say(text: str) -> None:
    sys.stderr.write(f"{text} ...\n")  # in one piece: several threads speak
    sys.stderr.flush()


def _data(runtime: Runtime, row: Row) -> dict[str, object]:
    return {
        "name": runtime.name,
        "runs": _runs(runtime),
        "status": _status(row),
        "reason": row.reason,
        **row.info,
    }


def _cells(runtime: Runtime, row: Row) -> tuple[str, ...]:
    told = (str(row.info.get(name, "-")) for name in HEAD[2:5])
    status = _status(row)
    return (
        runtime.name,
        _runs(runtime),
        *told,
        status if status == AVAILABLE else f"{status}: {row.reason}",
    )


def _status(row: Row) -> str:
    """Whether it can be used: what computes in fewer bits can, though it does not agree."""
    from netspec.exports.qualify import is_reduced
    from netspec.exports.report import AGREED, FAILED

    usable = row.status == AGREED or (row.status != FAILED and is_reduced(row))
    return AVAILABLE if usable else row.status


def _runs(runtime: Runtime) -> str:
    return f"{runtime.backend} source" if runtime.backend else "ONNX files"
