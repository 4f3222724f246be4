"""From a spec to source, and from source to a live model: the backends, found by entry point."""

from __future__ import annotations

import linecache
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from netspec import arguments
from netspec.arguments import Params, Shapes
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
    inputs: Shapes | None = None,
    params: Params | None = None,
    **named: Any,
) -> str:
    """The standalone source of a spec for a backend; other arguments are those of `netspec.load`.

    Raises:
        SpecError: the spec has mistakes.
        UsageError: there is no such spec, parameter, input or backend.
        TypeError: an argument is of the wrong type.
        NotLowered: an op has no lowering in this backend.
    """
    writer = source_backend(backend)
    return writer.source(load(spec, inputs=inputs, params=params, **named))


def weights_for(
    graph: Graph,
    seed: int | None = None,
    weights: WeightsLike | None = None,
    *,
    skip_mismatched: bool = False,
    skipped: Callable[[str], None] | None = None,
) -> Weights:
    """Tensors by checkpoint key, in torch's layout: the given ones, or fresh ones by `seed`.

    `weights` is a mapping of arrays, a `.safetensors` file or a torch state dict (`.pt`, `.pth`).
    With `skip_mismatched`, those of them that fit by key and shape, and fresh ones for the rest;
    `skipped` is told of each that is left or not used; without it a warning is given.

    Raises:
        TypeError: the seed is no whole number, or the weights are no mapping or path.
        ValueError: the seed is below 0 or would draw nothing, keys or shapes are not the graph's,
            or a weight is not finite.
        OSError: the file cannot be read.
    """
    if weights is not None and seed is not None and not skip_mismatched:
        raise ValueError("weights are given, so a seed would draw nothing: leave one out")
    if weights is None and skip_mismatched:
        raise ValueError("skip_mismatched goes with weights")
    seed = arguments.seed(0 if seed is None else seed)
    from netspec.initial import initial_weights

    if weights is None:
        return initial_weights(graph, seed)
    from netspec.exports.weights import read_fitting, read_weights

    if not skip_mismatched:
        return read_weights(graph, weights)
    found = read_fitting(graph, weights)
    for words, keys in (("left at its initial values", found.left), ("not used", found.unused)):
        for key in keys:
            (skipped or _warn)(f"{words}: {key}")
    return {**initial_weights(graph, seed), **found.tensors}


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)  # at the line that called `build` or `export`


def build(
    spec: str | os.PathLike[str],
    /,
    *,
    backend: str,
    seed: int | None = None,
    weights: WeightsLike | None = None,
    skip_mismatched: bool = False,
    inputs: Shapes | None = None,
    params: Params | None = None,
    **named: Any,
) -> Any:
    """A live `torch.nn.Module` or `keras.Model`: the generated source, executed.

    Without `weights` the spec's initialisers give them, by `seed` (0). With `skip_mismatched`, what
    fits of the weights is taken, as for a new head on an old checkpoint, and a warning names each
    tensor that is left as the seed drew it. `inputs`, `params` and other arguments are those of
    `netspec.load`.

    Raises:
        SpecError: the spec has mistakes.
        UsageError: there is no such spec, parameter, input or backend.
        TypeError: an argument is of the wrong type.
        ValueError: the seed or the weights are not what they should be.
        NotLowered: an op has no lowering in this backend.
        ModuleNotFoundError: the framework is not installed.
    """
    writer = source_backend(backend)
    graph = load(spec, inputs=inputs, params=params, **named)
    tensors = weights_for(graph, seed, weights, skip_mismatched=skip_mismatched)
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
