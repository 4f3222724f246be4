"""Every Keras lowering computes its op's reference, on every case, in float64.

TensorFlow lives in child processes: one builds the models of all cases from the lowerings' text,
loads weights into them and saves them; a second one loads the saved models with nothing else
imported. What they find is judged here, case by case.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec.ops  # noqa: F401  (defines the ops)
from netspec.backends.keras.layer import Join, lowering
from netspec.backends.keras.snippet_text import SNIPPETS, snippet_text
from netspec.ops.base import REQUIRED, Case, Op, f32
from netspec.types import TensorType

BATCH = 2
TOLERANCE = 1e-12  # of the largest output, in float64
PRELUDE = "import keras\nfrom keras import initializers, layers, ops\n"


@dataclass
class FakeSite:
    """An op's place in source whose attributes are all known, or all names in scope."""

    op: Op
    given: dict[str, Any]
    types: tuple[TensorType, ...]
    names: bool

    @property
    def kind(self) -> str:
        return self.op.kind

    @property
    def rank(self) -> int:
        return self.types[0].rank if self.types else 0

    @property
    def channels(self) -> str:
        return "x.shape[-1]"

    @property
    def input(self) -> TensorType | None:
        return None if self.names or not self.types else self.types[0]

    def _named(self, attribute: str) -> bool:
        return (
            self.names and attribute in self.given and self.op.attributes[attribute].type != "Init"
        )

    def code(self, attribute: str) -> str:
        if self._named(attribute):
            return f"the_{attribute}"
        return repr(_shrunk(getattr(self.op, attribute)))

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


def build(kind: str, case: Case, names: bool) -> tuple[Op, Any]:
    """The op and its Keras model, made by executing the lowering's text as generated source."""
    import keras

    given = {name: _rounded(value) for name, value in case.attributes.items()}
    types = tuple(TensorType(shape) for shape in case.shapes)
    defaults = {name: _rounded(a.default) for name, a in Op.registry[kind].attributes.items()}
    op = Op.registry[kind]({n: d for n, d in defaults.items() if d is not REQUIRED} | given, types)
    lowered = lowering(kind)(FakeSite(op, given, types, names))
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
    result = np.asarray(keras_call(model, fed))
    expected = np.broadcast_to(expected, (BATCH, *expected.shape[1:]))
    if not names:
        model.save(folder / f"{key}.keras")
        np.savez(folder / f"{key}.npz", *fed, result=result)
    return {"error": relative_error(result, expected), "dtype": str(result.dtype)}


def keras_call(model: Any, inputs: list[np.ndarray]) -> Any:
    import keras

    return keras.ops.convert_to_numpy(model(inputs if len(inputs) > 1 else inputs[0]))


def relative_error(result: np.ndarray, expected: np.ndarray) -> float:
    if result.shape != expected.shape:
        raise AssertionError(f"shape {result.shape} instead of {expected.shape}")
    return float(np.max(np.abs(result - expected)) / max(np.max(np.abs(expected)), 1e-300))


def examine_all(folder: Path) -> dict[str, Any]:
    import keras

    keras.config.set_floatx("float64")
    scope: dict[str, Any] = {}
    imports, text = snippet_text(["load_weights"])
    exec("\n".join([*sorted(imports), text]), scope)
    found = {}
    for key in CASES:
        try:
            found[key] = examine(key, folder, scope["load_weights"])
        except Exception:
            found[key] = {"failure": traceback.format_exc(limit=-4)}
    return found


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


if __name__ == "__main__":
    print(json.dumps(examine_all(Path(sys.argv[1]))))
