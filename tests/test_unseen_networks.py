"""Networks that the zoo has not, written by people who had not seen the compiler's insides."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import netspec
from netspec.backends.lowering import NotLowered
from netspec.compiler import execute
from netspec.exports.verify import verify

UNSEEN = Path(__file__).parent / "unseen"
SPECS = Path(__file__).parent / "specs"


pytestmark = pytest.mark.usefixtures("one_thread")


def module_of(spec: str, **options: Any) -> ModuleType:
    return execute(netspec.source(spec, backend="torch", **options), "unseen")


def randomise(model: nn.Module) -> None:
    """Random weights under which values neither vanish nor grow."""
    generator = torch.Generator().manual_seed(0)
    for key, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.rand(tensor.shape, generator=generator)
        if tensor.ndim > 1:
            tensor.copy_((noise - 0.5) * (24 / tensor[0].numel()) ** 0.5)
        else:
            tensor.copy_(noise + 0.5 if key.endswith(("running_var", "weight")) else noise - 0.5)


def assert_equal(ours: nn.Module, theirs: nn.Module, *x: torch.Tensor) -> None:
    """The same keys in the same order, and the same bits."""
    randomise(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        expected = theirs.eval()(*x)
        assert expected.std() > 0.01
        assert torch.equal(ours.eval()(*x), expected)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_mobilenet_v3_is_torchvisions(name: str) -> None:
    text = netspec.source(f"{UNSEEN}/mobilenet_v3.yaml::{name}", backend="torch")
    theirs = getattr(torchvision.models, name)()
    assert_equal(execute(text, name).build_model(), theirs, torch.randn(2, 3, 64, 64))
    # The rows are a table that a loop goes over, with what makes their activations.
    assert "for kernel, hidden, out, squeeze, act, stride in (" in text
    assert ", nn.ReLU, 1),\n" in text
    assert ", nn.Hardswish, 1),\n" in text


def test_a_table_names_the_ops_of_a_keras_loop() -> None:
    text = netspec.source(f"{UNSEEN}/mobilenet_v3.yaml::mobilenet_v3_small", backend="keras")
    assert '(3, 88, 24, False, "relu", 1),\n' in text
    assert '(5, 96, 40, True, "hard_silu", 2),\n' in text


# Widths that a block's loop makes, a table's last row, and the axes that `unflatten` gives.
FREE = {
    "loop": """
params: {width: 4, twice: 2}
inputs: {image: [3, 8, 8]}
blocks:
  encoder:
    params: {w: int, times: 2}
    body: [{repeat: =times, inline: [conv: {out: =w * (i + 1), kernel: 1}, relu]}]
body:
  fixed: {encoder: {w: =width}}
  counted: {encoder: {w: =width, times: =twice}}
  last: {conv: {out: 5, kernel: 1}}
""",
    "unit": """
params: {middle: 3, width: 16, grow: true}
inputs: {image: [3, 8, 8]}
blocks:
  unit:
    params: {out: int, reps: int, grow_first: true}
    body:
      rep:
        - repeat: =reps
          conv: {out: =out if grow_first or i == reps - 1 else input.channels, kernel: 1}
      skip: {from: input, when: =input.channels != out, conv: {out, kernel: 1}}
      sum: {add: [rep, skip]}
body:
  start: {unit: {out: =width, reps: 2, grow_first: =grow}}
  block{i}: {repeat: =middle, unit: {out: =width, reps: 3}}
  end: {unit: {out: 24, reps: 2, grow_first: false}}
  fc: {conv: {out: =2 * width, kernel: 1}}
""",
    "joined": """
params: {depth: 2, width: 4, kinds: [relu, tanh]}
inputs: {a: [3, 8, 8], b: [3, 8, 8]}
blocks:
  encoder:
    params: {w: int, d: int}
    body:
      - {repeat: =d, inline: [conv: {out: =w * (i + 1), kernel: 3, padding: 1}, relu]}
      - global_avg_pool
      - flatten
body:
  ea: {from: a, encoder: {w: =width, d: =depth}}
  eb: {from: b, share: ea}
  both: {concat: [ea, eb]}
  h{i}: {repeat: {each: =kinds, as: kind}, body: [linear: =8 * width, =kind]}
  out: {linear: 1}
""",
    "unflattened": """
params: {width: 4, channels: 2, rows: [[8, 3], [6, 1]]}
inputs: {z: [5]}
blocks:
  table:
    params: {rows: list}
    body: [{repeat: {each: =rows, as: [out, kernel]},
            conv: {out, kernel, padding: =kernel // 2}}]
  literal:
    params: {w: int}
    body: [{repeat: {each: [[=w, 1], [=w + 2, 3]], as: [out, kernel]},
            conv: {out, kernel, padding: =kernel // 2}}]
body:
  - linear: =width * 16
  - unflatten: {shape: [=width, 4, 4]}
  - literal: =channels
  - table: {rows}
  - conv: {out: 3, kernel: 1}
""",
    "sized": """
params: {stride: 2, width: 8, depth: 1, kernel: 3, window: 3, strides: [1, 2], classes: 5}
inputs: {image: [3, 32, 32]}
blocks:
  unit:
    params: {out: int, stride: 1, kernel: 3}
    body: [{conv: {out: =out, kernel: =kernel, stride: =stride, padding: same}}, relu]
  pool:
    params: {deep: int}
    body:
      - {repeat: =deep, max_pool: 2}
      - unit: {out: =input.channels, kernel: =input.height // 2}
body:
  a: {unit: {out: =width, stride: =stride, kernel: =kernel}}
  b{i}: {repeat: {each: =strides, as: s}, unit: {out: =width, stride: =s}}
  pool: {pool: {deep: =depth}}
  c: {conv: {out: =width, kernel: =window}}
  flatten: flatten
  fc: {linear: =classes}
""",
    "equal": """
params: {n: 2, out: 8, channels: 4, in_channels: 3, widths: [8, 8]}
inputs: {image: [8, 8, 8]}
blocks:
  inner:
    params: {ws: list}
    body: [{repeat: {each: =ws, as: w}, conv: {out: =w, kernel: 1}}]
body:
  - {repeat: =n, inner: "=[out]"}
  - repeat: {each: =widths, as: w}
    inner: "=[w, w]"
  - conv: {out: =channels, kernel: 1}
  - conv: {out: =in_channels, kernel: 1}
""",
    "received": """
params: {channels: 3, extra: 2, width: 8}
inputs: {image: [=channels, 8, 8], other: [=2 * extra, 8, 8]}
blocks: {gate: {body: [{conv: {out: =input.channels, kernel: 1}}, sigmoid]}}
body:
  deep: {from: image, conv: {out: =channels, kernel: 3, groups: =channels, padding: same}}
  gated: {mul: [deep, {g: gate}]}
  both: {concat: [gated, other]}
  flat: flatten
  wide: {when: =channels > 9, linear: 4}
  fc: {linear: =width}
""",
    "alone": """
params: {channels: 3, width: 8}
inputs: {image: [=channels, 8, 8]}
body: [{conv: {out: =2 * input.channels, kernel: 1}}, {conv: {out: =width, kernel: 1}}]
""",
    "pooled": """
params: {k: 2, n: 10}
inputs: {image: [3, 32, 32]}
body: [{max_pool: {kernel: =k, padding: same}}, flatten, {linear: 4}, {linear: =n}]
""",
    "indices": """
params: {n: 1, m: 2, width: 4}
inputs: {image: [3, 8, 8]}
body:
  - {repeat: =n, inline: [{conv: {out: =width, kernel: 1}}, {when: =i > 1, relu: }]}
  - {repeat: =m, conv: {out: =width, kernel: 1}}
  - conv: {out: 2, kernel: 1}
""",
    "turns": """
params: {stride: 2, width: 8}
inputs: {image: [4, 8, 8]}
body:
  - repeat: 2
    inline:
      - conv: {out: 4, kernel: 3, stride: =stride, padding: 1}
      - flatten
      - linear: =width * 8
      - linear: 256
      - unflatten: {shape: [4, 8, 8]}
  - conv: {out: =width, kernel: 1}
""",
}
ZOO = ["densenet121", "mnasnet0_5", "mobilenet_v2", "resnet18", "squeezenet1_1", "vgg11"]


def others(value: Any) -> list[Any]:
    """Other values for a parameter."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value]
    if isinstance(value, float):
        return [0.75 * value]
    if value and all(isinstance(item, int) for item in value):
        return [value[:-1], [*value[:-1], value[-1] + 8], [*value, value[-1]]]
    return [[*value, value[-1]]] if value else []


def varied(spec: str) -> Iterator[tuple[str, Any, nn.Module]]:
    """Every parameter of `build_model` with every other value that the spec takes."""
    build = module_of(spec).build_model
    for name, parameter in inspect.signature(build).parameters.items():
        default = parameter.default
        for value in others(listed(default)):
            try:
                netspec.load(spec, params={name.rstrip("_"): value})
            except netspec.SpecError:
                continue
            yield name.rstrip("_"), value, build(**{name: value})


def listed(value: Any) -> Any:
    return [listed(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", FREE)
def test_parameters_of_build_model_are_the_specs(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"netspec: 1\nname: {name}\n{FREE[name]}")
    count = 0
    for param, value, ours in varied(str(path)):
        graph = netspec.load(path, params={param: value})
        theirs = module_of(str(path), params={param: value}).build_model()
        torch.manual_seed(count)
        x = [torch.randn(4, *given.type.shape) for given in graph.inputs]
        assert_equal(ours, theirs, *x)
        count += 1
    assert count >= 2


@pytest.mark.parametrize(
    ("before", "taken"),
    [
        ("flatten: flatten", "width kernel classes"),
        (
            "gap: global_avg_pool\n  flatten: flatten",
            "stride width depth kernel window strides classes",
        ),
    ],
)
def test_what_changes_the_size_that_a_linear_reads_is_fixed(
    before: str, taken: str, tmp_path: Path
) -> None:
    path = tmp_path / "sized.yaml"
    body = FREE["sized"].replace("flatten: flatten", before).replace("=input.height // 2", "3")
    path.write_text(f"netspec: 1\nname: sized\n{body}")
    build = module_of(str(path)).build_model
    assert list(inspect.signature(build).parameters) == taken.split()


def test_channels_that_are_equal_by_chance_fix_what_decides_them(tmp_path: Path) -> None:
    """A node that is left out somewhere leaves what was there: here 3, for these values alone."""
    path = tmp_path / "chance.yaml"
    path.write_text("""
netspec: 1
name: chance
params: {c: 3, wide: [3, 8]}
inputs: {image: [=c, 8, 8]}
body:
  - repeat: 2
    inline: [{when: =i > 0, conv: {out: 3, kernel: 1}}, {conv: {out: 3, kernel: 1}}]
  - {repeat: {each: =wide, as: w}, inline: [{when: =w > 4, conv: {out: =w, kernel: 1}}]}
  - conv: {out: 4, kernel: 1}
""")
    assert not inspect.signature(module_of(str(path)).build_model).parameters


@pytest.mark.parametrize("name", ZOO)
def test_parameters_of_the_zoo_are_the_specs(name: str) -> None:
    with torch.device("meta"):
        for param, value, ours in varied(name):
            weights = netspec.load(name, params={param: value}).weights
            shapes = {key: tuple(tensor.shape) for key, tensor in ours.state_dict().items()}
            expected = {weight.key: tuple(weight.shape) for weight in weights}
            found = {key: shape for key, shape in shapes.items() if key in expected}
            assert found == expected, (param, value)
            rest = shapes.keys() - expected.keys()
            assert all(key.endswith("num_batches_tracked") for key in rest)


def test_aspp_is_torchvisions() -> None:
    ours = module_of(f"{UNSEEN}/aspp.yaml").build_model()
    theirs = torchvision.models.segmentation.deeplabv3.ASPP(8, [12, 24, 36], 16)
    assert_equal(ours, theirs, torch.randn(2, 8, 14, 14))


def test_no_superfluous_parentheses() -> None:
    """An identity is what it reads, which needs none where it is assigned or an argument."""
    text = netspec.source(f"{SPECS}/earlier_copies.yaml", backend="torch")
    assert "received_2 = conv + received\n" in text
    assert "received_3 = conv_2 + conv + received_2\n" in text


def test_the_loop_whose_turns_differ_is_written_out() -> None:
    """Stages have different blocks, the copies of a stage the same one: they stay a loop."""
    text = netspec.source(f"{SPECS}/blocks_in_tables.yaml", backend="torch")
    assert text.count("for i in range(") == 3
    assert "Fused(channels, out=8, stride=1, slope=slope * (i + 1) / sum(depths))" in text
    keras = netspec.source(f"{SPECS}/blocks_in_tables.yaml", backend="keras")
    assert keras.count("for i in range(") == 3


PYRAMID = """
netspec: 1
name: pyramid
inputs: {image: [3, 16, 16]}
body:
  p3: {conv: {out: 8, kernel: 3, padding: 1}}
  p4: {conv: {out: 8, kernel: 3, padding: 1, stride: 2}}
  head3: {from: p3, body: [HEAD, relu, conv: {out: 4, kernel: 1}]}
  head4: {from: p4, share: head3}
outputs: {a: head3, b: head4}
"""


def test_a_head_is_shared_by_maps_of_several_sizes(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.yaml"
    path.write_text(PYRAMID.replace("HEAD", "conv: {out: 8, kernel: 3, padding: 1}"))
    report = verify(path, backends=["torch", "keras"])
    assert report, report.render()
    path.write_text(PYRAMID.replace("HEAD", "channel_shuffle: 2"))
    with pytest.raises(NotLowered, match="channel_shuffle that is shared by maps of several sizes"):
        netspec.source(path, backend="keras")
