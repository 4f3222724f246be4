"""Every Keras lowering computes its op's reference, on every case, in float64.

Beside values: initial weights have the deviations of torch's fans, and weight files must fit.

TensorFlow lives in child processes: one builds the models of all cases from the lowerings' text,
loads weights into them and saves them; a second one loads the saved models with nothing else
imported. What they find is judged here, case by case.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec.ops  # noqa: F401  (defines the ops)
from netspec.backends.keras.layer import Join, Layer, layer_name, lowering
from netspec.backends.keras.snippet_text import SNIPPETS, snippet_text
from netspec.backends.keras.weights import NORMS, OTHERS, STATISTICS, WEIGHTS
from netspec.backends.lowering import NotLowered
from netspec.ops.base import REQUIRED, Case, Op, case, f32
from netspec.types import TensorType

BATCH = 2
TOLERANCE = 1e-12  # of the largest output, in float64
PRELUDE = "import math\nimport keras\nfrom keras import initializers, layers, ops\n"


@dataclass
class FakeSite:
    """An op's place in source whose attributes are all known, or all names in scope."""

    op: Op
    given: dict[str, Any]
    names: bool
    kind: str
    rank: int
    channels: str
    input: TensorType | None
    operands: list[tuple[TensorType, ...]]

    @staticmethod
    def of(op: Op, given: dict[str, Any], types: tuple[TensorType, ...], names: bool) -> FakeSite:
        rank = types[0].rank if types else 0
        known = types[0] if types and not names else None
        channels = str(known.channels) if known else "x.shape[-1]"
        return FakeSite(op, given, names, op.kind, rank, channels, known, [types])

    def _named(self, attribute: str) -> bool:
        return (
            self.names and attribute in self.given and self.op.attributes[attribute].type != "Init"
        )

    def code(self, attribute: str) -> str:
        if self._named(attribute):
            return f"the_{attribute}"
        return repr(_shrunk(getattr(self.op, attribute)))

    def one_number(self, attribute: str) -> bool:
        return isinstance(_shrunk(getattr(self.op, attribute)), int | float)

    def values(self, attribute: str) -> list[Any]:
        return [] if self.names else [getattr(self.op, attribute)]

    def known(self, attribute: str) -> Any:
        return None if self._named(attribute) else getattr(self.op, attribute)

    def is_default(self, attribute: str) -> bool:
        default = self.op.attributes[attribute].default
        return attribute not in self.given and default == _rounded(default)


def _shrunk(value: Any) -> Any:
    if isinstance(value, tuple) and value and all(entry == value[0] for entry in value):
        first = value[0]
        if isinstance(first, int):
            return first
        if isinstance(first, tuple) and first[0] == first[1]:
            return first[0]
    return value


def _rounded(value: Any) -> Any:
    """The value with floats as float32 has them, which is what references compute with."""
    if isinstance(value, float):
        return f32(value)
    return [_rounded(entry) for entry in value] if isinstance(value, list) else value


CASES = {
    f"{kind}-{i}-{mode}": (kind, case, mode == "names")
    for kind, op in Op.registry.items()
    for i, case in enumerate(op.cases)
    for mode in ("known", "names")
}


# Initialisers whose deviation follows from (fan_in, fan_out), which are those of torch's weight.
DEVIATIONS: dict[str, tuple[Any, Callable[[int, int], float]]] = {
    "fan_in_uniform": ({"fan_in_uniform": {}}, lambda i, o: math.sqrt(1 / (3 * i))),
    "kaiming_normal_in": ({"kaiming_normal": {}}, lambda i, o: math.sqrt(2 / i)),
    "kaiming_normal_out": ({"kaiming_normal": {"mode": "fan_out"}}, lambda i, o: math.sqrt(2 / o)),
    "kaiming_uniform_in": ({"kaiming_uniform": {}}, lambda i, o: math.sqrt(2 / i)),
    "kaiming_uniform_out": ({"kaiming_uniform": {"mode": "fan_out"}}, lambda i, o: (2 / o) ** 0.5),
    "xavier_normal": ({"xavier_normal": {}}, lambda i, o: math.sqrt(2 / (i + o))),
    "xavier_uniform": ({"xavier_uniform": {}}, lambda i, o: math.sqrt(2 / (i + o))),
    "variance_scaling": (
        {"variance_scaling": {"scale": 3.0, "mode": "fan_avg"}},
        lambda i, o: math.sqrt(6 / (i + o)),
    ),
    "normal": ({"normal": {"std": 0.3}}, lambda i, o: 0.3),
    "uniform": ({"uniform": {"low": -0.3, "high": 0.3}}, lambda i, o: 0.3 / math.sqrt(3)),
    # Cut at two deviations, .8796 of the deviation is left; at a hundred, all.
    "truncated": ({"truncated_normal": {"std": 0.1, "low": -0.2, "high": 0.2}}, lambda i, o: 0.088),
    "hardly_truncated": (
        {"truncated_normal": {"std": 0.02, "low": -2, "high": 2}},
        lambda i, o: 0.02,
    ),
    # Half of a normal distribution has sqrt(1 - 2 / pi) of its deviation.
    "half": (
        {"truncated_normal": {"std": 0.5, "low": 0, "high": 50}},
        lambda i, o: 0.5 * math.sqrt(1 - 2 / math.pi),
    ),
}
# Ops with many weights, and their fans: the weight's second and first axis times the window.
LAYERS: dict[str, tuple[str, Case, tuple[int, int]]] = {
    "conv": ("conv", case((32, 4, 4), out=64, kernel=3), (32 * 9, 64 * 9)),
    "grouped": ("conv", case((32, 4, 4), out=128, kernel=3, groups=4), (8 * 9, 128 * 9)),
    "depthwise": ("conv", case((256, 7, 7), out=512, kernel=5, groups=256), (25, 512 * 25)),
    "linear": ("linear", case((100,), out=80), (100, 80)),
    "transposed": ("conv_transpose", case((32, 4, 4), out=64, kernel=3), (64 * 9, 32 * 9)),
    "transposed_groups": (
        "conv_transpose",
        case((64, 4, 4), out=128, kernel=3, groups=4),
        (32 * 9, 64 * 9),
    ),
}
INITIALISATIONS = [f"{layer}-{init}" for layer in LAYERS for init in DEVIATIONS]


def build(kind: str, case: Case, names: bool) -> tuple[Op, Any]:
    """The op and its Keras model, made by executing the lowering's text as generated source."""
    import keras

    given = {name: _rounded(value) for name, value in case.attributes.items()}
    types = tuple(TensorType(shape) for shape in case.shapes)
    defaults = {name: _rounded(a.default) for name, a in Op.registry[kind].attributes.items()}
    op = Op.registry[kind]({n: d for n, d in defaults.items() if d is not REQUIRED} | given, types)
    lowered = lowering(kind)(FakeSite.of(op, given, types, names))
    helpers = () if isinstance(lowered, Join) else lowered.helpers
    imports, text = snippet_text(helpers)
    shapes = case.shapes or ((3, 4, 4),)  # a value without inputs needs a batch to stand in
    inputs = [keras.Input((*s[1:], s[0]), name=f"input{i}") for i, s in enumerate(shapes)]
    scope = {f"x{i}": x for i, x in enumerate(inputs)} | {f"the_{k}": v for k, v in given.items()}
    exec("\n".join([PRELUDE, *sorted(imports), text]), scope)
    xs = [f"x{i}" for i in range(len(inputs))]
    name = "f'{prefix}-a'"
    scope["prefix"] = "block"
    code = lowered.render(xs, name) if isinstance(lowered, Join) else lowered.render(xs[0], name)
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], eval(code, scope))
    assert model.layers[-1].name == "block-a"
    return op, model


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if x.ndim > 1 else x


def inputs_and_weights(op: Op, case: Case) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    types = tuple(TensorType(shape) for shape in case.shapes)
    inputs = [3 * random.normal(size=(BATCH, *shape)) for shape in case.shapes]
    weights = {}
    for param in op.params(*types):
        value = random.normal(size=param.shape)
        weights[param.name] = np.abs(value) + 0.01 if param.name == "running_var" else value
    return inputs, weights


def examine(key: str, folder: Path, load_weights: Any) -> dict[str, Any]:
    """Relative error of a case's model, after its weights came from a file; saves the model."""
    from safetensors.numpy import save_file

    kind, case, names = CASES[key]
    op, model = build(kind, case, names)
    inputs, weights = inputs_and_weights(op, case)
    stored = {
        f"block.a.{name}" if name else "block.a": np.ascontiguousarray(value)
        for name, value in weights.items()
    }
    save_file(stored, str(folder / f"{key}.safetensors"))
    load_weights(model, str(folder / f"{key}.safetensors"))
    counted = {name: value for name, value in weights.items() if name != "num_batches_tracked"}
    expected = channels_last(op.reference(*inputs, **counted))
    fed = inputs or [np.zeros((BATCH, 3, 4, 4))]
    fed = [channels_last(x) for x in fed]
    result = predictions(model, fed)
    expected = np.broadcast_to(expected, (BATCH, *expected.shape[1:]))
    if not names:
        model.save(folder / f"{key}.keras")
        np.savez(folder / f"{key}.npz", *fed, result=result)
    return {
        "error": relative_error(result, expected),
        "dtype": str(result.dtype),
        "anonymous": [op.name for op in model.operations if "-" not in op.name],
    }


def predictions(model: Any, inputs: list[np.ndarray]) -> np.ndarray:
    return np.asarray(model(inputs if len(inputs) > 1 else inputs[0]))


def relative_error(result: np.ndarray, expected: np.ndarray) -> float:
    if result.shape != expected.shape:
        raise AssertionError(f"shape {result.shape} instead of {expected.shape}")
    return float(np.max(np.abs(result - expected)) / max(np.max(np.abs(expected)), 1e-300))


def initialise(key: str) -> dict[str, float]:
    """Deviation of a fresh kernel, and the largest element of a bias that is initialised alike."""
    layer, _, name = key.partition("-")
    kind, plain, _ = LAYERS[layer]
    init = DEVIATIONS[name][0]
    attributes = plain.attributes | {"weight_init": init, "bias_init": init}
    _, model = build(kind, Case(plain.shapes, attributes), names=False)
    kernel, bias = model.get_weights()
    _, again = build(kind, Case(plain.shapes, attributes), names=False)
    return {
        "deviation": float(kernel.std()),
        "bias": float(np.abs(bias).max()),
        "differs": bool((kernel != again.get_weights()[0]).any()),
    }


def misfits(folder: Path, load_weights: Any) -> dict[str, str]:
    """What loading says of weight files that do not fit, and whether it assigned anything."""
    from safetensors.numpy import save_file

    _, model = build("conv", case((3, 4, 4), out=8, kernel=1), names=False)
    before = [array.copy() for array in model.get_weights()]
    weight, bias = np.ones((8, 3, 1, 1)), np.ones(8)
    files: dict[str, dict[str, np.ndarray]] = {
        "missing": {"block.a.weight": weight},
        "superfluous": {"block.a.weight": weight, "block.a.bias": bias, "b.weight": bias},
        "shape": {"block.a.weight": np.ones((3, 8, 1, 1)), "block.a.bias": bias},
    }
    found = {}
    for name, tensors in files.items():
        save_file(tensors, str(folder / "misfit"))
        try:
            load_weights(model, str(folder / "misfit"))
            found[name] = "loaded"
        except ValueError as error:
            found[name] = str(error)
    unchanged = all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    return found | {"unchanged": "yes" if unchanged else "no"}


def shared(folder: Path, load_weights: Any) -> float:
    """Error of a layer inside a model that is applied twice: its weights are loaded as well."""
    import keras
    from safetensors.numpy import save_file

    row = case((7,), out=7)
    op, inner = build("linear", row, names=False)
    (x,), weights = inputs_and_weights(op, row)
    outside = keras.Input((7,))
    model = keras.Model(outside, inner(inner(outside)))
    save_file({f"block.a.{k}": v for k, v in weights.items()}, str(folder / "shared"))
    load_weights(model, str(folder / "shared"))
    expected = op.reference(op.reference(x, **weights), **weights)
    return relative_error(predictions(model, [x]), expected)


def examine_all(folder: Path) -> dict[str, Any]:
    import keras

    keras.config.set_floatx("float64")
    scope: dict[str, Any] = {}
    general = "load_weights__any save_weights__any stored_weights__any to_torch__any"
    imports, text = snippet_text(general.split())
    names = WEIGHTS | NORMS | STATISTICS | OTHERS
    scope |= {"WEIGHTS": names, "TRAINING_ONLY": ()}
    exec("\n".join([*sorted(imports), text]), scope)
    found: dict[str, Any] = {
        "misfits": misfits(folder, scope["load_weights"]),
        "shared": shared(folder, scope["load_weights"]),
    }
    for key in CASES:
        try:
            found[key] = examine(key, folder, scope["load_weights"])
        except Exception:
            found[key] = {"failure": traceback.format_exc(limit=-4)}
    return found | {key: initialise(key) for key in INITIALISATIONS}


RELOAD = """
import json, pathlib, sys
import keras, numpy as np
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    try:
        data = dict(np.load(path.with_suffix(".npz")))
        result = data.pop("result")
        inputs = list(data.values())
        model = keras.saving.load_model(path)
        again = keras.ops.convert_to_numpy(model(inputs if len(inputs) > 1 else inputs[0]))
        found[path.stem] = bool(np.array_equal(again, result))
    except Exception as error:
        found[path.stem] = repr(error)
print(json.dumps(found))
"""


def child(*arguments: str) -> dict[str, Any]:
    """The JSON object that a fresh interpreter prints last."""
    process = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-4000:]
    result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keras")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return child(__file__, str(folder))


@pytest.fixture(scope="module")
def reloaded(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    return child("-c", RELOAD, str(folder))


@pytest.mark.parametrize("key", CASES)
def test_computes_the_reference(key: str, found: dict[str, Any]) -> None:
    result = found[key]
    assert "failure" not in result, result["failure"]
    assert result["dtype"] == "float64"
    assert result["error"] <= TOLERANCE


@pytest.mark.parametrize("key", [key for key in CASES if key.endswith("known")])
def test_a_saved_model_loads_in_a_fresh_process(key: str, reloaded: dict[str, Any]) -> None:
    assert reloaded[key] is True


@pytest.mark.parametrize("key", INITIALISATIONS)
def test_initial_weights_have_the_deviation_of_torch_fans(key: str, found: dict[str, Any]) -> None:
    layer, _, name = key.partition("-")
    expected = DEVIATIONS[name][1](*LAYERS[layer][2])
    assert found[key]["deviation"] == pytest.approx(expected, rel=0.05)
    assert found[key]["differs"], "two layers have the same initial weights"
    if name in ("fan_in_uniform", "kaiming_uniform_in", "kaiming_uniform_out", "xavier_uniform"):
        bound = math.sqrt(3) * expected
        assert 0.8 * bound < found[key]["bias"] <= bound * (1 + 1e-6)


def test_weight_files_that_do_not_fit_are_refused(found: dict[str, Any]) -> None:
    said = found["misfits"]
    assert "block.a.bias is missing" in said["missing"]
    assert "b.weight belongs to no layer" in said["superfluous"]
    assert "block.a.weight has shape (3, 8, 1, 1) instead of (8, 3, 1, 1)" in said["shape"]
    assert said["unchanged"] == "yes"


def test_weights_reach_a_shared_part(found: dict[str, Any]) -> None:
    assert found["shared"] <= TOLERANCE


@pytest.mark.parametrize("key", CASES)
def test_no_layer_takes_the_name_of_an_anonymous_operation(key: str, found: dict[str, Any]) -> None:
    for name in found[key]["anonymous"]:
        if not name.startswith("input"):
            assert layer_name(name) == f"{name}--"


def test_layers_are_named_by_path() -> None:
    assert layer_name("layer1.0.add") == "layer1-0-add"
    assert layer_name("additional") == "additional"


def test_every_op_is_lowered() -> None:
    for kind in Op.registry:
        assert callable(lowering(kind))
    with pytest.raises(NotLowered, match="no lowering for `warp`"):
        lowering("warp")


def test_stock_layers_are_written_plainly() -> None:
    attributes: dict[str, Any] = {"out": 8, "kernel": 3, "padding": 1, "bias": False}
    attributes["weight_init"] = {"kaiming_uniform": {"mode": "fan_in"}}
    types = (TensorType((3, 9, 9)),)
    site = FakeSite.of(Op.registry["conv"](attributes, types), attributes, types, names=False)
    layer = lowering("conv")(site)
    assert isinstance(layer, Layer)
    assert layer.render("relu(x)", "f'{name}-conv1'") == (
        'layers.Conv2D(8, 3, padding="same", use_bias=False, kernel_initializer="he_uniform", '
        "name=f'{name}-conv1')(relu(x))"
    )


def test_a_truncation_that_keras_lacks_has_a_snippet() -> None:
    attributes = {"out": 8, "weight_init": {"truncated_normal": {"std": 1, "low": -1, "high": 3}}}
    types = (TensorType((3,)),)
    site = FakeSite.of(Op.registry["linear"](attributes, types), attributes, types, names=False)
    layer = lowering("linear")(site)
    assert isinstance(layer, Layer)
    assert "CutNormal(1.0, -1.0, 3.0)" in layer.call
    assert "CutNormal" in layer.helpers


def test_snippets_bring_what_they_use() -> None:
    imports, text = snippet_text(["conv"])
    assert "def with_fans(" in text  # of another file
    assert "def group_conv(" not in text
    assert {"import math", "import keras", "from keras import layers"} <= imports
    assert "import numpy as np" not in imports
    with pytest.raises(KeyError):
        snippet_text(["no_such_snippet"])


def test_snippets_are_strictly_typed() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports"]
    command += map(str, SNIPPETS)
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


if __name__ == "__main__":
    print(json.dumps(examine_all(Path(sys.argv[1]))))
