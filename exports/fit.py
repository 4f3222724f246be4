"""Fit a spec's arrays to an ONNX file's ports: names, layout, batch and dtype."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.batches import holding, one_then_all
from netspec.exports.onnx_file import Interface, Port
from netspec.exports.worker import JobError

Array = NDArray[Any]
Arrays = dict[str, Array]

BATCH_ELEMENTS = 2**28  # of an input whose batch a file fixes: 1,700 ImageNet samples
NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


def run_fitted(
    interface: Interface,
    inputs: Mapping[str, Array],
    outputs: Mapping[str, Sequence[int]],
    run: Callable[[Arrays], Sequence[Array]],
    traced: int | None = None,
    notes: list[str] | None = None,
) -> Arrays:
    """Run a file on channels-first inputs and return channels-first outputs by the spec's names.

    `outputs` gives each wanted output's shape without the batch. A port is found by its name, which
    may be another where there is one port alone; a channels-last port is recognised by its shape,
    which an output may leave open but not deny: what was taken so is added to `notes`.
    A file with a fixed batch is run once for each part of that size, the last one filled up. Any
    other is run on one sample alone too (`batches`); with `traced` only the run that gives the
    result of this sample takes place.

    Raises:
        JobError: the ports cannot be those of the spec.
    """
    ports = _paired(interface.inputs, inputs, "input")
    feeds = {port.name: _to_port(port, inputs[name]) for name, port in ports.items()}
    size = _batch(interface)
    names = [port.name for port in interface.outputs]

    def named(feeds: Arrays) -> Arrays:
        return dict(zip(names, run(feeds), strict=True))

    if size is not None:
        values = dict(zip(names, _in_parts(size, feeds, run), strict=True))
    elif traced is not None:
        values = named(holding(feeds, traced))
    else:
        values = one_then_all(named, feeds)
    found = _paired(interface.outputs, outputs, "output")
    return {
        name: _from_port(port, values[port.name], outputs[name], notes)
        for name, port in found.items()
    }


def require_fit(
    interface: Interface, inputs: Mapping[str, Array], outputs: Mapping[str, Any]
) -> None:
    """Refuse a file whose ports cannot be those of the spec, before anything runs.

    Raises:
        JobError: they cannot.
    """
    for name, port in _paired(interface.inputs, inputs, "input").items():
        _to_port(port, inputs[name][:1])
    _paired(interface.outputs, outputs, "output")


def _paired(ports: Sequence[Port], wanted: Mapping[str, Any], word: str) -> dict[str, Port]:
    by_name = {port.name: port for port in ports}
    if all(name in by_name for name in wanted):
        if word == "input" and (more := [name for name in by_name if name not in wanted]):
            raise JobError(f"the file has an input that the spec lacks: {', '.join(more)}")
        return {name: by_name[name] for name in wanted}
    if len(ports) == len(wanted) == 1:
        return {next(iter(wanted)): ports[0]}
    raise JobError(
        f"the file's {word}s are {', '.join(by_name)}; the spec's are {', '.join(wanted)}"
    )


def _to_port(port: Port, x: Array) -> Array:
    if len(port.shape) != x.ndim:
        raise JobError(f"the file's input {port} cannot take a value of shape {x.shape[1:]}")
    _require_runnable(port, x)
    last = np.moveaxis(x, 1, -1)
    fitting = next((value for value in (x, last) if _fits(port, value)), None)
    if fitting is None:
        raise JobError(f"the file's input {port} cannot take a value of shape {x.shape[1:]}")
    return np.ascontiguousarray(fitting, dtype=port.dtype)


def _require_runnable(port: Port, x: Array) -> None:
    if port.dtype not in NUMBERS or not np.can_cast(x.dtype, port.dtype, "same_kind"):
        raise JobError(f"the file's input {port} takes no {x.dtype}")
    size = port.shape[0]
    if isinstance(size, int) and not 0 < size <= BATCH_ELEMENTS // max(x[0].size, 1):
        raise JobError(f"the file's input {port} has a batch of {size:,}, which is not run")


def _fits(port: Port, x: Array) -> bool:
    axes = zip(port.shape[1:], x.shape[1:], strict=True)
    return all(isinstance(wanted, str) or wanted == size for wanted, size in axes)


def _from_port(port: Port, y: Array, shape: Sequence[int], notes: list[str] | None) -> Array:
    """Channels first; a value of neither layout's shape is returned as it is, for the verdict."""
    if port.shape and (len(port.shape) != y.ndim or not _fits(port, y)):
        raise JobError(f"the file's output {port} comes out with the shape {y.shape[1:]}")
    last = (*shape[1:], shape[0])
    if y.shape[1:] == last and last != tuple(shape):
        if notes is not None:
            notes.append(f"its output {port.name} is channels last")
        return np.moveaxis(y, -1, 1)
    return y


def _batch(interface: Interface) -> int | None:
    size = interface.inputs[0].shape[0]
    return size if isinstance(size, int) else None


def _in_parts(
    size: int, feeds: Arrays, run: Callable[[Arrays], Sequence[Array]]
) -> Sequence[Array]:
    batch = len(next(iter(feeds.values())))
    if size == batch:
        return run(feeds)
    # The last part is filled up with the first samples; what they give is cut off again.
    parts = [
        run(
            {
                name: np.take(x, range(start, start + size), 0, mode="wrap")
                for name, x in feeds.items()
            }
        )
        for start in range(0, batch, size)
    ]
    return [np.concatenate(pieces)[:batch] for pieces in zip(*parts, strict=True)]
