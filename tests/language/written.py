"""Small specs, written and loaded, and what their graphs are as text."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import netspec
from netspec import Graph
from netspec.diagnostics import Diagnostic, Findings
from netspec.load import load_found
from netspec.zoo import Found

HEAD = "netspec: 1\nname: net\n"


class Specs:
    """Writes specs to a folder and loads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "net.yaml") -> Path:
        text = textwrap.dedent(text)
        if name == "net.yaml":
            head = HEAD if "inputs:" in text else HEAD + "inputs: {image: [3, 8, 8]}\n"
            text = head + text
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def graph(self, text: str, **params: Any) -> Graph:
        return netspec.load(self.write(text), **params)

    def findings(self, text: str) -> list[Diagnostic]:
        findings = Findings()
        load_found(Found(self.write(text), "net.yaml", None), findings, {}, {})
        return findings.diagnostics

    def refused(self, text: str) -> tuple[str, str]:
        """The code and message of the one error."""
        (found,) = self.findings(text)
        assert found.severity == "error"
        return found.code, found.message


def keys(graph: Graph, name: str = "weight") -> list[str]:
    return [w.key for w in graph.weights if w.name == name]


def wiring(graph: Graph) -> list[str]:
    """Each node as `path = op(what it reads)`."""
    return [f"{n.path} = {n.op.kind}({', '.join(v.name for v in n.inputs)})" for n in graph.nodes]
