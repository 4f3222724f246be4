"""The command line: which files it leaves."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import netspec
from netspec.cli import main
from tests.cli.given import Capture, files


def test_build_onnx_writes_one_file_that_runs(tmp_path: Path, capsys: Capture) -> None:
    import onnxruntime

    arguments = ["build", "lenet5", "--backend", "onnx", "-o", str(tmp_path / "new" / "folder")]
    assert main([*arguments, "--input", "image=1,32,32"]) == 0
    assert files(tmp_path) == {"new/folder/lenet5.onnx"}
    path = tmp_path / "new" / "folder" / "lenet5.onnx"
    assert capsys.readouterr().out == f"{path}\n"
    session = onnxruntime.InferenceSession(path)
    (logits,) = session.run(None, {"image": np.ones((3, 1, 32, 32), np.float32)})
    assert logits.shape == (3, 10)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_build_writes_source_and_weights(backend: str, tmp_path: Path) -> None:
    assert main(["build", "lenet5", "--backend", backend, "-o", str(tmp_path)]) == 0
    assert files(tmp_path) == {f"lenet5_{backend}.py", "lenet5.safetensors"}
    weights = load_file(tmp_path / "lenet5.safetensors")
    graph = netspec.load("lenet5")
    assert {k: v.shape for k, v in weights.items()} == {w.key: w.shape for w in graph.weights}
    source = (tmp_path / f"lenet5_{backend}.py").read_text(encoding="utf-8")
    assert "build_model" in source
    assert "def load_weights" in source
    assert "import netspec" not in source
    assert "from netspec" not in source


def test_a_path_with_an_ending_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    assert main(["build", "lenet5", "--backend", "torch", "-o", str(path)]) == 0
    assert files(tmp_path) == {"net.py", "lenet5.safetensors"}


def test_a_dash_prints_the_source_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["build", "lenet5", "--backend", "torch", "-o", "-"]) == 0
    assert "build_model" in capsys.readouterr().out
    assert files(tmp_path) == set()


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    for folder, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        arguments = ["build", "lenet5", "--backend", "torch", "-o", str(tmp_path / folder)]
        assert main([*arguments, "--seed", seed]) == 0
    a, b, c = (load_file(tmp_path / f / "lenet5.safetensors")["conv1.weight"] for f in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_given_weights_are_the_weights(tmp_path: Path) -> None:
    given = {w.key: np.full(w.shape, 0.5, w.dtype) for w in netspec.load("lenet5").weights}
    save_file(given, tmp_path / "mine.safetensors")
    arguments = ["build", "lenet5", "--backend", "torch", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--weights", str(tmp_path / "mine.safetensors")]) == 0
    written = load_file(tmp_path / "out" / "lenet5.safetensors")
    assert set(written) == set(given)
    assert all((tensor == 0.5).all() for tensor in written.values())


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_anothers_weights_are_refused_and_nothing_is_written(
    backend: str, tmp_path: Path, capsys: Capture
) -> None:
    weights = tmp_path / "w.safetensors"
    save_file({"conv1.weight": np.zeros((6, 3, 5, 5), np.float32), "odd": np.zeros(1)}, weights)
    arguments = ["build", "lenet5", "--backend", backend, "-o", str(tmp_path / "out")]
    assert main([*arguments, "--weights", str(weights)]) == 1
    err = capsys.readouterr().err
    assert "conv1.weight" in err
    assert "odd" in err
    assert "conv1.bias" in err
    assert files(tmp_path) == {"w.safetensors"}


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_new_head_is_left_at_its_initial_values(
    backend: str, tmp_path: Path, capsys: Capture
) -> None:
    given = {w.key: np.full(w.shape, 0.5, w.dtype) for w in netspec.load("lenet5").weights}
    given["odd"] = given.pop("fc1.bias")
    save_file(given, tmp_path / "old.safetensors")
    command = ["build", "lenet5", "--set", "num_classes=2", "--backend", backend]
    command += ["-o", str(tmp_path), "--weights", str(tmp_path / "old.safetensors")]
    assert main(command) == 1
    assert files(tmp_path) == {"old.safetensors"}
    capsys.readouterr()
    assert main([*command, "--skip-mismatched"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "netspec: left at its initial values: fc1.bias (120,): not in the file",
        "netspec: left at its initial values: fc3.weight (2, 84): (10, 84) in the file",
        "netspec: left at its initial values: fc3.bias (2,): (10,) in the file",
        "netspec: not used: odd",
    ]
    if backend == "torch":
        written = load_file(tmp_path / "lenet5.safetensors")
        assert {k for k, v in written.items() if (v == 0.5).all()} == set(given) - {
            *("fc3.weight", "fc3.bias", "odd")
        }
        assert 0 < np.abs(written["fc3.weight"]).max() <= 84**-0.5


def test_weights_of_which_nothing_fits_are_refused(tmp_path: Path, capsys: Capture) -> None:
    save_file({"odd": np.zeros(1, np.float32)}, tmp_path / "w.safetensors")
    command = ["build", "lenet5", "--backend", "torch", "-o", str(tmp_path), "--skip-mismatched"]
    assert main([*command, "--weights", str(tmp_path / "w.safetensors")]) == 1
    assert "none of these weights fits lenet5" in capsys.readouterr().err
    assert files(tmp_path) == {"w.safetensors"}


def test_a_weight_file_that_is_none_is_refused(tmp_path: Path, capsys: Capture) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"not safetensors at all")
    arguments = ["build", "lenet5", "--backend", "torch", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--weights", str(weights)]) == 1
    assert "w.safetensors" in capsys.readouterr().err
    assert files(tmp_path) == {"w.safetensors"}


def test_a_bad_spec_leaves_no_file(bad: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert main(["build", str(bad), "--backend", "torch", "-o", str(out)]) == 1
    assert "unknown" in capsys.readouterr().err
    assert not out.exists()


def test_a_failure_while_writing_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "lenet5_torch.py").write_text("old", encoding="utf-8")

    def full(*unused: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("netspec.compiler.save_weights", full)
    assert main(["build", "lenet5", "--backend", "torch", "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "netspec: error: No space left on device\n"
    assert files(tmp_path) == {"lenet5_torch.py"}
    assert (tmp_path / "lenet5_torch.py").read_text(encoding="utf-8") == "old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    arguments = ["build", "lenet5", "--backend", "onnx", "-o", str(tmp_path / "file" / "out")]
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert str(tmp_path / "file") in err
    assert "Traceback" not in err
    assert files(tmp_path) == {"file"}


def test_a_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name in [n for n in sys.modules if n.startswith("netspec.backends.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["build", "lenet5", "--backend", "onnx", "-o", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err == "netspec: error: onnx is not installed: pip install 'netspec-compiler[onnx]'\n"
    assert files(tmp_path) == set()


def test_export_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "net.onnx"
    assert main(["export", "lenet5", "--backend", "onnx", "-o", str(path)]) == 0
    assert files(tmp_path) == {"deep/net.onnx"}


def test_verify_measures_and_writes_json(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "report.json"
    arguments = ["verify", "lenet5", "--backend", "onnx", "--runtime", "onnxruntime"]
    assert main([*arguments, "--json", str(path)]) == 0
    assert "agreed" in capsys.readouterr().out
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["agreed"] is True
    assert [report["spec"] for report in data["reports"]] == ["lenet5"]


def test_verify_fails_on_a_model_with_other_weights(tmp_path: Path, capsys: Capture) -> None:
    assert main(["build", "lenet5", "--backend", "onnx", "-o", str(tmp_path)]) == 0
    arguments = ["build", "lenet5", "--backend", "torch", "--seed", "1", "-o", str(tmp_path)]
    assert main(arguments) == 0
    arguments = ["verify", "lenet5", "--weights", str(tmp_path / "lenet5.safetensors")]
    assert main([*arguments, "--model", str(tmp_path / "lenet5.onnx")]) == 1
    assert "disagreed" in capsys.readouterr().out


def test_a_weight_file_is_as_readable_as_the_source(tmp_path: Path) -> None:
    assert main(["build", "lenet5", "--backend", "torch", "-o", str(tmp_path)]) == 0
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes["lenet5.safetensors"] == modes["lenet5_torch.py"]


def test_weights_of_integers_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {w.key: np.zeros(w.shape, np.int32) for w in netspec.load("lenet5").weights}
    save_file(weights, tmp_path / "int.safetensors")
    options = ["--weights", str(tmp_path / "int.safetensors"), "-o", str(tmp_path / "new")]
    assert main(["build", "lenet5", "--backend", "onnx", *options]) == 1
    assert "integers where floats belong" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
