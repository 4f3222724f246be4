"""The rules of the language, one small spec each. Expected values are written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.language.written import Specs


@pytest.fixture
def specs(tmp_path: Path) -> Specs:
    return Specs(tmp_path)
