"""Tensors by name from files: safetensors, and state dicts of torch."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exports.worker import WorkerError, call

Tensors = dict[str, NDArray[Any]]

DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "|b1"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1"},
}


def load_tensors(path: Path) -> Tensors:
    """The tensors of a `.safetensors` file or of a state dict (`.pt`, `.pth`), by name.

    A worker reads state dicts. Numbers of bfloat16 come as float32.

    Raises:
        ValueError: the file is of another kind, or broken.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(2, "there is no weight file", str(path))
    with path.open("rb"):
        pass  # what may not be read says so, where safetensors finds no file
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix in (".pt", ".pth"):
        return _state_dict(path)
    raise ValueError(f"{path.name} is no weight file: .safetensors, .pt and .pth are")


def _state_dict(path: Path) -> Tensors:
    with tempfile.TemporaryDirectory(prefix="netspec-") as folder:
        converted = Path(folder, "state.safetensors")
        try:
            call("torch_state", path=str(path.resolve()), result=str(converted))
        except WorkerError as error:
            raise ValueError(f"{path} cannot be read: {error.reason}") from None
        return _safetensors(converted)


def _safetensors(path: Path) -> Tensors:
    from safetensors import SafetensorError, deserialize
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    except (KeyError, TypeError):  # a type that NumPy lacks
        # safetensors has types for its readers into frameworks only.
        stored = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
        return {name: _decoded(name, tensor) for name, tensor in stored}


def _decoded(name: str, tensor: Mapping[str, Any]) -> NDArray[Any]:
    kind, shape, data = tensor["dtype"], tensor["shape"], tensor["data"]
    if kind == "BF16":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype("<u4") << np.uint32(16)
        return wide.view("<f4").reshape(shape)
    if kind not in DTYPES:
        raise ValueError(f"{name} has numbers of the type {kind}, which are no weights of netspec")
    return np.frombuffer(data, DTYPES[kind]).reshape(shape)
