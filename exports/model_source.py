"""Load generated source and give it its weights, in a worker."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def load_model(source: str, weights: str) -> Any:
    """The model that the source file builds, with the weights of a safetensors file."""
    module = _module(Path(source))
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


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"netspec_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
