"""Verify one mutant, and say how it was found and what was blamed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from netspec.exports.export import export_graph
from netspec.exports.probe import probe_weights
from netspec.exports.report import DISAGREED, FAILED, Report
from tests.mutants.files import FileMutant
from tests.mutants.laboratory import network, of_file, of_source, source
from tests.mutants.sources import SourceMutant


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was made of a mutant. `found` names the tier that saw it first, or is empty."""

    name: str
    where: str
    node: str
    found: str
    blamed: str
    folded: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether it was found, and its node blamed, alone or with what is folded into one."""
        return bool(self.found) and self.node in (self.blamed, *self.folded)

    @staticmethod
    def of(mutant: SourceMutant | FileMutant, report: Report) -> Verdict:
        wrong = (DISAGREED, FAILED)
        exact = any(row.status in wrong for row in report.same)
        rounding = any(row.status in wrong for row in report.rows)
        found = "float64" if exact else "float32" if rounding else ""
        blame = next(iter(report.blames), None)
        node, folded = (blame.node, blame.folded) if blame else ("", ())
        return Verdict(mutant.name, mutant.where, mutant.node, found, node, folded)


def verdict_of_source(mutant: SourceMutant) -> Verdict:
    right = source(mutant.network, mutant.backend)
    return Verdict.of(mutant, of_source(mutant.network, mutant.backend, mutant.applied(right)))


def verdict_of_file(mutant: FileMutant, folder: Path) -> Verdict:
    model = onnx.ModelProto.FromString(_exported(mutant.network, mutant.exporter))
    mutant.change(model)
    path = folder / "mutant.onnx"
    onnx.save(model, path)
    weights = probe_weights(network(mutant.network), 0)
    return Verdict.of(mutant, of_file(mutant.network, path, weights=weights))


def verdicts(mutants: Iterable[SourceMutant | FileMutant]) -> Iterator[Verdict]:
    with tempfile.TemporaryDirectory() as folder:
        for mutant in mutants:
            if isinstance(mutant, FileMutant):
                yield verdict_of_file(mutant, Path(folder))
            else:
                yield verdict_of_source(mutant)


@cache
def _exported(name: str, exporter: str) -> Any:
    """A right file with the probe weights; through torch it is made by a worker."""
    graph = network(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "right.onnx")
        weights = probe_weights(graph, 0)
        export_graph(graph, lambda backend: source(name, backend), weights, path, backend=exporter)
        return path.read_bytes()
