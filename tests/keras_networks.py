"""Networks whose generated Keras source is measured: of the zoo, and some that ask for more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netspec
from netspec.backends.keras.generate import source
from netspec.graph import Graph

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

EVERY = [*ZOO, *SPECS, *VARIED]


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
