"""Generated Keras source: names, values and weights against the graph and the NumPy reference.

TensorFlow runs in one child process, which has nothing of netspec but the generated files.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import netspec
from netspec.backends.keras.generate import source
from netspec.exports.probe import probe_inputs, probe_weights
from netspec.graph import Graph
from netspec.reference import evaluate

EXACT = 1e-10  # of the largest output, in float64
ROUNDED = 1e-7  # where attributes count, which the reference has as float32

ZOO = {
    "alexnet": (3, 96, 96),
    "densenet121": (3, 64, 64),
    "efficientnet_b1": (3, 64, 64),
    "googlenet": (3, 64, 64),
    "lenet5": (1, 32, 32),
    "mnasnet0_5": (3, 64, 64),
    "mobilenet_v2": (3, 64, 64),
    "resnet18": (3, 64, 64),
    "resnext50_32x4d": (3, 64, 64),
    "shufflenet_v2_x0_5": (3, 64, 64),
    "squeezenet1_0": (3, 64, 64),
    "squeezenet1_1": (3, 67, 65),
    "squeezenet_cifar10": (3, 32, 32),
    "vgg11_bn": (3, 32, 32),
    "mc3_18": (3, 4, 16, 16),
    "inception_v3": (3, 96, 96),
}

FIXED = {"inception_v3": {"aux_logits": False}}  # its auxiliary head needs large images

SPECS = {
    "auxiliary": """
params: {classes: 5, width: 4}
inputs: {image: [3, 12, 12]}
blocks:
  unit: {params: {out: int}, body: [{conv: {out, kernel: 3, padding: 1}}, batch_norm, relu]}
  head:
    params: {classes: int}
    body: {pool: global_avg_pool, fc: {conv: {out: =classes, kernel: 1}}, flat: flatten}
body:
  stem: {unit: =width}
  stage:
    - repeat: {each: [4, 6], as: out}
      unit: {out}
    - unit: 8
  side: {body: {a: {unit: 4}, b: {repeat: 2, inline: {"c{i}": {unit: 4}}}, head: {head: {classes}}}}
  deep: {from: stage, unit: 8}
  heads:
    body:
      main: {head: {classes}}
      extra: {from: deep, head: {classes}}
  last: {from: deep, max_pool: 2}
outputs:
  early: {from: side, only: training}
  logits: heads.main
  extra: {from: heads.extra, only: training}
  features: last
""",
    "loops": """
params: {depths: [2, 0, 3], widths: [4, 6, 8], growth: 3, classes: 4}
let: {total: =sum(depths)}
inputs: {image: [3, 16, 16]}
blocks:
  dense:
    params: {growth: int, n: 2}
    body:
      - repeat: =n
        inline:
          - concat:
              - {"new{i}": {conv: {out: =growth, kernel: 3, padding: 1}}, "act{i}": relu}
              - {"old{i}": identity}
  res:
    params: {out: int, drop: 0.0}
    let: {project: =out != input.channels}
    body:
      a: {conv: {out, kernel: 3, padding: 1}}
      b: relu
      skip: {from: input, when: =project, conv: {out, kernel: 1}}
      sum: {add: [b, skip]}
      drop: {dropout: =drop, when: =drop > 0}
body:
  - conv: {out: 4, kernel: 3, padding: 1}
  - repeat: {each: =depths, as: depth, index: s}
    inline:
      - {max_pool: 2, when: =s > 0}
      - repeat: =depth
        res: {out: "=widths[s]", drop: =0.1 * i}
      - {batch_norm, when: =s == len(depths) - 1}
  - relu
  - dense: {growth}
  - dense: {growth: 2, n: 3}
  - body:
      - repeat: 3
        inline:
          - conv: {out: 4, kernel: 1}
          - relu
      - {repeat: =total, body: [{linear: {out: 4, per_position: true}}, tanh]}
  - global_avg_pool
  - flatten
  - linear: =classes
""",
    "numbered": """
inputs: {image: [4, 10, 10]}
blocks:
  unit:
    params: {kernel: int, out: int}
    body:
      - {conv: {out, kernel, padding: =kernel // 2}, when: =kernel > 1}
      - {batch_norm, when: =out != input.channels}
      - relu
      - inline: [{conv: {out, kernel: 1}}, {batch_norm, when: =kernel > 1}]
        when: =out > 4
      - concat:
          - input
          - {p: {conv: {out: 2, kernel: 1}}}
          - {q: {inline: [{conv: {out: 3, kernel: 1}}, relu]}}
      - conv: {out, kernel: 1}
body:
  - repeat: {each: [[1, 4], [3, 6], [1, 6], [3, 8]], as: [kernel, out]}
    unit: {kernel, out}
  - inline: [{conv: {out: 4, kernel: 1}}, relu]
  - concat:
      - {a: {inline: [{conv: {out: 4, kernel: 1}}]}}
      - {b: {body: [relu, {conv: {out: 2, kernel: 1}}]}}
  - conv: {out: 3, kernel: 1}
""",
    "names": """
params: {def_: 4, x: 3, name: 2, layers: 2, keras: 5, l: 1, inputs: 2, y: 1}
inputs: {image: [3, 9, 9]}
blocks:
  conv_block:
    params: {x: int, name: 1, inputs: 1}
    body: {x: {conv: {out: =x * name * inputs, kernel: 1}}, name: relu}
  Fire:
    params: {np: int}
    body: {x: {conv: {out: =np, kernel: 1}}, squeeze: relu, y: {concat: [x, squeeze, input]}}
  max_pool2: {body: [{max_pool: 2}]}
  keras: {params: {ops: 2}, body: [{conv: {out: =ops, kernel: 1}}]}
body:
  add: {conv_block: {x}}
  matmul: {conv: {out: =def_, kernel: 1}}
  reshape_1: relu
  pad: {Fire: 3}
  add_2: {Fire: {np: =layers}}
  "1": {max_pool2}
  2x: {conv_block: {x: =keras, name, inputs}}
  keras: keras
  _hidden: {conv: {out: =def_, kernel: 1, groups: =l}}
  rows:
    repeat: {each: [[1, 2], [2, 3]], as: [max_pool, load_file]}
    inline: {"mean_{max_pool}": {conv: {out: =load_file * y, kernel: 1}}}
  mixed:
    repeat: {each: [add, take, added], as: word}
    inline: {"{word}_9": {conv: {out: 4, kernel: 1}}}
  print: {conv: {out: 4, kernel: 1}}
  "s{'a' if layers > 1 else 'b'}": relu
""",
    "shared": """
inputs: {a: [3, 8, 8], b: [3, 8, 8]}
blocks:
  enc: {params: {out: 4}, body: [{conv: {out, kernel: 3, padding: 1}}, batch_norm, relu]}
body:
  ref: {from: a, conv: {out: 4, kernel: 1}}
  tower:
    from: a
    body:
      c: {conv: {out: 4, kernel: 1}}
      p: {parameter: {shape: [4, 8, 8], init: {normal: {std: 1.0}}}}
      d: {add: [c, p, ref]}
      e: relu
  again: {from: b, share: tower}
  inside: {from: tower.c, sigmoid}
  blk: {from: again, enc}
  blk2: {from: tower, share: blk}
  blk3: {from: inside, share: blk}
  op: {conv: {out: 4, kernel: 3, padding: 1}}
  op2: {share: op}
  sum: {add: [blk, blk2, op2]}
  seq: [{conv: {out: 4, kernel: 1}}, {share: op}, {conv: {out: 5, kernel: 1}}]
  scale: {parameter: {shape: [5, 1, 1], init: ones}}
  m: {mul: [seq, scale]}
  flat: {from: m, flatten}
  out: {linear: 3}
outputs: {out: out, m: m}
""",
    "unet": """
params: {base: 4, classes: 2}
inputs: {image: [3, 24, 16]}
blocks:
  double:
    params: {out: int}
    body: [{conv: {out, kernel: 3, padding: 1, bias: false}}, batch_norm, relu]
body:
  down:
    repeat: {times: 3, index: d}
    inline:
      enc{d}: {double: =base * 2 ** d}
      pool{d}: {max_pool: 2}
  mid: {double: =base * 8}
  up:
    repeat: {times: 3, index: u}
    inline:
      up{u}: {conv_transpose: {out: =base * 2 ** (2 - u), kernel: 2, stride: 2}}
      cat{u}: {concat: ["enc{2 - u}", "up{u}"]}
      dec{u}: {double: =base * 2 ** (2 - u)}
  head: {conv: {out: =classes, kernel: 1}}
""",
    "kinds": """
params: {act: {type: kind, default: silu}, gate: {type: kind, default: hard_sigmoid}}
inputs: {image: [4, 8, 8]}
blocks:
  unit:
    params: {act: {type: kind, default: relu}}
    body: [{conv: {out: 4, kernel: 1}}, =act]
  small: {body: {c: {conv: {out: 4, kernel: 1}}, r: {add: [c, input]}}}
body:
  features:
    - unit
    - unit: {act}
    - {repeat: {each: [relu6, small, abs], as: k}, unit: {act: =k}}
    - {repeat: {each: [relu, gelu], as: k}, inline: [=k, {conv: {out: 4, kernel: 1}}]}
  mid:
    body:
      a: =gate
      b: {from: a, conv: {out: 4, kernel: 1}}
      c: {from: a, repeat: 3, inline: {"z{i}": {conv: {out: 4, kernel: 1}}}}
      d: {mul: [b, c]}
""",
}

SPECS["dashes"] = """
inputs: {image: [2, 5, 5]}
blocks:
  unit: {body: {a--table: {conv: {out: 2, kernel: 1}}, b--: {batch_norm}, c-: relu}}
body:
  a-b-: {parameter: {shape: [2, 1, 1], init: ones}}
  a--b: {mul: [a-b-, input]}
  x--table: {conv: {out: 2, kernel: 1}}
  y--: {conv: {out: 2, kernel: 1, groups: 2}}
  z-: {conv_transpose: {out: 2, kernel: 3, groups: 2}}
  pad--whole: {conv_transpose: {out: 2, kernel: 3, dilation: 2}}
  deep-er: {body: {all: {repeat: 2, inline: {"c-{i}": {conv: {out: 2, kernel: 1}}}}}}
  of-: unit
  flat: flatten
  end-: {linear: 3}
"""
SPECS["computed"] = """
params: {kernel: 3, stride: 1, groups: 1, same: false, out: 8, window: 3}
let: {pad: "='same' if same else kernel // 2"}
inputs: {image: [4, 24, 24]}
blocks:
  unit:
    params: {kernel: int, groups: 1, stride: 1}
    body: [{conv: {out: 4, kernel, stride, groups, padding: =kernel // 2}}, relu]
body:
  - unit: {kernel}
  - unit: {kernel: 1, groups, stride}
  - conv: {out, kernel, padding: =pad, stride, groups}
  - conv: {out, kernel: 3, padding: "=0 if same else 'same'"}
  - conv: {out, kernel: [3, 5], padding: [[1, 2], [0, 3]], stride: [1, 2], bias: false}
  - {max_pool: {kernel: 3, stride: 2, padding: 1}, repeat: 1}
  - {max_pool: {kernel: 2, stride: 1, ceil_mode: true}}
  - {avg_pool: {kernel: 3, stride: 1, padding: 1}}
  - {max_pool: {kernel: 3, stride: 1, padding: 1, ceil_mode: true}}
  - conv: {out: 2, kernel: 1}
  - resize: 3
  - avg_pool: =window
  - flatten
"""

for _name in ("blocks_in_tables", "earlier_copies", "kinds_as_values"):
    _text = (Path(__file__).parent / "specs" / f"{_name}.yaml").read_text()
    SPECS[_name] = _text.partition(f"name: {_name}\n")[2]

# Source made with the defaults serves other parameters, as far as `build_model` takes them.
VARIED: dict[str, tuple[str, dict[str, Any], tuple[int, ...] | None]] = {
    "resnet-varied": ("resnet50", {"layers": [1, 2, 1, 1], "num_classes": 7}, (3, 64, 64)),
    "densenet-varied": ("densenet121", {"depths": [2, 1, 3], "growth": 5, "stem": 6}, (3, 64, 64)),
    "mobilenet-varied": ("mobilenet_v2", {"width": 0.35, "num_classes": 3}, (3, 64, 64)),
    "loops-varied": ("loops", {"depths": [1, 0, 4, 2], "widths": [3, 5, 7, 4], "growth": 1}, None),
    "unet-varied": ("unet", {"base": 3, "classes": 5}, None),
    "computed-depthwise": ("computed", {"kernel": 1, "groups": 4, "same": True, "window": 1}, None),
    "computed-strides": ("computed", {"kernel": 5, "groups": 2, "stride": 2, "out": 6}, None),
    "auxiliary-varied": ("auxiliary", {"classes": 2, "width": 6}, None),
}

CHILD = """
import json, pathlib, runpy, sys, traceback
import numpy as np
import keras

keras.config.set_floatx("float64")
folder = pathlib.Path(sys.argv[1])


def names(model):
    for layer in model.layers:
        yield from names(layer) if isinstance(layer, keras.Model) else [layer.name]


def examine(path, job):
    scope = runpy.run_path(str(path))
    options = {job["spelt"].get(k, k): v for k, v in job["params"].items()}
    given = np.load(path.with_suffix(".npz"))
    arrays = {}
    for aux in (False, True) if job["aux"] else (False,):
        heads = {"aux": aux} if job["aux"] else {}
        model = scope["build_model"](**options, **heads)
        scope["load_weights"](model, str(path.with_suffix(".safetensors")))
        inputs = [np.moveaxis(given[x.name], 1, -1) for x in model.inputs]
        outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        for index, y in enumerate(outputs):
            arrays[f"{aux}-{index}"] = np.moveaxis(np.asarray(y), -1, 1)
        scope["save_weights"](model, str(path.with_suffix(".saved")))
        refusal = "none"
        try:
            scope["load_weights"](model, str(path.with_suffix(".more")))
        except ValueError as error:
            refusal = str(error)
    np.savez(path.with_suffix(".out.npz"), **arrays)
    return {
        "layers": list(names(model)),
        "params": int(sum(np.prod(v.shape) for v in model.trainable_variables)),
        "refusal": refusal,
    }


found = {}
for name, job in json.loads((folder / "jobs.json").read_text()).items():
    try:
        keras.backend.clear_session()
        found[name] = examine(folder / f"{name}.py", job)
    except Exception:
        found[name] = {"failure": traceback.format_exc(limit=-6)}
found["alone"] = not any(name.split(".")[0] == "netspec" for name in sys.modules)
(folder / "found.json").write_text(json.dumps(found))
"""


@dataclass
class Job:
    """A graph, and the graph whose source is to build it."""

    graph: Graph
    text: str
    params: dict[str, Any] = field(default_factory=dict)


def load(name: str, folder: Path, shape: tuple[int, ...] | None = None, **params: Any) -> Graph:
    if name not in SPECS and shape:
        return netspec.load(name, inputs={netspec.load(name).inputs[0].name: shape}, **params)
    path = folder / f"{name}.yaml"
    path.write_text(f"netspec: 1\nname: {name}\n{SPECS[name]}")
    return netspec.load(path, **params)


def jobs(folder: Path) -> dict[str, Job]:
    found = {}
    for name, shape in [*ZOO.items(), *((name, None) for name in SPECS)]:
        graph = load(name, folder, shape, **FIXED.get(name, {}))
        found[name] = Job(graph, source(graph))
    for key, (name, params, shape) in VARIED.items():
        found[key] = Job(
            load(name, folder, shape, **params), source(load(name, folder, shape)), params
        )
    return found


@dataclass
class Results:
    """What the child found, by name."""

    jobs: dict[str, Job]
    child: dict[str, Any]
    errors: dict[str, float]
    folder: Path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("keras_source")
    made, truths, described = jobs(folder), {}, {}
    for name, job in made.items():
        path = folder / f"{name}.py"
        path.write_text(rounded(job.text))
        weights = probe_weights(job.graph, 0)
        inputs = probe_inputs(job.graph, 1, 2)
        save_file(weights, path.with_suffix(".safetensors"))
        save_file({**weights, "not_there.weight": np.ones(3)}, path.with_suffix(".more"))
        arrays: dict[str, Any] = inputs
        np.savez(path.with_suffix(".npz"), **arrays)
        truths[name] = truth(job.graph, weights, inputs)
        described[name] = {
            "params": job.params,
            "spelt": {"layers": "layers_"},
            "aux": len(job.graph.outputs) > len(job.graph.inference_outputs),
        }
    (folder / "jobs.json").write_text(json.dumps(described))
    script = folder / "child_process.py"
    script.write_text(CHILD)
    process = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    errors = {
        name: error(expected, folder / f"{name}.out.npz") for name, expected in truths.items()
    }
    return Results(made, json.loads((folder / "found.json").read_text()), errors, folder)


def rounded(text: str) -> str:
    """Source with epsilons as the reference has them, which rounds attributes to float32."""
    return re.sub(r"(?<=epsilon=)[\d.e-]+", lambda found: repr(float(np.float32(found[0]))), text)


def truth(graph: Graph, weights: Any, inputs: Any) -> dict[str, Any]:
    """The reference's outputs without and with those for training, numbered in order."""
    values = {v: inputs[v.name].astype(np.float64) for v in graph.inputs}
    found = evaluate(graph.nodes, weights, values, wanted=[o.value for o in graph.outputs])
    both = {False: graph.inference_outputs, True: graph.outputs}
    if both[True] == both[False]:
        del both[True]
    return {f"{aux}-{i}": found[o.value] for aux, os in both.items() for i, o in enumerate(os)}


def error(expected: dict[str, Any], path: Path) -> float:
    """The largest difference, relative to the largest value of its output."""
    if not path.exists():
        return float("inf")
    given = np.load(path)
    assert set(given) == set(expected)
    assert all(given[key].shape == y.shape for key, y in expected.items())
    return max(float(np.abs(given[key] - y).max() / np.abs(y).max()) for key, y in expected.items())


EVERY = [*ZOO, *SPECS, *VARIED]


@pytest.mark.parametrize("name", EVERY)
def test_computes_the_reference(name: str, results: Results) -> None:
    assert "failure" not in results.child[name], results.child[name]["failure"]
    kinds = {node.op.kind for node in results.jobs[name].graph.nodes}
    rounds = kinds & {"local_response_norm", "hard_sigmoid", "leaky_relu"}
    assert results.errors[name] <= (ROUNDED if rounds else EXACT)


@pytest.mark.parametrize("name", EVERY)
def test_layers_bear_the_paths_and_hold_the_parameters(name: str, results: Results) -> None:
    graph, found = results.jobs[name].graph, results.child[name]
    paths = {node.path.replace(".", "-") for node in graph.nodes if not node.shared}
    # Two dashes follow a name that Keras could give to an operation.
    assert paths <= {layer.removesuffix("--") for layer in found["layers"]}
    assert len(found["layers"]) == len(set(found["layers"]))
    assert found["params"] == graph.param_count


@pytest.mark.parametrize("name", EVERY)
def test_a_superfluous_key_is_refused(name: str, results: Results) -> None:
    assert "not_there.weight belongs to no layer" in results.child[name]["refusal"]


@pytest.mark.parametrize("name", EVERY)
def test_saved_weights_are_those_that_were_loaded(name: str, results: Results) -> None:
    """Under the same keys, in float64; what counted batches in torch starts again."""
    given = probe_weights(results.jobs[name].graph, 0)
    saved = load_file(results.folder / f"{name}.saved")
    assert saved.keys() == given.keys()
    for key, tensor in saved.items():
        counter = key.endswith(".num_batches_tracked")
        assert tensor.dtype == (np.int64 if counter else np.float64)
        np.testing.assert_array_equal(tensor, 0 if counter else given[key])


def test_torch_loads_what_keras_saved(results: Results, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(netspec.source("resnet18", backend="torch"))
    script = "import net, sys; net.load_weights(net.build_model(), sys.argv[1])"
    command = [sys.executable, "-c", script, str(results.folder / "resnet18.saved")]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_the_files_run_alone(results: Results) -> None:
    assert results.child["alone"] is True


def test_generated_source_is_clean(results: Results, tmp_path: Path) -> None:
    for name, job in results.jobs.items():
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(job.text)
    for command in (["check"], ["format", "--check", "--line-length", "100"]):
        full = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)]
        process = subprocess.run(full, capture_output=True, text=True)
        assert process.returncode == 0, process.stdout


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


def test_what_decides_keys_with_dashes_is_no_argument(tmp_path: Path) -> None:
    """The file lists such keys: other copies would be saved under keys that torch does not have."""
    SPECS["counted"] = """
params: {n: 2, m: 2, width: 4}
inputs: {image: [3, 8, 8]}
blocks:
  inner: {params: {m: int}, body: [{repeat: =m, conv: {out: 4, kernel: 1}}]}
  outer: {params: {m: int}, body: {of-a: {inner: {m}}}}
body:
  free{i}: {repeat: =m, conv: {out: =width, kernel: 1}}
  unit-{i}: {repeat: =n, conv: {out: =width, kernel: 1}}
  end: {outer: {m: 2}}
"""
    free = source(load("counted", tmp_path))
    assert "def build_model(m: int = 2, width: int = 4) ->" in free
    SPECS["counted"] = SPECS["counted"].replace("m: 2}}\n", "m: =n + m}}\n")
    assert "def build_model(width: int = 4) ->" in source(load("counted", tmp_path))
