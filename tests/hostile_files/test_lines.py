"""What goes wrong in a worker is one line, and nothing in it steers the terminal."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import netspec
from netspec.exports import worker


@pytest.mark.parametrize(
    ("shape", "op", "reason"),
    [
        (
            "[2, 5, 5, 5]",
            "{adaptive_avg_pool: {size: 2}}",
            "torch.onnx has no translation of aten._adaptive_avg_pool3d",
        ),
        (
            "[2, 8, 8]",
            "{max_pool: {kernel: 2, stride: 3, padding: 1, ceil_mode: true}}",
            "torch.onnx wrote an invalid file: ",
        ),
    ],
)
def test_what_torch_cannot_export_is_a_line(
    tmp_path: Path, shape: str, op: str, reason: str
) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(f"netspec: 1\nname: net\ninputs: {{x: {shape}}}\nbody:\n  op: {op}\n")
    signal.alarm(0)  # torch alone takes long to start where others compute
    with pytest.raises(worker.WorkerError) as caught:
        netspec.export(spec, tmp_path / "net.onnx", backend="torch", seed=0)
    assert caught.value.reason.startswith(reason)
    assert not caught.value.tail
    assert caught.value.reason.isprintable()


@pytest.mark.parametrize(
    "text",
    ["\x1b[96mred\x1b[0m", "\x1b]0;title\x07red", "r\x08e\x00d\x7f", "\x1b(Bred", "\u202ered\x9b"],
)
def test_nothing_steers_the_terminal(text: str) -> None:
    assert worker.one_line(ValueError(text)) == "ValueError: red"
