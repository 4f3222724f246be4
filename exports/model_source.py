"""Load generated source and give it its weights, in a worker."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from netspec.ops.base import FLOAT32_MAX, f32


def load_model(source: str, weights: str, dtype: str = "float32") -> Any:
    """The model that the source file builds, with the weights of a safetensors file.

    For float64, every float in the source's text is first rounded to float32: attributes are, in
    ONNX and in the references, and a difference of 1e-8 in an epsilon would hide others. The
    framework is to be set to float64 before.
    """
    module = _module(Path(source), rounded=dtype == "float64")
    model = module.build_model()
    module.load_weights(model, weights)
    return model


def by_name(results: Any, names: Sequence[str]) -> dict[str, Any]:
    """What a model returned, under the spec's output names.

    A single tensor, a mapping by name, or a sequence in the spec's order.

    Raises:
        ValueError: there are not as many results as names.
    """
    if isinstance(results, Mapping):
        return {name: results[name] for name in names if name in results}
    if hasattr(results, "_fields"):  # a namedtuple: its fields may be renamed, its order is not
        results = tuple(results)
    values: Iterable[Any] = results if isinstance(results, (list, tuple)) else [results]
    return dict(zip(names, values, strict=True))


def round_attributes(layers: Iterable[Any]) -> None:
    """Round the floats that layers keep, such as a framework's own default of an epsilon."""
    for layer in layers:
        for name, value in list(vars(layer).items()):
            if type(value) is float:
                setattr(layer, name, _rounded(value))


def _module(path: Path, *, rounded: bool) -> ModuleType:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if rounded and isinstance(node, ast.Constant) and isinstance(node.value, float):
            node.value = _rounded(node.value)
    name = f"netspec_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(tree, str(path), "exec"), vars(module))
    return module


def _rounded(value: float) -> float:
    return f32(value) if abs(value) <= FLOAT32_MAX else value
