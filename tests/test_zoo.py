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
    "alexnet_cifar": 2_472_266,
    "googlenet_cifar": 6_166_250,
    "inception_resnet_v2": 55_873_736 - 60_544,  # keras.applications', statistics left out
    "inception_v3_keras": 23_851_784 - 34_432,
    "resnet50_keras": 25_636_712 - 53_120,
    "mobilenet_v2_keras": 3_538_984 - 34_112,
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


@pytest.mark.parametrize("name", NAMES)
def test_keys_shapes_and_order_are_torchvisions(
    name: str, torchvision_models: dict[str, dict[str, Any]]
) -> None:
    if name not in torchvision_models:
        pytest.skip("torchvision has no such model")
    theirs = torchvision_models[name]
    graph = netspec.load(name)
    assert [[w.key, list(w.shape), f"torch.{w.dtype}"] for w in graph.weights] == theirs["state"]
    assert [w.key for w in graph.weights if w.trainable] == theirs["trainable"]


def test_torchvision_has_most_of_the_zoo(torchvision_models: dict[str, dict[str, Any]]) -> None:
    assert len(torchvision_models) >= 46  # or keys are compared with nothing


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
    assert len(text.splitlines()) <= 100
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


# By model: batch and sizes, odd and oblong: mistakes of padding and of ceil_mode vanish at 224.
JOBS = [
    *("alexnet,1,3,231,227", "alexnet,2,3,67,71", "vgg11_bn,2,3,32,33"),
    *("squeezenet1_0,2,3,227,231", "squeezenet1_0,2,3,45,39", "squeezenet1_1,7,3,225,227"),
    *("resnet18,1,3,225,231", "resnet18,7,3,45,39", "resnext50_32x4d,2,3,33,35"),
    *("densenet121,1,3,227,225", "densenet121,2,3,45,39", "googlenet,1,3,225,231"),
    *("googlenet,7,3,45,39", "inception_v3,2,3,75,79", "inception_v3,1,3,231,225"),
    *("mobilenet_v2,1,3,299,231", "mobilenet_v2,2,3,45,39", "mnasnet0_5,2,3,227,299"),
    *("shufflenet_v2_x0_5,2,3,299,225", "shufflenet_v2_x0_5,7,3,45,39", "mc3_18,2,3,3,17,19"),
    *("efficientnet_b0,1,3,225,227", "efficientnet_b0,2,3,45,39"),
    *("alexnet_cifar,2,3,32,32", "googlenet_cifar,2,3,32,32", "shift_resnet20,2,3,32,32"),
    "shiftnet_a,2,3,65,70",
]


def run_program(name: str, *arguments: str) -> Any:
    """What a program of this folder prints as JSON; it has a framework for itself."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name(name)), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def comparisons() -> dict[str, tuple[float, float]]:
    """By job: the distance of our reference to torch, and of two inputs' logits."""
    found: dict[str, tuple[float, float]] = run_program("zoo_reference.py", *JOBS)
    return found


@pytest.mark.parametrize("job", JOBS)
def test_the_reference_computes_what_torch_does(
    job: str, comparisons: dict[str, tuple[float, float]]
) -> None:
    """In float64, against torchvision, or against tests/zoo_oracles.py where it has no model.

    The reference rounds epsilons to float32, as ONNX stores them: a batch norm's output moves by
    at most 2^-24 eps / (2 var), 6e-11 here, and a hundred layers may add up.
    """
    difference, movement = comparisons[job]
    assert movement > 0.01, "the logits hardly move with the input, so this compares nothing"
    assert difference < 100 * 6e-11


KERAS_JOBS = [
    *("vgg16,224,224", "resnet50_keras,65,70", "inception_v3_keras,76,83"),
    *("inception_resnet_v2,76,83", "densenet121_keras,65,70", "mobilenet_v2_keras,65,70"),
    "efficientnet_b0_keras,65,70",
]


@pytest.fixture(scope="module")
def keras_comparisons() -> dict[str, list[float]]:
    found: dict[str, list[float]] = run_program("keras_applications.py", *KERAS_JOBS)
    return found


@pytest.mark.parametrize("job", KERAS_JOBS)
def test_weights_of_keras_applications_give_its_logits(
    job: str, keras_comparisons: dict[str, list[float]]
) -> None:
    """In float64, but for constants: Keras's of pixels and our attributes are float32.

    Weights and statistics are such that a rounding of the image grows tenfold at most.
    """
    difference, movement, theirs, ours = keras_comparisons[job]
    assert movement > 0.01, "the logits hardly move with the input, so this compares nothing"
    assert difference < 2e-5
    assert theirs == ours


TRANSFORMED = """
import sys, torch, torchvision
import netspec
from netspec.compiler import execute
torch.set_num_threads(1)
torch.manual_seed(0)
for name in ("googlenet", "inception_v3"):
    theirs = torchvision.models.get_model(name, weights=None, init_weights=False,
                                          transform_input=True, aux_logits=True)
    for module in theirs.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    ours = execute(netspec.source(name, backend="torch", transform_input=True), name).build_model()
    ours.load_state_dict(theirs.state_dict())
    plain = execute(netspec.source(name, backend="torch"), name).build_model()
    plain.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 107, 113)
    with torch.no_grad():
        expected = theirs.eval()(x)
        assert not torch.allclose(expected, plain.eval()(x)), name
        assert torch.equal(expected, ours.eval()(x)), name
"""


def test_transformed_inputs_are_torchvisions_bit_for_bit() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", TRANSFORMED], check=True)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mc3_18"])
def test_the_last_norm_of_a_unit_can_begin_at_zero(name: str) -> None:
    from netspec.initial import initial_weights

    graph = netspec.load(name, zero_init_residual=True)
    last = "conv2.1.weight" if name == "mc3_18" else "bn3.weight"
    ends = last if name != "resnet18" else "bn2.weight"
    for key, values in initial_weights(graph).items():
        if re.fullmatch(rf"layer\d\.\d\.{re.escape(ends)}", key):
            assert not values.any(), key
        elif re.search(r"(bn\d|norm|conv\d\.1)\.weight$", key):
            assert (values == 1).all(), key
    plain = initial_weights(netspec.load(name))
    assert (plain[f"layer1.0.{ends}"] == 1).all()
