"""Every mistake is explained: the whole printed text of each kind is kept beside its spec.

`NETSPEC_ACCEPT=1 pytest tests/test_diagnostics.py` writes what is printed now; read the difference
before keeping it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import netspec
from netspec import dialects
from netspec.diagnostics import (
    CODES,
    Diagnostic,
    Findings,
    Note,
    SourceText,
    Span,
    SpecError,
    render_all,
)
from netspec.formula import FUNCTIONS
from netspec.initialisers import INITIALISERS
from netspec.load import load_found
from netspec.ops import Op
from netspec.zoo import Found

FOLDER = Path(__file__).parent / "diagnostics"
CASES = sorted(path.stem for path in FOLDER.glob("[!_]*.yaml"))
PACKAGE = Path(netspec.__file__).parent


def findings_of(path: Path) -> Findings:
    findings = Findings()
    graph = load_found(Found(path, path.name, None), findings, {}, {})
    assert (graph is None) == findings.failed
    return findings


@pytest.mark.parametrize("case", CASES)
def test_printed_text(case: str) -> None:
    findings = findings_of(FOLDER / f"{case}.yaml")
    printed = render_all(findings.diagnostics) + "\n"
    expected = FOLDER / f"{case}.txt"
    if os.environ.get("NETSPEC_ACCEPT"):
        expected.write_text(printed)
    assert printed == expected.read_text()


@pytest.mark.parametrize("case", CASES)
def test_carets_stand_under_what_the_place_says(case: str) -> None:
    text = (FOLDER / f"{case}.txt").read_text()
    for finding in text.strip().split("\n\n"):
        lines = finding.splitlines()
        place = re.match(r"(\S+\.yaml):(\d+):(\d+): (error|warning)\[([a-z-]+)\]: ", lines[0])
        assert place, lines[0]
        name, row, column, _, code = place.groups()
        assert code in CODES
        source = (FOLDER / name).read_text().splitlines()[int(row) - 1]
        assert lines[2] == f"{row} | {source}"
        assert lines[3].index("^") - len(f"{row} | ") == int(column) - 1


def test_no_case_is_forgotten() -> None:
    assert len(CASES) >= 25
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == CASES


def test_every_code_is_used_and_listed() -> None:
    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        called = r'(?:\berror|_error|_refuse|warning)\(\s*"([a-z-]+)"'
        used |= set(re.findall(called, text))
        for line in re.findall(r"\bcode = (.*)", text):
            used |= set(re.findall(r'"([a-z-]+)"', line))
    assert used == set(CODES)


def test_every_code_is_shown_by_a_case_or_is_about_size() -> None:
    texts = "".join(path.read_text() for path in FOLDER.glob("*.txt"))
    untold = set(CODES) - set(re.findall(r"\[([a-z-]+)\]: ", texts))
    # These are in tests/test_hostile.py and tests/language/.
    assert untold <= {"too-large", "too-deep", "no-output"}


def test_independent_errors_come_in_one_run() -> None:
    codes = [d.code for d in findings_of(FOLDER / "initialisers.yaml").diagnostics]
    assert codes == ["wrong-type"] * 3


def test_dialects_lead_to_words_that_there_are() -> None:
    attributes = {name for op in Op.registry.values() for name in op.attributes}
    arguments = {a.name for found in INITIALISERS.values() for a in found.arguments}
    for table, known in (
        (dialects.OPS, set(Op.registry)),
        (dialects.ATTRIBUTES, attributes),
        (dialects.INITIALISERS, set(INITIALISERS)),
        (dialects.INITIALISER_ARGUMENTS, arguments),
        (dialects.FUNCTIONS, set(FUNCTIONS)),
    ):
        assert {word for word in table.values() if " " not in word} <= known
        assert all(dialects.plain(word) == word for word in table)


def test_an_error_carries_its_diagnostics() -> None:
    with pytest.raises(SpecError) as caught:
        netspec.load(FOLDER / "unknown_op.yaml")
    (found,) = caught.value.diagnostics
    assert isinstance(found, Diagnostic)
    assert found.code == "unknown-op"
    assert found.span is not None
    assert (found.span.line, found.span.column) == (6, 8)
    assert found.hint == "did you mean `relu`?"


def test_rendering() -> None:
    source = SourceText.of("a.yaml", "one\n\ttwo \x07three\n")
    span = Span(source, 2, 6, 2, 12)
    note = Note("see", Span(source, 1, 1, 1, 4))
    found = Diagnostic("wrong-type", "it is wrong", span, "do it right", (note,))
    assert found.render().splitlines() == [
        "a.yaml:2:6: error[wrong-type]: it is wrong",
        "  |",
        "2 |  two  three",
        "  |      ^^^^^^",
        "  = note: see (a.yaml:1:1)",
        "  = help: do it right",
    ]


def test_long_lines_are_cut_around_the_place() -> None:
    text = "a" * 500 + "X" + "b" * 500
    (_, _, line, caret) = (
        Diagnostic("yaml", "m", Span(SourceText.of("f", text), 1, 501, 1, 502), None)
        .render()
        .splitlines()
    )
    assert len(line) < 200
    assert line[caret.index("^")] == "X"
