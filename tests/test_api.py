"""The functions of `import netspec`: what they take, and what they say to what they do not."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import netspec
from netspec.cli import main
from netspec.compiler import weights_for
from netspec.exports.weights import read_weights

TAKEN = """
netspec: 1
name: taken
params: {seed: 3, inputs: 4, backend: 5, weights: 6, params: 7, nodes: 8}
inputs: {x: [3, 8, 8]}
body:
  - {conv: {out: =seed, kernel: 1}}
  - {conv: {out: =inputs, kernel: 1}}
  - {conv: {out: =backend, kernel: 1}}
  - {conv: {out: =weights, kernel: 1}}
  - {conv: {out: =params, kernel: 1}}
  - {conv: {out: =nodes, kernel: 1}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- what is taken


@pytest.mark.parametrize(
    "five", [5, np.int64(5), np.uint8(5), np.array(5), np.asarray([5])[0]], ids=repr
)
def test_whole_numbers_are_whole_numbers_whosever_they_are(five: Any) -> None:
    assert netspec.load("lenet5", num_classes=five).params["num_classes"] == 5
    assert type(netspec.load("lenet5", num_classes=five).params["num_classes"]) is int
    graph = netspec.load("lenet5", inputs={"image": (np.int32(1), 32, 32)}, num_classes=five)
    assert graph.outputs[0].value.type.shape == (5,)


@pytest.mark.parametrize(
    "layers", [[1, 1, 1, 1], (1, 1, 1, 1), np.ones(4, int), [np.int64(1)] * 4], ids=repr
)
def test_lists_are_lists_whosever_they_are(layers: Any) -> None:
    # 11,689,512 with [2, 2, 2, 2]: fewer with half the blocks.
    graph = netspec.load("resnet18", layers=layers)
    assert graph.params["layers"] == [1, 1, 1, 1]
    assert graph.param_count < 11_689_512


def test_floats_of_numpy_are_floats() -> None:
    assert netspec.load("alexnet", dropout=np.float32(0.25)).params["dropout"] == 0.25


def test_params_reaches_names_that_are_arguments(folder: Path) -> None:
    Path("taken.yaml").write_text(TAKEN, encoding="utf-8")
    params = {"seed": 11, "inputs": 12, "backend": 13, "weights": 14, "params": 15, "nodes": 16}
    graph = netspec.load("taken.yaml", params=params)
    assert graph.params == params
    assert netspec.load("taken.yaml", seed=9, params={"inputs": 2}).params["seed"] == 9
    assert "16" in netspec.source("taken.yaml", backend="torch", params=params)
    netspec.export("taken.yaml", "taken.onnx", seed=1, params=params)
    report = netspec.verify(
        "taken.yaml", backends=["onnx"], runtimes=["onnxruntime"], params=params, seed=2
    )
    assert report
    assert report.seed == 2
    assert report.command == (
        "netspec.verify('taken.yaml', backends=['onnx'], runtimes=['onnxruntime'], seed=2, "
        f"params={params!r})"
    )


def test_what_docs_name_is_there() -> None:
    for name in netspec.__all__:
        assert getattr(netspec, name) is not None
    assert issubclass(netspec.UsageError, ValueError)
    assert issubclass(netspec.UnavailableError, Exception)


# -- what is refused


def a_build(**arguments: Any) -> Callable[[], Any]:
    return lambda: netspec.build("lenet5", **{"backend": "torch", **arguments})


def a_load(*spec: Any, **arguments: Any) -> Callable[[], Any]:
    return lambda: netspec.load(*(spec or ["lenet5"]), **arguments)


def an_export(path: Any = "x.onnx", **arguments: Any) -> Callable[[], Any]:
    return lambda: netspec.export("lenet5", path, **arguments)


def a_verify(**arguments: Any) -> Callable[[], Any]:
    return lambda: netspec.verify("lenet5", **arguments)


WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "spec of a number": (a_load(5), TypeError, "a spec is a name or a path, not of type int"),
    "spec of bytes": (a_load(b"lenet5"), TypeError, "a spec is a name or a path"),
    "no such spec": (a_load("lenet6"), netspec.UsageError, "did you mean `lenet5`?"),
    "no such parameter": (a_load(clases=3), netspec.UsageError, "no parameter 'clases'"),
    "float for an int": (a_load(num_classes=5.0), netspec.UsageError, "must be an int, not 5.0"),
    "float of numpy": (a_load(num_classes=np.float64(5)), netspec.UsageError, "must be an int"),
    "bool for an int": (a_load(num_classes=True), netspec.UsageError, "must be an int"),
    "None for an int": (a_load(num_classes=None), netspec.UsageError, "must be an int"),
    "object": (a_load(num_classes=object()), netspec.UsageError, "must be an int"),
    "params of a list": (a_load(params=[3]), TypeError, "params maps names to values"),
    "params of numbers": (a_load(params={3: 3}), TypeError, "params maps names to values"),
    "given twice": (a_load(params={"num_classes": 3}, num_classes=3), TypeError, "given twice"),
    "inputs of a tuple": (a_load(inputs=(1, 32, 32)), TypeError, "inputs maps names to shapes"),
    "inputs of numbers": (a_load(inputs={1: (1, 8, 8)}), TypeError, "the name of an input is text"),
    "a shape of text": (a_load(inputs={"image": "132"}), TypeError, "is a sequence of sizes"),
    "a shape of floats": (a_load(inputs={"image": (1, 8.0, 8)}), TypeError, "not 8.0"),
    "a shape of bools": (a_load(inputs={"image": (True, 8, 8)}), TypeError, "not True"),
    "a size of 0": (a_load(inputs={"image": (1, 0, 8)}), netspec.UsageError, "sizes from 1"),
    "too few sizes": (a_load(inputs={"image": (32, 32)}), netspec.UsageError, "takes 3 sizes"),
    "a seed below 0": (a_build(seed=-1), ValueError, "a seed is a whole number from 0, not -1"),
    "a seed of text": (a_build(seed="a"), TypeError, "a seed is a whole number, not 'a'"),
    "a seed of a float": (a_build(seed=1.0), TypeError, "a seed is a whole number, not 1.0"),
    "a seed of a bool": (a_build(seed=True), TypeError, "a seed is a whole number, not True"),
    "seed and weights": (a_build(seed=1, weights={}), ValueError, "leave one out"),
    "weights of a number": (a_build(weights=5), TypeError, "weights are a path, or map keys"),
    "weights of a list": (a_build(weights=[1]), TypeError, "weights are a path, or map keys"),
    "weights by number": (a_build(weights={1: 2}), TypeError, "1 is no key"),
    "no weights to skip": (a_build(skip_mismatched=True), ValueError, "goes with weights"),
    "no weight file": (a_build(weights="no.safetensors"), FileNotFoundError, "no weight file"),
    "no backend": (a_build(backend="caffe"), netspec.UsageError, "no backend 'caffe'"),
    "a backend without source": (a_build(backend="onnx"), netspec.UsageError, "not source"),
    "export: another ending": (an_export("x.pt"), ValueError, "which ends in .onnx"),
    "export: a folder": (an_export("."), ValueError, "which ends in .onnx"),
    "export: a number": (an_export(5), TypeError, "not int"),
    "export: a seed": (an_export(seed=-3), ValueError, "a seed is a whole number from 0"),
    "export: seed and weights": (an_export(seed=0, weights={}), ValueError, "leave one out"),
    "export: no backend": (an_export(backend="caffe"), netspec.UsageError, "caffe"),
    "verify: a text": (a_verify(backends="onnx"), TypeError, "backends is a list of names"),
    "verify: numbers": (a_verify(backends=[1]), TypeError, "backends is a list of names"),
    "verify: none": (a_verify(backends=[]), ValueError, "backends names none"),
    "verify: a runtime": (a_verify(runtimes="torch"), TypeError, "runtimes is a list of names"),
    "verify: no runtime": (a_verify(runtimes=["tpu"]), netspec.UsageError, "tpu"),
    "verify: a seed": (a_verify(seed="a"), TypeError, "a seed is a whole number"),
    "verify: inputs": (a_verify(inputs=(1, 2)), TypeError, "inputs maps names to shapes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_is_one_clear_exception(case: str, folder: Path) -> None:
    call, kind, message = WRONG[case]
    with pytest.raises(kind) as refused:
        call()
    assert type(refused.value) is kind
    assert message in str(refused.value)
    assert list(folder.iterdir()) == []


# -- weights


def lenet(value: float = 0.5) -> dict[str, Any]:
    return {w.key: np.full(w.shape, value, w.dtype) for w in netspec.load("lenet5").weights}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(bad: float, folder: Path) -> None:
    weights = lenet()
    weights["conv2.weight"][0, 0, 0, :2] = bad
    message = r"lenet5 hold NaN or infinity: conv2\.weight \(2 of 2,400\)$"
    with pytest.raises(ValueError, match=message):
        read_weights(netspec.load("lenet5"), weights)
    save_file(weights, "w.safetensors")
    for command in (["build", "--backend", "onnx"], ["verify"]):
        assert main([command[0], "lenet5", *command[1:], "--weights", "w.safetensors"]) == 1
    with pytest.raises(ValueError, match=message):
        weights_for(netspec.load("lenet5"), 0, weights, skip_mismatched=True)
    assert [path.name for path in folder.iterdir()] == ["w.safetensors"]


def test_weights_that_overflow_are_refused() -> None:
    weights = {key: value.astype(np.float64) for key, value in lenet().items()}
    weights["fc1.bias"][3] = 1e39
    with pytest.raises(ValueError, match=r"fc1\.bias \(1 of 120\)"):
        read_weights(netspec.load("lenet5"), weights)


def test_a_new_head_keeps_the_rest_of_a_checkpoint() -> None:
    graph = netspec.load("lenet5", num_classes=2)
    fresh = weights_for(graph, 7)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = weights_for(graph, 7, lenet() | {"odd": np.zeros(1)}, skip_mismatched=True)
    assert [str(warning.message) for warning in said] == [
        "left at its initial values: fc3.weight (2, 84): (10, 84) in the file",
        "left at its initial values: fc3.bias (2,): (10,) in the file",
        "not used: odd",
    ]
    for key, values in found.items():
        assert np.array_equal(values, fresh[key] if key.startswith("fc3") else lenet()[key])


def test_numbers_of_bfloat16_are_read(folder: Path) -> None:
    """A file written by hand: 1, -2.5 and 3.140625 are numbers of bfloat16."""
    bits = {1.0: 0x3F80, -2.5: 0xC020, 3.140625: 0x4049}
    spec = "netspec: 1\nname: n\ninputs: {x: [3]}\nbody: {fc: {linear: {out: 1, bias: false}}}\n"
    Path("n.yaml").write_text(spec, encoding="utf-8")
    entry = {"dtype": "BF16", "shape": [1, 3], "data_offsets": [0, 6]}
    head = json.dumps({"fc.weight": entry}).encode()
    data = struct.pack("<Q", len(head)) + head + struct.pack("<3H", *bits.values())
    Path("w.safetensors").write_bytes(data)
    found = read_weights(netspec.load("n.yaml"), "w.safetensors")
    assert found["fc.weight"].tolist() == [list(bits)]
    assert found["fc.weight"].dtype == np.float32


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth"])
def test_a_broken_weight_file_is_a_value_error(name: str, folder: Path) -> None:
    Path(name).write_bytes(b"no weights")
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        read_weights(netspec.load("lenet5"), name)


TENSORS = """
import torch, warnings, netspec
from netspec.exports.weights import read_weights
warnings.simplefilter("error")
model = netspec.build("lenet5", backend="torch", seed=4)
own = dict(model.named_parameters())                # they require gradients
assert all(torch.equal(torch.from_numpy(value), own[key].detach())
           for key, value in read_weights(netspec.load("lenet5"), own).items())
half = {key: value.bfloat16() for key, value in own.items()}
read_weights(netspec.load("lenet5"), half)
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as said:
    head = netspec.build("lenet5", backend="torch", weights=own, skip_mismatched=True,
                         num_classes=2)
assert len(said) == 2 and said[0].filename == "<string>", [str(w) for w in said]
assert torch.equal(head.conv1.weight, model.conv1.weight)
assert head.fc3.weight.shape == (2, 84)
"""


def test_a_models_own_tensors_are_weights() -> None:
    subprocess.run([sys.executable, "-c", TENSORS], check=True)
