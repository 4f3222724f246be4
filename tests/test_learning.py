"""The same LeNet learns the same in torch and in Keras; `make learning` prints five seeds."""

from __future__ import annotations

import runpy
import statistics
from pathlib import Path

import pytest

LEARNING = runpy.run_path(str(Path(__file__).with_name("learning.py")))


def test_two_epochs_of_fit_on_real_images() -> None:
    if LEARNING["FASHION"]["folder"]() is None:
        pytest.skip(LEARNING["FASHION"]["WHY_NOT"])
    found = LEARNING["accuracies"](seeds=3, epochs=2, count=3000)
    torch, keras = (statistics.mean(found[name]) for name in ("torch", "keras"))
    assert torch > 0.6, "ten classes, so 0.1 would be chance"
    assert abs(torch - keras) <= max(LEARNING["spread"](found), 0.005), found
    for ours, theirs in zip(found["torch"], found["keras"], strict=True):
        assert abs(ours - theirs) <= 0.02, "the same weights and batches: rounding alone differs"
