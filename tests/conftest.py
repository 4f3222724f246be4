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


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch's sums depend on how many threads share them."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
