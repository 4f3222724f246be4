"""What a verification found: rows, a verdict, and both as text and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from netspec.exports.noise import THRESHOLD, Figures
from netspec.exports.same import BOUND, Difference

SCHEMA = 2

AGREED = "agreed"
ROUNDED = "rounded"
DISAGREED = "disagreed"
FAILED = "failed"
NOT_RUN = "not run"
PASSED = (AGREED, ROUNDED)


@dataclass(frozen=True, slots=True)
class Row:
    """One subject on one runtime, held against the float64 reference.

    Per output, where they could be measured: `differences` where the question is whether the
    function is the same, `figures` where it is whether it rounds rightly. `reason` says why a row
    is not agreed; `detail` is the end of a failed worker's log. A status of `ROUNDED` is a finished
    file whose stored numbers are rounded, by no more than float32 does.
    """

    subject: str
    runtime: str
    status: str
    figures: Mapping[str, Figures] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    info: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    differences: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def ratio_rms(self) -> float | None:
        """The worst output's rms error over its predicted noise."""
        return max((f.ratio_rms for f in self.figures.values()), default=None)

    @property
    def ratio_max(self) -> float | None:
        return max((f.ratio_max for f in self.figures.values()), default=None)

    @property
    def relative(self) -> float | None:
        """The worst output's float64 difference over its largest value."""
        return max((d.relative for d in self.differences.values()), default=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "runtime": self.runtime,
            "status": self.status,
            "reason": self.reason,
            "detail": self.detail,
            "info": self.info,
            "seconds": round(self.seconds, 3),
            "outputs": {
                name: found.to_dict() for name, found in (self.figures or self.differences).items()
            },
        }


@dataclass(frozen=True, slots=True)
class Blame:
    """The first node in topological order that departs from the reference, and how.

    `folded` are nodes before it whose values do not exist in what was run, because an exporter
    made one node of them and this one. `alone` says what the node does by itself, fed the
    reference's inputs. `files` are the one-node reproduction.
    """

    subject: str
    runtime: str
    node: str
    op: str
    where: str
    line: str
    folded: tuple[str, ...]
    index: tuple[int, ...]
    expected: float
    actual: float | None
    relative: float | None
    alone: str
    files: tuple[str, ...]
    channels: float = 1.0  # the share of the output's channels that depart

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def render(self) -> str:
        """The finding in a few lines."""
        lines = [f"blame: the {self.subject} on {self.runtime} departs at {self.node}"]
        lines += [f"  {self.where}: {self.line}", f"  {self.op}"]
        if self.folded:
            lines.append(f"  or at what is folded into one with it: {', '.join(self.folded)}")
        place = f"at {list(self.index)}, expected {self.expected:.17g}"
        if self.actual is None:
            lines.append(f"  {place}; it makes no value of this shape")
        else:
            lines.append(
                f"  {place}, found {self.actual:.17g}: "
                f"off by {self.relative or 0.0:.1e} of the largest value"
            )
        lines += [f"  {self.alone}"] if self.alone else []
        return "\n".join([*lines, f"  to reproduce: {' and '.join(self.files)}"])


@dataclass(frozen=True, slots=True)
class Report:
    """True if there is something to report, and everything that was asked for ran and agreed.

    `same` answers whether the function is the same, `rows` whether it rounds rightly; `blames`
    are the nodes where what disagreed departs.
    """

    spec: str
    weights: str
    seed: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    same: tuple[Row, ...] = ()
    blames: tuple[Blame, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows) and all(row.status in PASSED for row in (*self.same, *self.rows))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON; a ratio without bound is null."""
        return {
            "schema": SCHEMA,
            "spec": self.spec,
            "agreed": bool(self),
            "weights": self.weights,
            "seed": self.seed,
            "threshold": THRESHOLD,
            "bound": BOUND,
            "same": [row.to_dict() for row in self.same],
            "rows": [row.to_dict() for row in self.rows],
            "blames": [blame.to_dict() for blame in self.blames],
            "notes": list(self.notes),
        }

    def render(self) -> str:
        """The report as aligned tables with the verdict below."""
        lines = []
        if self.same:
            lines.append(f"{self.spec}: the same function? float64 error over the largest output")
            cells = [(r.subject, r.runtime, _scientific(r.relative), r.status) for r in self.same]
            head = ("subject", "in float64", "error", "status")
            lines += _table(head, cells, [row.reason for row in self.same])
        lines.append(f"{self.spec}: error in units of the predicted float32 noise, {self.weights}")
        figures = [
            (row.subject, row.runtime, _ratio(row.ratio_rms), _ratio(row.ratio_max), row.status)
            for row in self.rows
        ]
        head_of_rounding = ("subject", "runtime", "rms", "max", "status")
        lines += _table(head_of_rounding, figures, [row.reason for row in self.rows])
        lines += [f"  note: {note}" for note in self.notes]
        lines += _details((*self.same, *self.rows))
        lines += [f"  {line}" for blame in self.blames for line in blame.render().splitlines()]
        return "\n".join([*lines, *self._verdict()])

    def _verdict(self) -> list[str]:
        lines = []
        if self.same:
            same = sum(row.status in PASSED for row in self.same)
            lines.append(
                f"{self.spec}: the same function: {same} of {len(self.same)}, "
                f"each within {BOUND:g} of the largest output"
            )
        agreed = sum(row.status in PASSED for row in self.rows)
        if self:
            return [
                *lines,
                f"{self.spec}: agreed ({agreed} of {agreed}, each at most {THRESHOLD:g})",
            ]
        return [*lines, f"{self.spec}: NOT agreed ({agreed} of {len(self.rows)} agreed)"]


def _table(
    head: Sequence[str], cells: Sequence[Sequence[str]], reasons: Sequence[str]
) -> list[str]:
    """Aligned lines, numbers to the right; the reasons stand after the last column."""
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    numbers = range(2, len(head) - 1)
    lines = []
    for line, reason in zip((head, *cells), ("", *reasons), strict=True):
        text = "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append(f"  {text}  {reason}".rstrip())
    return lines


def _details(rows: tuple[Row, ...]) -> list[str]:
    lines = []
    for row in rows:
        if row.detail:
            lines.append(f"  {row.subject} on {row.runtime}, the end of its log:")
            lines += [f"    {line}" for line in row.detail.splitlines()]
    return lines


def _scientific(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 1000 else f"{value:.1e}"
