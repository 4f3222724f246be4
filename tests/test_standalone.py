"""The whole zoo as written files, in an interpreter that has no netspec: bit for bit its models."""

from __future__ import annotations

import json
import linecache
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.compiler import execute
from netspec.zoo import zoo_names

PROGRAM = Path(__file__).with_name("standalone.py")
FINGERPRINT = runpy.run_path(str(PROGRAM))["fingerprint"]
NAMES = list(zoo_names())


def smaller(name: str) -> dict[str, tuple[int, ...]]:
    """The input with a third of its sides, if the network takes that."""
    (value,) = netspec.load(name).inputs
    shape = (value.type.channels, *(max(size // 3, 8) for size in value.type.spatial))
    try:
        netspec.load(name, inputs={value.name: shape})
    except netspec.SpecError:
        return {value.name: value.type.shape}
    return {value.name: shape}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By model: the input, the text that was written, and what the clean interpreter made of it."""
    folder = tmp_path_factory.mktemp("standalone")
    found = {}
    for name in NAMES:
        inputs = smaller(name)
        text = netspec.source(name, backend="torch", inputs=inputs)
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        (shape,) = inputs.values()
        found[name] = {"text": text, "shape": shape}
    shapes = {name: entry["shape"] for name, entry in found.items()}
    (folder / "shapes.json").write_text(json.dumps(shapes), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", str(PROGRAM), str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for name, fingerprint in json.loads(done.stdout.splitlines()[-1]).items():
        found[name]["alone"] = fingerprint
    return found


@pytest.mark.xdist_group("standalone")
@pytest.mark.parametrize("name", NAMES)
def test_a_written_file_is_the_model(name: str, written: dict[str, dict[str, Any]]) -> None:
    entry = written[name]
    module = execute(entry["text"], name)
    try:
        keys, digest = FINGERPRINT(vars(module), entry["shape"])
    finally:
        del sys.modules[module.__name__]
    assert keys == [weight.key for weight in netspec.load(name).weights]
    assert entry["alone"] == [keys, digest]


def test_build_executes_the_text_that_is_written() -> None:
    """Tracebacks show the lines that ran: they are those of `netspec build`."""
    netspec.build("squeezenet_cifar10", backend="torch")
    ran = linecache.getlines("<netspec squeezenet_cifar10_torch>")
    assert "".join(ran) == netspec.source("squeezenet_cifar10", backend="torch")
