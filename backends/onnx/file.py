"""Writes a model and its weights to disk, one tensor at a time.

A ModelProto that holds its weights exists in memory twice before it is on disk. So the graph's
message is put together from its parts here: protobuf allows a message's fields in any order, and
a repeated field is its elements one after the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper

from netspec.backends.onnx.model import Skeleton, Stored

Array = np.ndarray[Any, Any]

INLINE_LIMIT = 2_000_000_000  # protobuf ends at 2**31 bytes; the rest is left to the graph
ALIGNMENT = 4096  # a page, so that runtimes can map the external file


def write_file(
    skeleton: Skeleton,
    weights: Mapping[str, Array],
    path: Path,
    inline_limit: int = INLINE_LIMIT,
) -> None:
    """Write `path`, and `<path>.data` beside it if the weights exceed `inline_limit` bytes.

    Both appear complete or not at all.

    Raises:
        ValueError: a weight is missing or has another shape than the graph's.
        OSError: a file cannot be written.
    """
    missing = [s.weight.key for s in skeleton.stored if s.weight.key not in weights]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ValueError(f"no weight for {', '.join(missing[:3])}{more}")
    if sum(map(_size, skeleton.stored)) <= inline_limit:
        with _replacing(path) as (file,):
            _write_model(file, skeleton, [(_tensor(s), s) for s in skeleton.stored], weights)
        return
    data = path.with_name(f"{path.name}.data")
    # The data comes first: a model must not be seen before the file that it points to.
    with _replacing(data, path) as (data_file, file):
        tensors = [_write_external(data_file, s, weights, data.name) for s in skeleton.stored]
        _write_model(file, skeleton, [(tensor, None) for tensor in tensors], weights)


def _write_model(
    file: BinaryIO,
    skeleton: Skeleton,
    tensors: list[tuple[TensorProto, Stored | None]],
    weights: Mapping[str, Array],
) -> None:
    """Write the skeleton with initializers; those paired with a Stored carry its data."""
    model = ModelProto()
    model.CopyFrom(skeleton.model)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    heads = []
    for tensor, stored in tensors:
        head = tensor.SerializeToString()
        if stored:
            head += _field(TensorProto.RAW_DATA_FIELD_NUMBER, _size(stored))
        size = len(head) + (_size(stored) if stored else 0)
        heads.append(_field(GraphProto.INITIALIZER_FIELD_NUMBER, size) + head)
    total = len(graph) + sum(map(len, heads)) + sum(_size(s) for _, s in tensors if s)
    file.write(model.SerializeToString())
    file.write(_field(ModelProto.GRAPH_FIELD_NUMBER, total))
    file.write(graph)
    for head, (_, stored) in zip(heads, tensors, strict=True):
        file.write(head)
        if stored:
            file.write(_load(stored, weights).data)


def _write_external(
    file: BinaryIO, stored: Stored, weights: Mapping[str, Array], location: str
) -> TensorProto:
    """Append a weight to the data file and return the initializer that points to it."""
    file.write(bytes(-file.tell() % ALIGNMENT))
    offset = file.tell()
    file.write(_load(stored, weights).data)
    tensor = _tensor(stored)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", _size(stored))):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _tensor(stored: Stored) -> TensorProto:
    dtype = helper.np_dtype_to_tensor_dtype(stored.dtype)
    return TensorProto(name=stored.name, data_type=dtype, dims=stored.weight.shape)


def _size(stored: Stored) -> int:
    return int(np.prod(stored.weight.shape, dtype=np.int64)) * stored.dtype.itemsize


def _load(stored: Stored, weights: Mapping[str, Array]) -> Array:
    """A weight's data, contiguous and little-endian as ONNX stores it."""
    array = np.asarray(weights[stored.weight.key])
    if array.shape != stored.weight.shape:
        raise ValueError(
            f"weight {stored.weight.key!r} has the shape {array.shape}, "
            f"not {stored.weight.shape} as the graph says"
        )
    return np.ascontiguousarray(array, stored.dtype.newbyteorder("<")).reshape(array.shape)


def _field(number: int, length: int) -> bytes:
    """The head of a length-delimited protobuf field (wire type 2)."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


@contextmanager
def _replacing(*paths: Path) -> Iterator[tuple[BinaryIO, ...]]:
    """Files that take the place of `paths`, in order, once the block has ended without error."""
    parts = [path.with_name(f".{path.name}.{os.getpid()}.part") for path in paths]
    try:
        with contextlib.ExitStack() as stack:
            yield tuple(stack.enter_context(part.open("wb")) for part in parts)
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
