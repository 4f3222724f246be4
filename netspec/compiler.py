"""From a spec to source, and from source to a live model: the backends, found by entry point."""

from __future__ import annotations

import linecache
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from netspec.graph import Graph
from netspec.load import load
from netspec.zoo import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.generic]]
    WeightsLike = Mapping[str, Any] | str | os.PathLike[str]

GROUP = "netspec.backends"


class SourceBackend(Protocol):
    """What an entry point of the group `netspec.backends` names, for a backend that writes source.

    The text that `source` gives has `build_model(**params)` and `load_weights(model, path)`.
    """

    def source(self, graph: Graph) -> str: ...


def backend_names() -> tuple[str, ...]:
    """The installed backends."""
    from importlib.metadata import entry_points

    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def backend(name: str) -> Any:
    """The backend of a name.

    Raises:
        UsageError: there is none.
    """
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=name):
        return point.load()
    raise UsageError(f"no backend {name!r}", f"there are {', '.join(backend_names())}")


def source_backend(name: str) -> SourceBackend:
    """The backend of a name, if it writes source.

    Raises:
        UsageError: there is none, or it writes no source.
    """
    found: SourceBackend = backend(name)
    if not hasattr(found, "source"):
        raise UsageError(f"backend {name!r} writes files, not source")
    return found


def source(
    spec: str | os.PathLike[str],
    /,
    *,
    backend: str,
    inputs: Mapping[str, Sequence[int]] | None = None,
    **params: Any,
) -> str:
    """The standalone source of a spec for a backend.

    Raises:
        SpecError: the spec has mistakes.
        UsageError: there is no such spec, parameter, input or backend.
        NotLowered: an op has no lowering in this backend.
    """
    writer = source_backend(backend)
    return writer.source(load(spec, inputs=inputs, **params))


def weights_for(graph: Graph, seed: int = 0, weights: WeightsLike | None = None) -> Weights:
    """Tensors by checkpoint key, in torch's layout: the given ones, or fresh ones by `seed`.

    `weights` is a mapping of arrays, a `.safetensors` file or a torch state dict (`.pt`, `.pth`).

    Raises:
        ValueError: keys or shapes are not the graph's.
        OSError: the file cannot be read.
    """
    if weights is None:
        from netspec.initial import initial_weights

        return initial_weights(graph, seed)
    from netspec.exports.weights import read_weights

    return read_weights(graph, weights)


def build(
    spec: str | os.PathLike[str],
    /,
    *,
    backend: str,
    seed: int = 0,
    weights: WeightsLike | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    **params: Any,
) -> Any:
    """A live `torch.nn.Module` or `keras.Model`: the generated source, executed.

    Raises:
        SpecError: the spec has mistakes.
        UsageError: there is no such spec, parameter, input or backend.
        ValueError: the weights are another network's.
        NotLowered: an op has no lowering in this backend.
    """
    writer = source_backend(backend)
    graph = load(spec, inputs=inputs, **params)
    tensors = weights_for(graph, seed, weights)
    text = writer.source(graph)
    try:
        module = execute(text, f"{graph.name}_{backend}")
    except ModuleNotFoundError as error:
        extra = f"pip install 'netspec-compiler[{backend}]'"
        raise ModuleNotFoundError(f"{error}: {extra}", name=error.name) from None
    model = module.build_model()
    with tempfile.TemporaryDirectory(prefix="netspec-") as folder:
        path = str(Path(folder, "weights.safetensors"))
        save_weights(tensors, path)
        module.load_weights(model, path)
    return model


def save_weights(tensors: Weights, path: str) -> None:
    """Write tensors as a safetensors file.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(tensors, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from None
    # safetensors makes files that only their owner can read, whatever the umask.
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)


def execute(text: str, name: str) -> ModuleType:
    """Run generated source as a module; tracebacks show its lines."""
    filename = f"<netspec {name}>"
    module = ModuleType(f"netspec_generated_{len(sys.modules)}_{name}")
    module.__file__ = filename
    lines = text.splitlines(keepends=True)
    linecache.cache[filename] = (len(text), None, lines, filename)
    # Pickling, dataclasses and torch.compile look a class's module up by its name.
    sys.modules[module.__name__] = module
    exec(compile(text, filename, "exec"), module.__dict__)
    return module
