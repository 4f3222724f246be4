"""What holds for every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(autouse=True)
def one_framework_per_process() -> Iterator[None]:
    """Blame the test that brings the second framework in: together they can kill the process."""
    yield
    both = {"tensorflow", "torch"} <= sys.modules.keys()
    assert not both, "torch and TensorFlow met in one process: run one of them in a child process"
