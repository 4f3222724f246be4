"""What holds for every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

# Files whose tests share a costly fixture: each runs in one process (`--dist loadgroup`), while
# the tests of the others go wherever there is time.
TOGETHER = (
    "test_blame",
    "test_exports",
    "test_keras_lowerings",
    "test_keras_source",
    "test_packaging",
    "test_runtimes",
    "test_same_function",
    "test_zoo",
)

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(autouse=True)
def one_framework_per_process() -> Iterator[None]:
    """Blame the test that brings the second framework in: together they can kill the process."""
    yield
    both = {"tensorflow", "torch"} <= sys.modules.keys()
    assert not both, "torch and TensorFlow met in one process: run one of them in a child process"
