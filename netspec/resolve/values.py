"""Plain values of what a spec writes: data, formulas, conditions, names with formulas in them."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics import Span
from netspec.evaluate import UNKNOWN, Unknown, UnknownValue, evaluate
from netspec.formula import FormulaError
from netspec.lazy import hints
from netspec.resolve.frames import Failed, Frame
from netspec.syntax import Arg, Data, Formula, ListValue, MapValue, Template, Value


def plain_value(value: Value, frame: Frame) -> Any:
    """The plain value of data or a formula; UNKNOWN after a report."""
    match value:
        case Data(plain):
            return plain
        case Formula():
            return _computed(value, frame)
        case ListValue(items):
            if not affordable(len(items), value.span, frame):
                return UNKNOWN
            values = [plain_value(item, frame) for item in items]
            return UNKNOWN if any(isinstance(v, Unknown) for v in values) else values
        case MapValue(entries):
            found = {name: plain_value(item, frame) for name, item in entries}
            unknown = any(isinstance(v, Unknown) for v in found.values())
            return UNKNOWN if unknown else found
        case _:
            return UNKNOWN


def _computed(formula: Formula, frame: Frame) -> Any:
    steps = frame.state.steps
    if steps.left < 0:
        return UNKNOWN  # reported
    try:
        return evaluate(formula.expr, frame.env, frame.input_type, steps)
    except UnknownValue:
        return UNKNOWN
    except FormulaError as problem:
        hint = problem.hint
        if problem.message.startswith("unknown name"):
            hint = hints.suggestion(problem.message.split("`")[1], frame.env, "there are")
        where = formula.at(problem.start, problem.end)
        code = "too-large" if steps.left < 0 else "bad-formula"
        frame.error(code, problem.message, where, hint)
        return UNKNOWN


def affordable(steps: int, span: Span, frame: Frame) -> bool:
    """Whether there are steps left for a piece of work; reports it once if not."""
    left = frame.state.steps
    if left.left >= 0:
        try:
            left.take(steps)
        except FormulaError as problem:
            frame.error("too-large", problem.message, span)
    return left.left >= 0


def argument(arg: Arg, frame: Frame) -> Any:
    """An argument's value; a key with nothing after it takes the value of its own name."""
    if arg.same and isinstance(arg.value, Formula) and arg.name not in frame.env:
        hint = f"write `{arg.name}: VALUE`" + (
            f"; names here are {', '.join(frame.env)}" if frame.env else ""
        )
        frame.error("bad-formula", f"there is no `{arg.name}` here to pass on", arg.span, hint)
        return UNKNOWN
    return plain_value(arg.value, frame)


def condition(value: Value, frame: Frame) -> bool:
    """Whether a `when` holds."""
    result = plain_value(value, frame)
    if isinstance(result, Unknown):
        raise Failed
    if not isinstance(result, bool):
        message = f"`when` must be true or false, not {hints.show(result)}"
        hint = hints.text_hint(result, "bool") if isinstance(result, str) else None
        frame.error("wrong-type", message, value.span, hint)
        raise Failed
    return result


def expand(template: Template, frame: Frame) -> str:
    """A name with its formula parts filled in."""
    texts = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        value = plain_value(part, frame)
        if isinstance(value, Unknown):
            raise Failed
        good = isinstance(value, (int, str)) and not isinstance(value, bool)
        text = str(value)
        if not good or not text.isascii() or not text.replace("_", "0").isalnum():
            message = f"a name's part must be an int from 0 or a word, not {hints.show(value)}"
            frame.error("bad-name", message, part.span)
            raise Failed
        texts.append(text)
    return "".join(texts)
