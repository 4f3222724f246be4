"""What a verification found: rows, a verdict, and both as text and as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from netspec.exports.noise import THRESHOLD, Figures

SCHEMA = 1

AGREED = "agreed"
DISAGREED = "disagreed"
FAILED = "failed"
NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Row:
    """One subject on one runtime, held against the float64 reference.

    `figures` has an entry per output where they could be measured; `reason` says why a row is not
    agreed; `detail` is the end of a failed worker's log.
    """

    subject: str
    runtime: str
    status: str
    figures: dict[str, Figures] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    info: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ratio_rms(self) -> float | None:
        """The worst output's rms error over its predicted noise."""
        return max((f.ratio_rms for f in self.figures.values()), default=None)

    @property
    def ratio_max(self) -> float | None:
        return max((f.ratio_max for f in self.figures.values()), default=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "runtime": self.runtime,
            "status": self.status,
            "reason": self.reason,
            "detail": self.detail,
            "info": self.info,
            "seconds": round(self.seconds, 3),
            "outputs": {name: _figures(f) for name, f in self.figures.items()},
        }


@dataclass(frozen=True, slots=True)
class Report:
    """True if there is something to report, and everything that was asked for ran and agreed."""

    spec: str
    weights: str
    seed: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows) and all(row.status == AGREED for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON; a ratio without bound is null."""
        return {
            "schema": SCHEMA,
            "spec": self.spec,
            "agreed": bool(self),
            "weights": self.weights,
            "seed": self.seed,
            "threshold": THRESHOLD,
            "rows": [row.to_dict() for row in self.rows],
            "notes": list(self.notes),
        }

    def render(self) -> str:
        """The report as an aligned table with its verdict below."""
        head = ("subject", "runtime", "rms", "max", "status")
        cells = [
            (row.subject, row.runtime, _ratio(row.ratio_rms), _ratio(row.ratio_max), row.status)
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
        reasons = ("", *(row.reason for row in self.rows))
        lines = [f"{self.spec}: error in units of the predicted float32 noise, {self.weights}"]
        for line, reason in zip((head, *cells), reasons, strict=True):
            text = "  ".join(
                _aligned(c, w, i) for i, (c, w) in enumerate(zip(line, widths, strict=True))
            )
            lines.append(f"  {text}  {reason}".rstrip())
        lines += [f"  note: {note}" for note in self.notes]
        lines += _details(self.rows)
        lines.append(self._verdict())
        return "\n".join(lines)

    def _verdict(self) -> str:
        agreed = sum(row.status == AGREED for row in self.rows)
        if self:
            return f"{self.spec}: agreed ({agreed} of {agreed}, each at most {THRESHOLD:g})"
        return f"{self.spec}: NOT agreed ({agreed} of {len(self.rows)} agreed)"


def _details(rows: tuple[Row, ...]) -> list[str]:
    lines = []
    for row in rows:
        if row.detail:
            lines.append(f"  {row.subject} on {row.runtime}, the end of its log:")
            lines += [f"    {line}" for line in row.detail.splitlines()]
    return lines


def _aligned(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column in (2, 3) else text.ljust(width)


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 1000 else f"{value:.1e}"


def _figures(figures: Figures) -> dict[str, float | None]:
    ratios = {"ratio_rms": figures.ratio_rms, "ratio_max": figures.ratio_max}
    return {
        "rms": figures.rms,
        "max": figures.max,
        "predicted_rms": figures.predicted_rms,
        "predicted_max": figures.predicted_max,
        **{name: value if math.isfinite(value) else None for name, value in ratios.items()},
    }
