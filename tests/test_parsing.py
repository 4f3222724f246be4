"""Parsing in a worker is not disturbed by what the garbage collector sets off."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator

import pytest

from netspec.exports.parsing import keep_parsing_whole

TEXT = "\n".join(f"x{number} = [{number}, (1, 2)]" for number in range(2000))


class Garbage:
    """Only the collector frees it, and then it parses, some calls deeper."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        self.parse(5)

    def parse(self, depth: int) -> None:
        if depth:
            self.parse(depth - 1)
        else:
            ast.parse("1")


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ast, "parse", ast.parse)  # what is put in its place goes with the test
    keep_parsing_whole()
    yield
    gc.collect()


@pytest.mark.usefixtures("whole")
def test_finalizers_that_parse_do_not_disturb_parsing() -> None:
    for _ in range(5):
        for _ in range(50):
            Garbage()
        assert len(ast.parse(TEXT).body) == 2000
    assert gc.isenabled()


@pytest.mark.usefixtures("whole")
def test_a_text_that_is_wrong_is_refused_and_the_collector_goes_on() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("1 +")
    assert gc.isenabled()
