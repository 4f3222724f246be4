"""`netspec build --check`: whether a checked-in file is what netspec writes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from netspec.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def written(request: pytest.FixtureRequest, tmp_path: Path, capsys: Capture) -> Path:
    """A file of the zoo's smallest network, by the backend of the test or by torch."""
    backend = getattr(request, "param", "torch")
    path = tmp_path / "net.py"
    assert main(["build", "lenet5", "--backend", backend, "-o", str(path)]) == 0
    capsys.readouterr()
    return path


@pytest.mark.parametrize("written", ["torch", "keras"], indirect=True)
def test_a_file_as_written_is_current(written: Path, capsys: Capture) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in written.parent.iterdir()}
    assert main(["build", "lenet5", "--check", str(written)]) == 0
    assert capsys.readouterr() == (f"{written} is current\n", "")
    assert {path.name: path.stat().st_mtime_ns for path in written.parent.iterdir()} == before


def test_line_ends_of_a_checkout_do_not_count(written: Path) -> None:
    written.write_bytes(written.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["build", "lenet5", "--check", str(written)]) == 0


def test_an_edit_is_shown_as_a_difference(written: Path, capsys: Capture) -> None:
    text = written.read_text(encoding="utf-8")
    written.write_text(text.replace("nn.Conv2d(6, 16, 5)", "nn.Conv2d(6, 16, 3)"), encoding="utf-8")
    assert main(["build", "lenet5", "--check", str(written)]) == 1
    changed = [line for line in capsys.readouterr().out.splitlines() if line[0] in "+-"]
    assert changed == [
        f"--- {written}",
        f"+++ {written} as netspec writes it",
        "-        self.conv2 = nn.Conv2d(6, 16, 3)",
        "+        self.conv2 = nn.Conv2d(6, 16, 5)",
    ]


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs the program patch")
@pytest.mark.parametrize("edit", ["no newline at the end", "empty", "a form feed", "unlike"])
def test_the_difference_is_a_patch(edit: str, written: Path, capsys: Capture) -> None:
    text = written.read_text(encoding="utf-8")
    edited = {
        "no newline at the end": text.rstrip("\n"),
        "empty": "import torch",
        "a form feed": text.replace("import torch\n", "import torch\n\f\n\u2028\n", 1),
        "unlike": "import torch\n" + text[::-1],
    }[edit]
    written.write_text(edited, encoding="utf-8")
    assert main(["build", "lenet5", "--check", str(written)]) == 1
    difference = capsys.readouterr().out
    subprocess.run(
        ["patch", "--quiet", str(written)],
        input=difference.encode(),
        cwd=written.parent,
        check=True,
    )
    assert written.read_text(encoding="utf-8") == text


def test_options_of_the_build_count(written: Path, capsys: Capture) -> None:
    assert main(["build", "lenet5", "--set", "num_classes=7", "--check", str(written)]) == 1
    assert "num_classes=7" in capsys.readouterr().out
    command = ["build", "lenet5", "--set", "num_classes=7", "--input", "image=1,36,36"]
    assert main([*command, "--backend", "torch", "-o", str(written)]) == 0
    assert main([*command, "--check", str(written)]) == 0


def test_the_backend_may_be_named(written: Path, capsys: Capture) -> None:
    assert main(["build", "lenet5", "--backend", "keras", "--check", str(written)]) == 1
    assert "+import keras" in capsys.readouterr().out


def test_a_file_with_conflict_marks_is_compared(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    written.write_text("<<<<<<< HEAD\n" + text, encoding="utf-8")
    assert main(["build", "lenet5", "--check", str(written)]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["lenet5"], 2, "--backend is needed"),
        (["lenet5", "--check", "gone.py"], 2, "no file 'gone.py'"),
        (["lenet5", "--check", "."], 2, "no file '.'"),
        (["lenet5", "--check", "other.py"], 2, "give --backend"),
        (["lenet5", "--check", "both.py"], 2, "give --backend"),
        (["lenet5", "--check", "latin.py"], 1, "latin.py is not UTF-8 text"),
        (["lenet5", "--check", "net.onnx"], 2, "netspec verify --model"),
        (["lenet5", "--backend", "onnx", "--check", "other.py"], 2, "netspec verify --model"),
        (["lenet5", "--weights", "w.pt", "--check", "other.py"], 2, "--weights does not go with"),
        (["lenet6", "--check", "torch.py"], 2, "no spec named 'lenet6'"),
        (["bad.yaml", "--check", "torch.py"], 1, "did you mean `relu`?"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.py").write_text("print(1)\n")
    Path("torch.py").write_text("import torch\n")
    Path("both.py").write_text("import torch\nfrom keras import layers\n")
    Path("latin.py").write_bytes("# naïve\n".encode("latin-1"))
    Path("bad.yaml").write_text("netspec: 1\nname: bad\ninputs: {x: [3]}\nbody: [reluu]\n")
    assert main(["build", *arguments]) == code
    out, err = capsys.readouterr()
    assert says in err
    assert out == ""


def test_output_and_check_exclude_each_other(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["build", "lenet5", "--check", "net.py", "-o", "net.py"])
    assert refused.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
