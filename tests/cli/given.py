"""Specs that the command line is given, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

GOOD = "netspec: 1\nname: good\ninputs: {x: [3, 8, 8]}\nbody: [{conv: {out: 4, kernel: 3}}, relu]\n"
BAD = GOOD.replace("relu", "reluu").replace("good", "bad")

Capture = pytest.CaptureFixture[str]


def files(folder: Path) -> set[str]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
