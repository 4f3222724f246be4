"""Formulas: what they compute (as Python does), what they refuse, and that they are bounded."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.evaluate import UNKNOWN, Steps, UnknownValue, evaluate
from netspec.formula import FormulaError, Name, free, names, parse
from netspec.types import TensorType

IMAGE = TensorType((3, 224, 112))
SCOPE: dict[str, Any] = {"w": [64, 128, 256], "n": 7, "x": 0.5, "yes": True, "k": "relu"}


def run(text: str, input_type: TensorType | None = IMAGE) -> Any:
    return evaluate(parse(text), SCOPE, input_type, Steps())


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2 * 3",
        "(1 + 2) * 3",
        "-7 // 2",
        "-7 % 3",
        "7.5 // 2",
        "7 / 2",
        "2 ** 10",
        "2 ** -1",
        "2 ** 0.5",
        "-2 ** 2",
        "1 < 2 < 3",
        "1 < 2 > 5",
        "1 == 1.0",
        "n != 7 or x <= 0.5",
        "not n == 7 and n > 1",
        "1 if n > 3 else 1 // 0",
        "w[1]",
        "w[-1]",
        "w[1:]",
        "w[:-1]",
        "w[1:2]",
        "[v * 2 for v in w]",
        "[[a + b for a in range(2)] for b in range(3)]",
        "min(3, 1, 2)",
        "max([3, 1, 2])",
        "sum([v for v in w[:2]])",
        "sum([])",
        "len(w)",
        "abs(-3.5)",
        "round(2.5)",
        "round(3.5)",
        "[range(3)[0], range(1, 10, 4)[2], range(5, 0, -2)[1]]",
        "k == 'relu'",
        "0.1 + 0.2",
        "1e3",
    ],
)
def test_means_what_python_means(text: str) -> None:
    expected = eval(text, {"__builtins__": {}, **SCOPE, **_functions()})
    got = run(text)
    assert got == expected
    assert type(got) is type(expected)


def _functions() -> dict[str, Any]:
    listed = lambda *a: list(range(*a))  # noqa: E731
    return {
        "min": min, "max": max, "sum": sum, "len": len, "abs": abs, "round": round, "range": listed
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ceil(2.1)", 3),
        ("floor(-2.1)", -3),
        ("sqrt(16)", 4.0),
        ("true and not false", True),
        ("input.channels * input.height // input.width", 6),
    ],
)
def test_values(text: str, expected: Any) -> None:
    got = run(text)
    assert got == expected
    assert type(got) is type(expected)


# MobileNet's rule, as in torchvision's `_make_divisible(v, divisor)` (mobilenetv2.py).
@given(st.floats(0.1, 5000), st.integers(1, 64))
@settings(max_examples=200, deadline=None)
def test_make_divisible_is_mobilenets(value: float, divisor: int) -> None:
    expected = max(divisor, int(value + divisor / 2) // divisor * divisor)
    if expected < 0.9 * value:
        expected += divisor
    assert run(f"make_divisible({value!r}, {divisor})") == expected


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "empty", None),
        ("n +", "not a formula", "+"),
        ("n n", "not a formula", "n n"),
        ("(n", "never closed", "("),
        ("m + 1", "unknown name `m`", "m"),
        ("n + min", "is a function", "min"),
        ("input", "is not a number", "input"),
        ("input.size", "has no `size`", "input.size"),
        ("input.length", "has no length", "input.length"),
        ("n.real", "only `input` has parts", "n.real"),
        ("w[3]", "index 3 of a list of 3", "w[3]"),
        ("w[1.0]", "an index is an int", None),
        ("w[yes]", "an index is an int", None),
        ("w[::2]", "no step", "w[::2]"),
        ("n[0]", "only a list has items", None),
        ("1 // 0", "division by zero", "1 // 0"),
        ("2 + 1 % 0", "division by zero", "1 % 0"),
        ("0 ** -1", "division by zero", "0 ** -1"),
        ("(-8) ** 0.5", "root of a negative", "(-8) ** 0.5"),
        ("sqrt(0 - 1)", "negative", "sqrt(0 - 1)"),
        ("yes + 1", "needs numbers, not true/false", "yes + 1"),
        ("k * 3", "needs numbers, not text", "k * 3"),
        ("w + w", "needs numbers, not a list", "w + w"),
        ("n and yes", "needs true or false", "n and yes"),
        ("1 if n else 2", "needs true or false", None),
        ("not n", "needs true or false", None),
        ("yes == 1", "cannot compare", "yes == 1"),
        ("k == n", "cannot compare", "k == n"),
        ("w == w", "cannot compare", "w == w"),
        ("min([])", "empty list", "min([])"),
        ("min()", "needs an argument", "min()"),
        ("sum(1, 2)", "takes 1 argument, not 2", "sum(1, 2)"),
        ("range(1.0)", "needs ints", "range(1.0)"),
        ("range(1, 2, 0)", "step other than 0", "range(1, 2, 0)"),
        ("make_divisible(3, 0)", "at least 1", "make_divisible(3, 0)"),
        ("make_divisible(3, 8.0)", "an int", "make_divisible(3, 8.0)"),
        ("True", "unknown name `True`", "True"),
        ("+n", "leading `+`", "+n"),
        ("~n", "not part", "~n"),
        ("n @ n", "not part", "n @ n"),
        ("n in w", "not part", "n in w"),
        ("n is n", "not part of formulas", "is"),
        ("lambda: n", "not a formula", ":"),
        ("(n := 3)", "not part", "n := 3"),
        ("f'{n}'", "not part", "f'{n}'"),
        ("b'n'", "are constants", "b'n'"),
        ("None", "are constants", "None"),
        ("1j", "are constants", "1j"),
        ("(1, 2)", "not part", "(1, 2)"),
        ("{1: 2}", "not part", "{1: 2}"),
        ("print(n)", "no function `print`", "print"),
        ("__import__('os')", "no function `__import__`", "__import__"),
        ("().__class__", "only `input` has parts", "().__class__"),
        ("n.__class__", "only `input` has parts", "n.__class__"),
        ("input.__class__", "has no `__class__`", "input.__class__"),
        ("max(w, key=n)", "plain arguments", "max(w, key=n)"),
        ("max(*w)", "plain arguments", "max(*w)"),
        ("[v for v in w if yes]", "is written", "[v for v in w if yes]"),
        ("[min for min in w]", "reserved", "min"),
        ("'\\\\x41'", "backslash", "\\"),
        ("n # c", "`#` is not part", "#"),
        ("2 ** 64", "too large", "2 ** 64"),
        ("9 ** 9 ** 9", "too large", "9 ** 9"),
        ("9223372036854775807 * 2", "too large", "9223372036854775807 * 2"),
        ("9" * 300, "too large", "9" * 300),
        ("1e308 * 10", "not finite", "1e308 * 10"),
        ("1e999", "not finite", "1e999"),
        ("ceil(1e300)", "too large", "ceil(1e300)"),
        ("range(10 ** 9)", "a list of more than", "range(10 ** 9)"),
    ],
)
def test_refusals_say_where(text: str, message: str, place: str | None) -> None:
    with pytest.raises(FormulaError) as caught:
        run(text)
    assert message in caught.value.message
    if place is not None:
        assert caught.value.end is not None
        start = caught.value.start
        shown = text[start : caught.value.end]
        assert place.startswith(shown) or shown.endswith(place)
        assert shown


def test_several_inputs_have_no_single_one() -> None:
    with pytest.raises(FormulaError, match="no single `input`"):
        run("input.channels", None)


def test_what_was_reported_is_silent() -> None:
    with pytest.raises(UnknownValue):
        evaluate(parse("a + 1"), {"a": UNKNOWN}, IMAGE, Steps())
    assert evaluate(parse("1 if true else a"), {"a": UNKNOWN}, IMAGE, Steps()) == 1


def test_names() -> None:
    expr = parse("a + [b * i for i in c][input.width] if d else min(e, 2)")
    assert names(expr) == {"a", "b", "c", "d", "e", "input"}
    assert [n.name for n in free(expr) if isinstance(n, Name)] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    "text",
    [
        "-" * 900 + "1",
        "(" * 250 + "1" + ")" * 250,
        "1<" * 400 + "1",
        "true or " * 100 + "true",
        "not " * 200 + "true",
        "n" + "[0]" * 300,
        "1+" * 400 + "1",
        "1" + " if true else 1" * 60,
        "min(" * 90 + "1" + ")" * 90,
        "x" * 2000,
        "[[[[0 for a in range(999)] for b in range(999)] for c in range(999)] for d in range(9)]",
        "[range(100000) for i in range(100000)]",
        "sum([sum(range(99999)) for i in range(99999)])",
        "sum([len(range(99999)[1:]) for i in range(99999)])",
        "9**9**9**9",
        "2**2**2**2**2**2",
        "(9**19)**19",
        "0.5**(0-99999999)",
    ],
)
def test_bombs_are_refused_at_once(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(FormulaError):
        run(text)
    assert time.process_time() - begun < 10


@given(st.text(alphabet="nwxk0123456789.+-*/%<>=!()[],: 'ifelsandortu\n\t\"{}~@:_é", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    with contextlib.suppress(FormulaError):
        value = run(text)
        assert isinstance(value, (int, float, str, bool, list))
        assert not isinstance(value, float) or math.isfinite(value)
