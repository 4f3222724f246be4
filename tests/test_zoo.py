"""The zoo: every model of it, held against torchvision's and against published counts.

The list of models is the zoo's own, so that a new file is tested without being named here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.diagnostics import Findings, render_all
from netspec.files import load_file
from netspec.load import load_found
from netspec.syntax import Model
from netspec.zoo import zoo_folder, zoo_names

SPECS = {path.name: path for path in sorted(zoo_folder().glob("*.yaml"))}
NAMES = list(zoo_names())

# torchvision's own counts and those of the papers and issues that the zoo answers.
PARAMETERS = {
    "lenet5": 61_706,
    "lenet5_rgb": 62_006,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "googlenet": 13_004_888,
    "inception_v3": 27_161_264,
    "resnet50": 25_557_032,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "r3d_18": 33_371_472,
    "mc3_18": 11_695_440,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "squeezenet_cifar10": 146_570,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "mobilenet_v2": 3_504_872,
    "mnasnet0_5": 2_218_512,
    "mnasnet0_75": 3_170_208,
    "mnasnet1_0": 4_383_312,
    "mnasnet1_3": 6_282_256,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b7": 66_347_960,
}

# What torchvision has no model of.
OURS = {"lenet5", "lenet5_rgb", "squeezenet_cifar10"}

STATE = """
import json, sys
import torch, torchvision
result = {}
known = set(torchvision.models.list_models()) & set(sys.argv[1:])
for name in known:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, **options)
    state = [[k, list(v.shape), str(v.dtype)] for k, v in model.state_dict().items()]
    trainable = [k for k, v in model.named_parameters() if v.requires_grad]
    result[name] = {"state": state, "trainable": trainable}
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def torchvision_models() -> dict[str, dict[str, Any]]:
    """torchvision's state dicts as keys, shapes and dtypes, from a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", STATE, *NAMES]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OURS])
def test_keys_shapes_and_order_are_torchvisions(
    name: str, torchvision_models: dict[str, dict[str, Any]]
) -> None:
    theirs = torchvision_models[name]
    graph = netspec.load(name)
    assert [[w.key, list(w.shape), f"torch.{w.dtype}"] for w in graph.weights] == theirs["state"]
    assert [w.key for w in graph.weights if w.trainable] == theirs["trainable"]


def test_published_parameter_counts() -> None:
    assert {name: netspec.load(name).param_count for name in PARAMETERS} == PARAMETERS


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_found_by_its_name_without_a_warning(name: str) -> None:
    findings = Findings()
    graph = load_found(zoo_names()[name], findings, {}, {})
    assert render_all(findings.diagnostics) == ""
    assert graph is not None
    assert graph.name == name
    assert netspec.load(name).param_count == graph.param_count


@pytest.mark.parametrize("name", NAMES)
def test_a_head_for_another_number_of_classes(name: str) -> None:
    graph = netspec.load(name, num_classes=7)
    assert {output.value.type.shape for output in graph.outputs} == {(7,)}


@pytest.mark.parametrize("name", SPECS)
def test_a_file_is_short_and_says_where_it_comes_from(name: str) -> None:
    text = SPECS[name].read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 100
    assert "#" in text
    if isinstance(load_file(SPECS[name], Findings()), Model):
        assert re.search(r"^source: https?://\S+$", text, re.MULTILINE)


def lines(*names: str) -> int:
    return sum(len(SPECS[name].read_text(encoding="utf-8").splitlines()) for name in names)


def test_the_bars_for_brevity() -> None:
    assert lines("squeezenet1_1.yaml", "fire.yaml") <= 35
    assert lines("resnet.yaml") <= 65


def test_no_block_is_written_twice() -> None:
    """Two blocks with the same text after their names are one block."""
    seen: dict[str, str] = {}
    for file, path in SPECS.items():
        for name, text in blocks(path):
            assert text not in seen, f"{file}: {name} is {seen[text]}"
            seen[text] = f"{file}: {name}"
    assert len(seen) > 10


def blocks(path: Path) -> list[tuple[str, str]]:
    """A file's own blocks as name and text, without comments and spaces."""
    text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    found = re.search(r"^blocks:\n((?:  .*\n|\n)*)", text, re.MULTILINE)
    parts = re.split(r"^  (\w+):", found.group(1), flags=re.MULTILINE)[1:] if found else []
    return [(n, re.sub(r"\s", "", t)) for n, t in zip(parts[::2], parts[1::2], strict=True)]


# The mean, deviation and largest magnitude of every parameter as torchvision initialises it.
INITIALISED = """
import json, sys
import torch, torchvision
torch.manual_seed(0)
result = {}
for name in sys.argv[1:]:
    model = torchvision.models.get_model(name, weights=None)
    result[name] = {
        k: [float(v.mean()), float(v.std()) if v.numel() > 1 else 0.0, float(v.abs().max())]
        for k, v in model.named_parameters()
    }
print(json.dumps(result))
"""


SMALL = [
    *("squeezenet1_1", "resnet18", "densenet121", "mobilenet_v2", "mnasnet0_5"),
    *("shufflenet_v2_x0_5", "efficientnet_b0", "mc3_18", "googlenet"),
]


def test_initial_values_have_torchvisions_moments() -> None:
    """One small model a family; a scale of a large tensor is known to a few percent."""
    from netspec.initial import initial_weights

    command = [sys.executable, "-W", "ignore", "-c", INITIALISED, *SMALL]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    theirs = json.loads(done.stdout)
    wrong = []
    for name in SMALL:
        ours = initial_weights(netspec.load(name), seed=0)
        for key, (mean, deviation, largest) in theirs[name].items():
            values = ours[key]
            if values.size < 1000 and deviation:
                continue
            moments = (float(values.mean()), float(values.std()), float(abs(values).max()))
            # A standard error of the mean is std / sqrt(n), of the deviation about half of that
            # over sqrt 2; the largest of n normal values varies by a tenth of itself and more.
            if (
                abs(moments[0] - mean) > 8 * deviation / values.size**0.5 + 1e-7
                or abs(moments[1] - deviation) > 8 * deviation / values.size**0.5 + 1e-7
                or abs(moments[2] - largest) > 0.4 * largest
            ):
                wrong.append((name, key, moments, (mean, deviation, largest)))
    assert wrong == []


# Both in float64 on the same randomised weights: how far our reference is from torchvision, and
# how far two inputs are from each other, in units of the largest logit.
COMPARE = """
import json, sys
import numpy as np, torch, torchvision
import netspec
from netspec.reference import run
torch.manual_seed(0)
torch.set_num_threads(1)
result = {}
for text in sys.argv[1:]:
    name, *shape = text.split(",")
    shape = [int(n) for n in shape]
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **options).double().eval()
    for key, tensor in model.state_dict().items():
        if "running_mean" in key or key.endswith("bias"):
            tensor.normal_(0, 0.1)
        elif "running_var" in key:
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim > 1:
            torch.nn.init.kaiming_normal_(tensor)
        elif key.endswith("weight"):
            tensor.uniform_(0.5, 1.5)
    x = torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        theirs = model(x).numpy()
    kind = {4: "video", 3: "image"}[len(shape)]
    heads = {"aux_logits": False} if name == "inception_v3" else {}  # its head needs 299 pixels
    graph = netspec.load(name, inputs={kind: shape}, **heads)
    weights = {k: v.numpy() for k, v in model.state_dict().items()}
    (ours,) = run(graph, weights, {kind: x.numpy()}).values()
    scale = abs(theirs).max()
    result[name] = [abs(ours - theirs).max() / scale, abs(theirs[0] - theirs[1]).max() / scale]
print(json.dumps(result))
"""


SHAPES = {
    "alexnet": "3,67,71",
    "vgg11_bn": "3,32,33",
    "squeezenet1_0": "3,45,39",
    "squeezenet1_1": "3,45,39",
    "resnet18": "3,45,39",
    "resnext50_32x4d": "3,33,35",
    "densenet121": "3,45,39",
    "googlenet": "3,45,39",
    "inception_v3": "3,75,79",
    "mobilenet_v2": "3,45,39",
    "mnasnet0_5": "3,45,39",
    "shufflenet_v2_x0_5": "3,45,39",
    "efficientnet_b0": "3,45,39",
    "mc3_18": "3,3,17,19",
}


@pytest.fixture(scope="module")
def comparisons() -> dict[str, tuple[float, float]]:
    """By model: the distance of our reference to torchvision, and of two inputs' logits."""
    command = [sys.executable, "-W", "ignore", "-c", COMPARE]
    command += [f"{name},{shape}" for name, shape in SHAPES.items()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_the_reference_computes_torchvisions_function(
    name: str, comparisons: dict[str, tuple[float, float]]
) -> None:
    """In float64, at odd sizes, one model of each kind of structure.

    The reference rounds epsilons to float32, as ONNX stores them: a batch norm's output moves by
    at most 2^-24 eps / (2 var), 6e-11 here, and a hundred layers may add up.
    """
    difference, movement = comparisons[name]
    assert movement > 0.01, "the logits hardly move with the input, so this compares nothing"
    assert difference < 100 * 6e-11
