"""Saved reports: what `netspec verify --json` writes, read again, and judged again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netspec.exports.noise import Figures
from netspec.exports.qualify import is_reduced
from netspec.exports.report import (
    AGREED,
    DISAGREED,
    PASSED,
    SCHEMA,
    Blame,
    NodeError,
    NodeRow,
    Report,
    Row,
)
from netspec.exports.same import Difference
from netspec.exports.training import Course, RateRow, TensorRow, TrainingReport


class ReportError(ValueError):
    """A file is no report, or one of another version; the text says where and why."""


def to_json(reports: Sequence[Report]) -> str:
    """The reports of one run as the text of a file."""
    data = {
        "schema": SCHEMA,
        "agreed": all(reports),
        "reports": [report.to_dict() for report in reports],
    }
    return json.dumps(_finite(data), indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> list[Report]:
    """What `to_json` wrote.

    Raises:
        ReportError: it is something else.
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"it is not JSON: {str(error) or 'it is nested too deep'}") from None
    if not isinstance(data, dict) or "schema" not in data or "reports" not in data:
        raise ReportError("it is not a report that `netspec verify --json` wrote")
    if data["schema"] != SCHEMA:
        raise ReportError(f"it has schema {data['schema']!r:.40}, and this netspec reads {SCHEMA}")
    return [_report(at) for at in _At(data["reports"], "reports").items()]


def judged_again(report: Report, limit: float | None, bound: float | None) -> Report:
    """The same figures held against another limit or bound; nothing is run.

    A row that was decided by something else than its figures keeps its status, unless it agreed
    and its figures do not.
    """
    new = replace(
        report,
        limit=report.limit if limit is None else limit,
        bound=report.bound if bound is None else bound,
    )
    same = tuple(
        _row_again(
            row,
            {name: d.unexplained for name, d in row.differences.items()},
            (report.bound, new.bound),
            "another function",
        )
        for row in report.same
    )
    rows = tuple(
        _row_again(
            row,
            {name: max(f.ratio_rms, f.ratio_max) for name, f in row.figures.items()},
            (report.limit, new.limit),
            "beyond the noise",
        )
        for row in report.rows
    )
    if replace(new, same=same, rows=rows) == report:
        return report
    note = f"judged again: measured with the limits {report.limit:g} and {report.bound:g}"
    departed = {row.name for row in (*same, *rows) if row.status != AGREED}
    blames = tuple(b for b in report.blames if f"{b.subject} on {b.runtime}" in departed)
    return replace(new, same=same, rows=rows, blames=blames, notes=(*report.notes, note))


def _row_again(row: Row, found: dict[str, float], limits: tuple[float, float], words: str) -> Row:
    """The row under the second of two limits, if the first is what decided it.

    Too few bits do not pass under any limit.
    """
    old, new = ([name for name, error in found.items() if not error <= at] for at in limits)
    by_figures = row.reason.startswith(f"{words}: {', '.join(old)}") and not is_reduced(row)
    decided = row.status == AGREED or (row.status == DISAGREED and old and by_figures)
    if not decided or (row.status == DISAGREED) == bool(new):
        return row
    if not new:
        return replace(row, status=AGREED, reason="")
    return replace(row, status=DISAGREED, reason=f"{words}: {', '.join(new)}")


def _finite(data: Any) -> Any:
    """The same without NaN and infinities, which JSON has no words for: they are null."""
    if isinstance(data, dict):
        return {name: _finite(item) for name, item in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(item) for item in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


@dataclass(frozen=True, slots=True)
class _At:
    """A piece of data from a file, and where it stands there."""

    data: Any
    where: str

    def __getitem__(self, name: str) -> _At:
        if not isinstance(self.data, dict) or name not in self.data:
            raise ReportError(f"{self.where} has no {name!r}")
        return _At(self.data[name], f"{self.where}.{name}")

    def items(self) -> Iterator[_At]:
        for index, item in enumerate(self._of(list)):
            yield _At(item, f"{self.where}[{index}]")

    def entries(self) -> Iterator[tuple[str, _At]]:
        for name, item in self._of(dict).items():
            yield name, _At(item, f"{self.where}.{name}")

    def text(self) -> str:
        return str(self._of(str))

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def whole(self) -> int:
        if isinstance(self.data, bool):
            raise ReportError(f"{self.where} is not a whole number")
        return int(self._of(int))

    def number(self) -> float:
        """A number; infinite where the file has null, as JSON has no word for it."""
        if self.data is None:
            return math.inf
        if isinstance(self.data, bool) or not isinstance(self.data, (int, float)):
            raise ReportError(f"{self.where} is not a number")
        try:
            return float(self.data)
        except OverflowError:
            raise ReportError(f"{self.where} is not a number that a float holds") from None

    def limit(self) -> float:
        found = self.number()
        if not 0.0 < found < math.inf:
            raise ReportError(f"{self.where} is not a number above 0")
        return found

    def _of(self, kind: type) -> Any:
        if not isinstance(self.data, kind):
            words = {list: "a list", dict: "an object", str: "text", int: "a whole number"}
            raise ReportError(f"{self.where} is not {words[kind]}")
        return self.data


def _report(at: _At) -> Report:
    return Report(
        spec=at["spec"].text(),
        weights=at["weights"].text(),
        seed=at["seed"].whole(),
        rows=tuple(_row(row, rounding=True) for row in at["rows"].items()),
        notes=at["notes"].texts(),
        same=tuple(_row(row, rounding=False) for row in at["same"].items()),
        blames=tuple(_blame(blame) for blame in at["blames"].items()),
        nodes=_nodes(at["nodes"]),
        command=at["command"].text(),
        versions={name: version.text() for name, version in at["versions"].entries()},
        limit=at["threshold"].limit(),
        bound=at["bound"].limit(),
        training=None if at["training"].data is None else _training(at["training"]),
    )


def _training(at: _At) -> TrainingReport:
    return TrainingReport(
        at["spec"].text(),
        Course(
            at["batch"].whole(), at["steps"].whole(), at["rate"].number(), at["momentum"].number()
        ),
        tuple(_tensor(tensor) for tensor in at["tensors"].items()),
        tuple(_rate(rate) for rate in at["rates"].items()),
        at["blamed"].text(),
    )


def _tensor(at: _At) -> TensorRow:
    return TensorRow(
        stage=at["stage"].text(),
        key=at["key"].text(),
        node=at["node"].text(),
        error=at["error"].number(),
        own=at["own"].number(),
    )


def _rate(at: _At) -> RateRow:
    return RateRow(
        node=at["node"].text(),
        backend=at["backend"].text(),
        expected=at["expected"].number(),
        found=None if at["found"].data is None else at["found"].number(),
    )


def _row(at: _At, *, rounding: bool) -> Row:
    outputs = dict(at["outputs"].entries())
    differences = {} if rounding else {n: _difference(o) for n, o in outputs.items()}
    status = at["status"].text()
    if status in PASSED and not outputs:
        raise ReportError(f"{at.where} is {status!r} without an output")
    info = dict(at["info"].entries())
    if "bits" in info:
        for _, bits in info["bits"].entries():
            bits.whole()
    return Row(
        subject=at["subject"].text(),
        runtime=at["runtime"].text(),
        status=status,
        figures={n: _figures(o) for n, o in outputs.items()} if rounding else {},
        reason=at["reason"].text(),
        detail=at["detail"].text(),
        info={name: item.data for name, item in info.items()},
        seconds=at["seconds"].number(),
        differences=differences,
    )


def _figures(at: _At) -> Figures:
    names = ("rms", "max", "predicted_rms", "predicted_max")
    return Figures(*(at[name].number() for name in names))


def _difference(at: _At) -> Difference:
    return Difference(at["relative"].number(), at["rounding"].number())


def _blame(at: _At) -> Blame:
    return Blame(
        **{
            name: at[name].text()
            for name in ("subject", "runtime", "node", "op", "where", "line", "alone")
        },
        folded=at["folded"].texts(),
        files=at["files"].texts(),
        index=tuple(axis.whole() for axis in at["index"].items()),
        expected=at["expected"].number(),
        actual=None if at["actual"].data is None else at["actual"].number(),
        relative=None if at["relative"].data is None else at["relative"].number(),
    )


def _nodes(at: _At) -> tuple[NodeRow, ...]:
    nodes = tuple(_node(node) for node in at.items())
    place = {node.path: number for number, node in enumerate(nodes)}
    for number, node in enumerate(nodes):
        if any(place.get(name, -1) >= number for name in node.inputs):
            raise ReportError(f"{at.where}[{number}] reads what does not stand before it")
    return nodes


def _node(at: _At) -> NodeRow:
    return NodeRow(
        path=at["path"].text(),
        op=at["op"].text(),
        inputs=at["inputs"].texts(),
        shape=at["shape"].text(),
        where=at["where"].text(),
        errors={
            name: None
            if error.data is None
            else NodeError(error["max"].number(), error["predicted_max"].number())
            for name, error in at["errors"].entries()
        },
    )
