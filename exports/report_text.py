"""A report for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.exports.report import AGREED, PASSED, Report, Row


def render(report: Report) -> str:
    """Aligned tables with the verdict below."""
    lines = []
    if report.same:
        lines.append(f"{report.spec}: the same function? float64 error over the largest output")
        cells = [(r.subject, r.runtime, scientific(r.relative), r.status) for r in report.same]
        head = ("subject", "in float64", "error", "status")
        lines += _table(head, cells, [row.reason for row in report.same])
    lines.append(f"{report.spec}: error in units of the predicted float32 noise, {report.weights}")
    figures = [
        (
            row.subject,
            row.runtime,
            str(row.info.get("arithmetic", "-")),
            ratio(row.ratio_rms),
            ratio(row.ratio_max),
            row.status,
        )
        for row in report.rows
    ]
    head_of_rounding = ("subject", "runtime", "arithmetic", "rms", "max", "status")
    lines += _table(head_of_rounding, figures, [row.reason for row in report.rows])
    lines += [f"  note: {note}" for note in report.notes]
    lines += _details((*report.same, *report.rows))
    lines += [f"  {line}" for blame in report.blames for line in blame.render().splitlines()]
    lines += [report.training.render()] if report.training is not None else []
    return printable("\n".join([*lines, *verdict(report)]))


def printable(text: str) -> str:
    """The text with U+FFFD for what cannot be printed or would steer a terminal."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def verdict(report: Report) -> list[str]:
    """A line for each question; the last one says whether all is well."""
    lines = []
    if report.same:
        same = sum(row.status in PASSED for row in report.same)
        excused = any(
            (row.relative or 0.0) > report.bound for row in report.same if row.status == AGREED
        )
        lines.append(
            f"{report.spec}: the same function: {same} of {len(report.same)}, "
            f"each within {report.bound:g} of the largest output"
            + (", or what float64 rounds in this network" if excused else "")
        )
    agreed = sum(row.status in PASSED for row in report.rows)
    if report:
        last = f"agreed ({agreed} of {agreed}, each at most {report.limit:g})"
    elif agreed == len(report.rows) > 0:
        last = f"NOT agreed, though {agreed} of {agreed} round rightly"
    else:
        last = f"NOT agreed ({agreed} of {len(report.rows)} agreed)"
    return [*lines, f"{report.spec}: {last}"]


def scientific(value: float | None) -> str:
    """`1.2e-15`, or a dash where there is no number."""
    return "-" if value is None else f"{value:.1e}"


def ratio(value: float | None) -> str:
    """`0.55`, `7.4e+03`, or a dash where there is no number."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 1000 else f"{value:.1e}"


def _table(
    head: Sequence[str], cells: Sequence[Sequence[str]], reasons: Sequence[str]
) -> list[str]:
    """Aligned lines, numbers to the right; the reasons stand after the last column."""
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    numbers = [at for at, name in enumerate(head) if name in ("error", "rms", "max")]
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
