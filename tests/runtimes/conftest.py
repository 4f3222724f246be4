"""The runtimes: each that this machine has runs for real, and says in which arithmetic.

Torch and TensorFlow run in workers; nothing here imports them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.software_vulkan import environment

VULKAN = environment()

SPEC = """\
netspec: 1
name: small
inputs: {image: [3, 19, 14]}
body:
  conv: {conv: {out: 8, kernel: 3, padding: 1, bias: false}}
  norm: batch_norm
  act: relu
  pool: {max_pool: {kernel: 3, stride: 2, ceil_mode: true}}
  grouped: {conv: {out: 8, kernel: 3, groups: 2}}
  flatten: flatten
  drop: {dropout: 0.25}
  fc: {linear: 5}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(autouse=True)
def vulkan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find the software driver where one was put."""
    for name, value in VULKAN.items():
        monkeypatch.setenv(name, value)
