"""The walls between the rooms: exports -> backends -> netspec -> specs; one framework a room."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("netspec", "backends", "exports", "specs")

FRAMEWORKS = {
    "torch": {"torch", "torchvision"},
    "keras": {"jax", "keras", "tensorflow", "tf2onnx"},
    "onnx": {"onnx", "onnx_ir", "onnxruntime", "onnxscript"},
}
OUTER_ROOMS = {"netspec.backends", "netspec.exports"}
ALL_FRAMEWORKS = set().union(*FRAMEWORKS.values()) | {"openvino"}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """`backends/torch/ops/conv.py` is `netspec.backends.torch.ops.conv`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "netspec" else ("netspec", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(text: str) -> Iterator[tuple[str, int]]:
    """Every module that a source text imports, at any depth or by a literal name, with its line."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=module, names=names):
                # `from netspec import exports` may name a module: the full path is what counts.
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                if ast.unparse(func).rpartition(".")[2] in ("LazyModule", "import_module"):
                    yield name, node.lineno


def breaches(paths: list[Path], forbidden: set[str]) -> list[str]:
    """The places where these files import one of the packages or something inside it."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for name, line in imports(path.read_text(encoding="utf-8"))
        if any(name == package or name.startswith(f"{package}.") for package in forbidden)
    ]


def test_the_core_imports_no_framework() -> None:
    assert breaches(sources("netspec"), ALL_FRAMEWORKS) == []


def test_backends_do_not_import_exports() -> None:
    assert breaches(sources("backends"), {"netspec.exports"}) == []


@pytest.mark.parametrize("folder", ["jobs", "reports"])
def test_what_measures_imports_neither_jobs_nor_writers_of_reports(folder: str) -> None:
    own = ROOT / "exports" / folder
    others = [path for path in sources("exports") if own not in path.parents]
    assert len(others) < len(sources("exports"))
    assert breaches(others, {f"netspec.exports.{folder}"}) == []


@pytest.mark.parametrize("backend", sorted(FRAMEWORKS))
def test_a_backend_imports_only_its_own_framework(backend: str) -> None:
    others = {f"netspec.backends.{other}" for other in FRAMEWORKS if other != backend}
    paths = sources(f"backends/{backend}")
    assert paths
    assert breaches(paths, (ALL_FRAMEWORKS - FRAMEWORKS[backend]) | others) == []


def test_what_backends_share_imports_no_framework() -> None:
    own = {ROOT / "backends" / backend for backend in FRAMEWORKS}
    shared = [path for path in sources("backends") if not own & set(path.parents)]
    backends = {f"netspec.backends.{backend}" for backend in FRAMEWORKS}
    assert breaches(shared, ALL_FRAMEWORKS | backends) == []


@pytest.mark.parametrize("path", sources("exports"), ids=module_name)
def test_no_file_of_exports_brings_torch_and_tensorflow_together(path: Path) -> None:
    found = {name.split(".")[0] for name, _ in imports(path.read_text(encoding="utf-8"))}
    assert not (found & {"torch", "torchvision"} and found & {"keras", "tensorflow", "tf2onnx"})


def test_nothing_imports_a_room_by_its_folder() -> None:
    everything = [path for room in (*ROOMS, "tests") for path in sources(room)]
    assert breaches(everything, {"backends", "exports", "specs"}) == []


def test_the_zoo_is_data() -> None:
    assert [path.name for path in sources("specs")] == ["__init__.py"]
    body = ast.parse((ROOT / "specs" / "__init__.py").read_text(encoding="utf-8")).body
    assert [type(statement) for statement in body] == [ast.Expr]


def loaded_by(*modules: str) -> set[str]:
    """What a fresh interpreter has loaded after importing these modules.

    Read from `sys.modules`: `-X importtime` does not show what `importlib.import_module` loads.
    """
    script = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_whole_core_loads_no_framework_no_numpy_and_no_other_room() -> None:
    core = {module_name(path) for path in sources("netspec")} - {"netspec.__main__"}
    loaded = loaded_by(*sorted(core))
    assert core <= loaded
    assert {name.split(".")[0] for name in loaded} & (ALL_FRAMEWORKS | {"numpy"}) == set()
    assert {".".join(name.split(".")[:2]) for name in loaded} & OUTER_ROOMS == set()


def test_a_module_that_is_loaded_is_seen() -> None:
    """Guards the test above: its way of looking does see NumPy."""
    assert "numpy" in loaded_by("netspec", "numpy")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import torch.nn as nn", "torch.nn"),
        ("def f():\n    from keras import ops", "keras.ops"),
        ("from netspec import exports", "netspec.exports"),
        ("np = LazyModule('numpy')", "numpy"),
        ("importlib.import_module('onnx')", "onnx"),
    ],
)
def test_the_walls_see_every_form_of_import(statement: str, name: str) -> None:
    assert [found for found, _ in imports(statement)] == [name]
