"""YAML as specs use it: core scalars of YAML 1.2, plain data, every node with its place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Findings, SourceText, Span
from netspec.reader import Mapping, Scalar, Sequence, YamlNode, plain, read


def parsed(text: str) -> YamlNode:
    findings = Findings()
    node = read(SourceText.of("f.yaml", text), findings)
    assert findings.diagnostics == []
    assert node is not None
    return node


def refused(text: str) -> list[tuple[str, int, int]]:
    """Code, line and column of every finding."""
    findings = Findings()
    read(SourceText.of("f.yaml", text), findings)
    places = [(d.code, d.span) for d in findings.diagnostics]
    return [(code, span.line, span.column) for code, span in places if span is not None]


# The examples of https://yaml.org/spec/1.2.2/#103-core-schema, less what specs leave out.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("True", True), ("FALSE", False), ("0", 0), ("0o7", 7), ("0x3A", 58),
        ("-19", -19), ("0.", 0.0), ("-0.0", -0.0), (".5", 0.5), ("+12e03", 12e3), ("-2E+05", -2e5),
        ("010", 10), ("1e-3", 0.001), ("+7", 7),
        ("yes", "yes"), ("on", "on"), ("n", "n"), ("1_000", "1_000"), ("12:30", "12:30"),
        ("0b1", "0b1"), ("2024-01-01", "2024-01-01"), ("1e", "1e"), (".", "."), ("-", "-"),
        ("=a + 1", "=a + 1"), ("'3'", "3"), ('"true"', "true"), ('"\\x41"', "A"), ("!", "!"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    if text in ("-", "!"):
        text = f"'{text}'"
    node = parsed(f"[{text}]")
    assert isinstance(node, Sequence)
    (item,) = node.items
    assert isinstance(item, Scalar)
    assert item.value == value
    assert type(item.value) is type(value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: null", ("null", 1, 4)),
        ("a: ~", ("null", 1, 4)),
        ("a: .inf", ("wrong-type", 1, 4)),
        ("a: -.INF", ("wrong-type", 1, 4)),
        ("a: .nan", ("wrong-type", 1, 4)),
        ("a: 1e400", ("wrong-type", 1, 4)),
        ("a: 1\na: 2", ("duplicate-key", 2, 1)),
        ("a: 1\n'a': 2", ("duplicate-key", 2, 1)),
        ("x: &b {c: 1}\na: {<<: *b}", ("yaml", 2, 5)),
        ("a: !!str 3", ("yaml", 1, 4)),
        ("a: &x !tag [3]", ("yaml", 1, 7)),
        ("a: *b", ("yaml", 1, 4)),
        ("a: &b [*b]", ("yaml", 1, 8)),
        ("{[a]: b}", ("yaml", 1, 2)),
        ("'': b", ("yaml", 1, 1)),
        ("a: 1\n---\nb: 2", ("yaml", 2, 1)),
        ("a:\n\tb: 1", ("yaml", 2, 1)),
        ("a: @b", ("yaml", 1, 4)),
        ("a: [b", ("yaml", 1, 4)),
        ("a: {b: [c, d}", ("yaml", 1, 13)),
        ('a: "b', ("yaml", 1, 4)),
        ("a: \x01", ("yaml", 1, 4)),
        ("é: \x01", ("yaml", 1, 4)),
        ("", ("yaml", 1, 1)),
        ("{a: =min(1, 2)}", ("split-formula", 1, 5)),
        ("{a: =min(1, 2), b: =max(3, 4)}", ("split-formula", 1, 5)),
        ("[=min(1, 2)]", ("split-formula", 1, 2)),
        ("{a: =w[0]}", ("split-formula", 1, 5)),
        ("{a: =1 + w[0] * 2}", ("split-formula", 1, 5)),
        ("[=w[0]]", ("split-formula", 1, 2)),
        ("[a{i}]", ("split-formula", 1, 2)),
        ("{a{i}: b}", ("split-formula", 1, 2)),
        ("a: =x[1: 2]", ("split-formula", 1, 4)),
        ("{a: =f('b', [1, 2])}", ("split-formula", 1, 5)),
    ],
)
def test_refusals_say_where(text: str, found: tuple[str, int, int]) -> None:
    assert refused(text)[0] == found


@pytest.mark.parametrize(
    "text",
    ["a: =min(1, 2)", "a: =w[0]", "- =w[0]", "a{i}: b", '{a: "=min(1, 2)"}', "{a: =(b)}",
     "a: =x[1:2]"],
)  # fmt: skip
def test_formulas_that_need_no_quotes(text: str) -> None:
    parsed(text)


def text_at(span: Span) -> str:
    assert span.line == span.end_line
    return span.source.lines[span.line - 1][span.column - 1 : span.end_column - 1]


def test_places() -> None:
    text = "one: [1, 'two', {é: 日本}]\nthree:\n  - four\n  - {five: 6}\nseven: |\n  8\n"
    root = parsed(text)
    assert isinstance(root, Mapping)
    assert [text_at(key.span) for key, _ in root.entries] == ["one", "three", "seven"]
    one, three = root.get("one"), root.get("three")
    assert isinstance(one, Sequence)
    assert isinstance(three, Sequence)
    assert [text_at(item.span) for item in one.items] == ["1", "'two'", "{é: 日本}"]
    assert [text_at(item.span) for item in three.items] == ["four", "{five: 6}"]
    assert (three.span.line, three.span.end_line) == (3, 4)


DATA = st.recursive(
    st.integers(-(10**12), 10**12) | st.booleans() | st.text(max_size=12) | st.floats(-1e9, 1e9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("xyz", min_size=1), DATA, min_size=1), st.booleans())
@settings(max_examples=150, deadline=None)
def test_reads_what_yaml_writes(data: dict[str, Any], flow: bool) -> None:
    """Text is quoted so that YAML 1.1 and 1.2 agree on it; the rest is the same in both."""
    text = yaml.safe_dump(_quoted(data), default_flow_style=flow, allow_unicode=True, width=1000)
    assert plain(parsed(text)) == data


class _Quoted(str):
    pass


yaml.SafeDumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return _Quoted(value) if isinstance(value, str) else value


def test_crlf_and_bom() -> None:
    assert plain(parsed("a: 1\r\nb: [2,\r\n 3]\r\n")) == {"a": 1, "b": [2, 3]}
    assert refused("a: 1\r\nb: null\r\n") == [("null", 2, 4)]


def test_depth_is_bounded() -> None:
    assert plain(parsed("[" * 60 + "]" * 60))
    assert refused("[" * 100 + "]" * 100)[0][0] == "too-deep"
