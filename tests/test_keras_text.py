"""The text of generated Keras source is what people write, and a spec brings no code into it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import netspec
from netspec.backends.keras.generate import source


def body(text: str, function: str) -> str:
    """A function of generated source, without its docstring."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            first = node.body[1 if ast.get_docstring(node) else 0]
            lines = text.splitlines()[first.lineno - 1 : node.end_lineno]
            return "\n".join(line[4:] for line in lines)
    raise AssertionError(f"no function {function}")


def test_a_block_reads_as_people_write_it() -> None:
    fire = body(source(netspec.load("squeezenet1_1")), "fire")
    convolution = (
        'layers.Conv2D(squeeze, 1, kernel_initializer="he_uniform", name=f"{name}-squeeze")'
    )
    assert fire.splitlines()[0] == f"x = {convolution}(x)"
    operands = "[expand1x1_activation, expand3x3_activation]"
    joined = f'return layers.Concatenate(name=f"{{name}}-expand")({operands})'
    assert fire.splitlines()[-1] == joined


def test_loops_stay_loops() -> None:
    resnet = body(source(netspec.load("resnet50")), "build_model")
    assert "for stage, depth in enumerate(layers_):\n    for i in range(depth):\n" in resnet
    assert 'name=f"layer{stage + 1}-{i}"' in resnet
    inverted = body(source(netspec.load("efficientnet_b0")), "mbconv")
    assert "number = itertools.count()\nif expand != 1:\n" in inverted


def test_text_of_a_spec_stays_text(tmp_path: Path) -> None:
    """Whatever stands in strings of a spec, no code of generated source comes from it."""
    evil = '""" + evil() + """\'{evil()}\\'
    formula = "{'b' if depth > 1 else '\" + evil() + \"'}"
    spec = {
        "netspec": 1,
        "name": "evil",
        "source": evil,
        "doc": evil,
        "params": {"depth": 2, "text": {"type": "text", "default": evil, "doc": evil}},
        "inputs": {"image": [3, 4, 4]},
        "blocks": {"unit": {"doc": evil, "body": ["relu"]}},
        "body": {
            f"a{formula}": "unit",
            "c{'b' if text == '\" + evil() + \"' else 'c'}": "unit",
            "end": {"repeat": 1, "inline": {f"z{formula}": "tanh"}},
        },
    }
    path = tmp_path / "hostile.yaml"
    path.write_text(json.dumps(spec))
    tree = ast.parse(source(netspec.load(path)))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert {"unit", "depth"} <= names
    assert "evil" not in names


def test_names_with_dashes_are_told_by_their_pattern(tmp_path: Path) -> None:
    """Where that does not tell all keys the file lists them, and what decides them is fixed."""
    text = """\
netspec: 1
name: counted
params: {n: 2, m: 2, width: 4}
inputs: {image: [3, 8, 8]}
blocks:
  inner: {params: {m: int}, body: [{repeat: =m, conv: {out: 4, kernel: 1}}]}
  outer: {params: {m: int}, body: {of-a: {inner: {m}}}}
body:
  "free{j}": {repeat: {times: =m, index: j}, conv: {out: =width, kernel: 1}}
  unit-{i}: {repeat: =n, conv: {out: =width, kernel: 1}}
  end: {outer: {m: 2}}
"""
    path = tmp_path / "counted.yaml"
    path.write_text(text)
    made = source(netspec.load(path))
    assert r'DASHED = r"(?<![^-])(?:of-a|unit-\d+)(?![^-])"' in made
    assert "def build_model(n: int = 2, m: int = 2, width: int = 4) ->" in made
    text = text.replace("unit-{i}: {", '"{i}-0": {').replace("  end", "  2: [inner: {m: 1}]\n  end")
    path.write_text(text)
    made = source(netspec.load(path))
    assert 'KEYS: tuple[str, ...] = (\n    "0-0.weight",\n' in made
    assert "def build_model(m: int = 2, width: int = 4) ->" in made
    path.write_text(text.replace("end: {outer: {m: 2}}\n", "end: {outer: {m: =n + m}}\n"))
    assert "def build_model(width: int = 4) ->" in source(netspec.load(path))
