"""How often a node is repeated, and the names of each turn."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics import Span
from netspec.evaluate import Unknown
from netspec.lazy import hints
from netspec.resolve.frames import Failed, Frame
from netspec.resolve.values import plain_value
from netspec.syntax import ListValue, Repeat


def turns(repeat: Repeat | None, frame: Frame) -> list[dict[str, Any]]:
    """The loop names of each copy."""
    if repeat is None:
        return [{}]
    for name in (repeat.index, *repeat.names):
        _refuse_shadow(name, repeat, frame)
    if repeat.times is None:
        rows = _rows(repeat, frame)
        return [{repeat.index: i, **_row(repeat, row, i, frame)} for i, row in enumerate(rows)]
    times = plain_value(repeat.times, frame)
    if isinstance(times, Unknown):
        raise Failed
    if not isinstance(times, int) or isinstance(times, bool) or times < 0:
        message = f"`repeat` must be a count, not {hints.show(times)}"
        frame.error("wrong-type", message, repeat.times.span)
        raise Failed
    _refuse_too_many(times, repeat, frame)
    return [{repeat.index: i} for i in range(times)]


def _rows(repeat: Repeat, frame: Frame) -> list[Any]:
    assert repeat.each is not None
    rows = plain_value(repeat.each, frame)
    if isinstance(rows, Unknown):
        raise Failed
    if not isinstance(rows, list):
        message = f"`each` must be a list, not {hints.show(rows)}"
        frame.error("wrong-type", message, repeat.each.span)
        raise Failed
    _refuse_too_many(len(rows), repeat, frame)
    return rows


def _row(repeat: Repeat, row: Any, index: int, frame: Frame) -> dict[str, Any]:
    """The names that a row gives."""
    if not repeat.names:
        if not isinstance(row, dict):
            message = f"rows need names: this one is {hints.show(row)}"
            names = f"[{', '.join(['NAME'] * len(row))}]" if isinstance(row, list) else "NAME"
            frame.error("wrong-type", message, _row_span(repeat, index), f"add `as: {names}`")
            raise Failed
        for name in row:
            _refuse_shadow(name, repeat, frame)
        return row
    if not repeat.unpack:
        return {repeat.names[0]: row}
    if not isinstance(row, list) or len(row) != len(repeat.names):
        count = len(repeat.names)
        message = f"`as` names {count} values of each row, but this is {hints.show(row)}"
        frame.error("wrong-type", message, _row_span(repeat, index))
        raise Failed
    return dict(zip(repeat.names, row, strict=True))


def _row_span(repeat: Repeat, index: int) -> Span:
    """Where a row is written, if the table is not a formula."""
    assert repeat.each is not None
    rows = repeat.each
    return rows.items[index].span if isinstance(rows, ListValue) else rows.span


def _refuse_shadow(name: str, repeat: Repeat, frame: Frame) -> None:
    if name in frame.env:
        hint = "name another with `index:`" if name == repeat.index else "choose another name"
        message = f"the loop name `{name}` already stands for something here"
        frame.error("bad-name", message, repeat.span, hint)
        raise Failed


def _refuse_too_many(copies: int, repeat: Repeat, frame: Frame) -> None:
    """Refuse a number of copies before the first is made."""
    if copies > frame.state.limit:
        frame.count(copies, repeat.span)
