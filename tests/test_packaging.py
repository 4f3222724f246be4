"""What is shipped is what is in the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("netspec", "backends", "exports", "specs")
SHIPPED = {".py", ".yaml", ".json", ".typed"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def tree() -> set[str]:
    """The files of the rooms under the names that they have when installed."""
    found = set()
    for room in ROOMS:
        prefix = Path() if room == "netspec" else Path("netspec")
        for path in (ROOT / room).rglob("*"):
            if path.suffix in SHIPPED:
                found.add((prefix / path.relative_to(ROOT)).as_posix())
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy, where no stale build/lib can add to it."""
    copy = tmp_path_factory.mktemp("source")
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (made,) = (copy / "dist").glob("*.whl")
    return made


def test_every_package_is_listed() -> None:
    packages = {str(Path(name).parent).replace("/", ".") for name in tree() if name.endswith(".py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages


def test_every_package_has_an_init() -> None:
    """Without one an editable install may not find what a wheel has."""
    directories = {Path(name).parent for name in tree() if name.endswith(".py")}
    assert [str(d) for d in directories if f"{d.as_posix()}/__init__.py" not in tree()] == []


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == tree()
    assert "netspec/py.typed" in names


def test_the_wheel_carries_its_license(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
    assert archive.read(name) == (ROOT / "LICENSE").read_bytes()
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    assert b"\nLicense-Expression: Apache-2.0\n" in archive.read(metadata)


def test_the_rooms_of_an_unpacked_wheel_are_importable(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    look = (
        "import netspec, netspec.backends, netspec.exports, netspec.specs\n"
        "print(*(m.__file__ for m in (netspec, netspec.backends, netspec.exports, netspec.specs)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    rooms = ("netspec", "netspec/backends", "netspec/exports", "netspec/specs")
    assert done.stdout.split() == [str(tmp_path / room / "__init__.py") for room in rooms]


def test_entry_points_name_modules_that_exist() -> None:
    declared = PROJECT["project"]["entry-points"]
    targets = [target for group in declared.values() for target in group.values()]
    targets += PROJECT["project"]["scripts"].values()
    assert targets
    assert [t for t in targets if find_spec(t.partition(":")[0]) is None] == []


def test_the_installation_has_the_declared_backends() -> None:
    installed = {e.name: e.value for e in entry_points(group="netspec.backends")}
    declared = PROJECT["project"]["entry-points"]["netspec.backends"]
    assert declared.items() <= installed.items()


def test_the_core_needs_no_framework() -> None:
    needs = {need.partition(">")[0] for need in PROJECT["project"]["dependencies"]}
    assert needs == {"jsonschema", "numpy", "pyyaml", "safetensors"}
