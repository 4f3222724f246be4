"""The case table of the ops, as one network, on every runtime that this machine has."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import netspec
from netspec.exports.report import AGREED, NOT_RUN, Report
from netspec.exports.runtimes import BUILT_IN
from netspec.exports.verify import verify
from netspec.ops import Op

_folder = Path(__file__).parent
table = runpy.run_path(str(_folder / "op_cases.py"))["table"]
VULKAN: dict[str, str] = runpy.run_path(str(_folder / "software_vulkan.py"))["environment"]()

REDUCED = "openvino-bf16"  # is told to compute in bfloat16, so it cannot agree
BACKENDS = {r.name: r.backend or "onnx" for r in BUILT_IN if r.name != REDUCED}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cases") / "cases.yaml"
    written: Path = table(path, sorted(Op.registry))
    return written


@pytest.fixture(scope="module")
def measured(cases: Path) -> Callable[[str], Report]:
    """The report of a backend on all its runtimes; each is made once."""

    @cache
    def report(backend: str) -> Report:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in VULKAN.items():
                patch.setenv(name, value)
            runtimes = [name for name, its in BACKENDS.items() if its == backend]
            return verify(cases, backends=[backend], runtimes=runtimes)

    return report


def test_every_op_is_in_the_table(cases: Path) -> None:
    graph = netspec.load(cases)
    assert {node.op.kind for node in graph.nodes} == set(Op.registry)
    assert len(graph.outputs) == sum(len(op.cases) for op in Op.registry.values())


@pytest.mark.parametrize("backend", sorted(set(BACKENDS.values())))
def test_every_case_is_the_same_function(backend: str, measured: Callable[[str], Report]) -> None:
    report = measured(backend)
    (row,) = report.same
    assert row.status == AGREED, report.render()


@pytest.mark.parametrize("name", BACKENDS)
def test_every_case_rounds_rightly(name: str, measured: Callable[[str], Report]) -> None:
    report = measured(BACKENDS[name])
    row = next(row for row in report.rows if row.runtime == name)
    if row.status == NOT_RUN:
        pytest.skip(f"{name}: {row.reason}")
    assert row.status == AGREED, f"{row.reason}\n{row.detail}"
