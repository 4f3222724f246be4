"""Generated source as people get it: golden files, sizes, linters, type checkers, its docstring.

`NETSPEC_ACCEPT=1 pytest tests/test_generated.py -k golden` writes what is generated now; read the
difference before keeping it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.digest import spec_digest

GOLDEN = Path(__file__).parent / "golden"
SPECS = Path(netspec.__file__).parents[1] / "specs"
READ = """
    lenet5 squeezenet1_1 resnet18 resnet50 densenet121 googlenet mobilenet_v2 efficientnet_b0
    shufflenet_v2_x1_0
""".split()
FAMILIES = """
    alexnet densenet121 efficientnet_b0 efficientnet_b0_keras googlenet inception_resnet_v2
    inception_v3 lenet5 mnasnet1_0 mobilenet_v2_keras r3d_18 resnet50 resnet50_keras shift_resnet20
    shiftnet_a shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 squeezenet_cifar10 vgg11_bn
""".split()
BACKENDS = ("torch", "keras")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", READ)
def test_golden(name: str, backend: str) -> None:
    made = netspec.source(name, backend=backend)
    path = GOLDEN / f"{name}_{backend}.py.txt"
    if os.environ.get("NETSPEC_ACCEPT"):
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8")


# Hand-written versions took 106, 247, 148 and 98 lines, without a line on where they came from.
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("resnet50", 120),
        ("squeezenet1_1", 70),
        ("inception_v3", 270),
        ("efficientnet_b0", 165),
        ("densenet121", 115),
    ],
)
def test_size(name: str, lines: int) -> None:
    """Lines of at most 100 columns, as ruff formats them, which the next test says they are."""
    assert netspec.source(name, backend="torch").count("\n") <= lines


# Keras's files have `load_weights` and `save_weights` as well, which turn what torch holds.
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("resnet50", 190),
        ("squeezenet1_1", 125),
        ("inception_v3", 265),
        ("efficientnet_b0", 245),
        ("densenet121", 175),
    ],
)
def test_size_of_keras(name: str, lines: int) -> None:
    assert netspec.source(name, backend="keras").count("\n") <= lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated files of one variant of every family and of the hard specs of this folder."""
    path = tmp_path_factory.mktemp("generated")
    for backend in BACKENDS:
        for name in FAMILIES:
            (path / f"{name}_{backend}.py").write_text(netspec.source(name, backend=backend))
        for spec in sorted((Path(__file__).parent / "specs").glob("*.yaml")):
            source = netspec.source(str(spec), backend=backend)
            (path / f"spec_{spec.stem}_{backend}.py").write_text(source)
    return path


def ruff(folder: Path, *command: str) -> None:
    full = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(folder)]
    done = subprocess.run(full, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_ruff_finds_nothing(folder: Path) -> None:
    ruff(folder, "check")


def test_ruff_changes_nothing(folder: Path) -> None:
    ruff(folder, "format", "--check", "--line-length", "100")


def test_mypy_finds_nothing(folder: Path) -> None:
    """With its defaults; Keras ships no types."""
    files = [str(folder / f"{name}_{backend}.py") for name in FAMILIES for backend in BACKENDS]
    options = ["--config-file", os.devnull, "--no-incremental", "--ignore-missing-imports"]
    command = [sys.executable, "-m", "mypy", *options, *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout


def test_the_docstring_says_where_the_file_came_from() -> None:
    made = netspec.source("resnet18", backend="torch", num_classes=7, inputs={"image": (3, 65, 97)})
    said = made.split('"""')[1]
    text = (SPECS / "resnet.yaml").read_bytes()
    digest = hashlib.sha256(hashlib.sha256(text).digest()).hexdigest()[:12]
    for part in ("resnet18", netspec.__version__, f"resnet (sha256 {digest})", "num_classes=7"):
        assert part in said
    assert "image (batch, 3, 65, 97) -> output (batch, 7)" in said
    keras = netspec.source("resnet18", backend="keras").split('"""')[1]
    assert "image (batch, 224, 224, 3) -> output (batch, 1000)" in keras


def test_the_digest_is_of_the_text_of_all_files(tmp_path: Path) -> None:
    """Wherever they lie and however their lines end; a comment in a library counts."""
    for name in ("squeezenet1_1.yaml", "fire.yaml"):
        shutil.copy(SPECS / name, tmp_path / name)
    spec, library = tmp_path / "squeezenet1_1.yaml", tmp_path / "fire.yaml"

    def digest(path: str | Path) -> str:
        return spec_digest(netspec.load(path).trace.model)

    hashes = [hashlib.sha256(path.read_bytes()).digest() for path in (spec, library)]
    expected = hashlib.sha256(b"".join(hashes)).hexdigest()[:12]
    assert digest("squeezenet1_1") == digest(spec) == expected
    spec.write_bytes(spec.read_bytes().replace(b"\n", b"\r\n"))
    assert digest(spec) == expected
    moved = tmp_path / "other.yaml"
    spec.rename(moved)
    assert digest(moved) == expected
    library.write_bytes(library.read_bytes() + b"# more\n")
    assert digest(moved) != expected


def classes(made: str, word: str) -> int:
    return sum(line.startswith(word) for line in made.splitlines())


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_makes_an_op_is_an_argument(backend: str) -> None:
    """A block whose copies have other activations is written once."""
    made = netspec.source("efficientnet_b0", backend=backend)
    word = {"torch": "class ConvNormAct", "keras": "def conv_norm_act"}[backend]
    assert classes(made, word) == 1
    given = {"torch": ("act=nn.SiLU", "act=nn.Identity"), "keras": ('act="silu"', 'act="linear"')}
    assert all(argument in made for argument in given[backend])


def test_variables_of_initialisers_hide_no_parameter(tmp_path: Path) -> None:
    """Statements in the constructor bind names that a spec may have for its parameters."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "netspec: 1\nname: net\nparams: {std: 0.5, bound: 0.25, module: 4}\n"
        "inputs: {image: [3, 8, 8]}\n"
        "defaults: {conv: {weight_init: {variance_scaling: {scale: 2.0, mode: fan_in,"
        " distribution: normal}}, bias_init: fan_in_uniform}}\n"
        "body:\n"
        "  a: {conv: {out: =module, kernel: 1}}\n"
        "  b: {conv: {out: 2, kernel: 1, weight_init: {constant: =std},"
        " bias_init: {constant: =bound}}}\n"
    )
    script = (
        "import net\n"
        "model = net.build_model(std=0.125, bound=-3.0)\n"
        "assert model.a.weight.std() > 0 and model.a.weight.shape[0] == 4\n"
        "assert (model.b.weight == 0.125).all() and (model.b.bias == -3.0).all()\n"
    )
    (tmp_path / "net.py").write_text(netspec.source(path, backend="torch"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
