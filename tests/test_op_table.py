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
# Three spatial axes, or asymmetric padding, are refused or left to the processor, and so said.
LACKING = {
    "onnxruntime-cuda": ("conv_transpose",),
    "onnxruntime-tensorrt": ("conv_transpose",),
    "onnxruntime-webgpu": ("conv_transpose",),
}

Measured = Callable[[str, tuple[str, ...]], Report]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """The report of a backend on all its runtimes that lack these ops; each is made once."""

    @cache
    def report(backend: str, lacking: tuple[str, ...]) -> Report:
        path = tmp_path_factory.mktemp("cases") / "cases.yaml"
        table(path, sorted(set(Op.registry) - set(lacking)))
        names = [n for n, b in BACKENDS.items() if b == backend and LACKING.get(n, ()) == lacking]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in VULKAN.items():
                patch.setenv(name, value)
            return verify(path, backends=[backend], runtimes=names)

    return report


def test_every_op_is_in_the_table(tmp_path: Path) -> None:
    graph = netspec.load(table(tmp_path / "cases.yaml", sorted(Op.registry)))
    assert {node.op.kind for node in graph.nodes} == set(Op.registry)
    assert len(graph.outputs) == sum(len(op.cases) for op in Op.registry.values())


@pytest.mark.parametrize("backend", sorted(set(BACKENDS.values())))
def test_every_case_is_the_same_function(backend: str, measured: Measured) -> None:
    report = measured(backend, ())
    (row,) = report.same
    assert row.status == AGREED, report.render()


@pytest.mark.parametrize("name", BACKENDS)
def test_every_case_rounds_rightly(name: str, measured: Measured) -> None:
    report = measured(BACKENDS[name], LACKING.get(name, ()))
    row = next(row for row in report.rows if row.runtime == name)
    if row.status == NOT_RUN:
        pytest.skip(f"{name}: {row.reason}")
    assert row.status == AGREED, f"{row.reason}\n{row.detail}"
