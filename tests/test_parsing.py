"""Parsing in a worker is not disturbed by what the garbage collector sets off."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from netspec.exports.parsing import whole_parsing

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
def whole() -> Iterator[None]:
    parse = ast.parse
    with whole_parsing():
        yield
        gc.collect()
    assert ast.parse is parse


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


@pytest.mark.usefixtures("whole")
def test_threads_that_parse_do_not_disturb_each_other() -> None:
    def parse(_: int) -> int:
        for _ in range(5):
            Garbage()
        return len(ast.parse(TEXT).body)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(parse, range(24))) == {2000}
