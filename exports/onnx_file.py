"""The interface of an ONNX file, and how an exporter's model becomes a file with ours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.exports.onnx_bounds import excess
from netspec.exports.worker import JobError, plain, shortened
from netspec.graph import Graph
from netspec.types import TensorType

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

OPSET = 18
IR_VERSION = 10
BATCH = "batch"
EMBEDDED_LIMIT = 2**31 - 2**20  # protobuf's 2 GB, less room for the graph


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a file: a symbolic axis is its name, an unknown one is empty."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(str(axis or '?') for axis in self.shape)}]"


@dataclass(frozen=True, slots=True)
class Interface:
    """What a deployment sees of a file."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @staticmethod
    def of(data: dict[str, Any]) -> Interface:
        """From what `dataclasses.asdict` made, in JSON or not."""

        def ports(key: str) -> tuple[Port, ...]:
            return tuple(Port(p["name"], p["dtype"], tuple(p["shape"])) for p in data[key])

        return Interface(ports("inputs"), ports("outputs"))

    @property
    def dtype(self) -> str:
        """The type that the network computes in."""
        return self.outputs[0].dtype

    def __str__(self) -> str:
        return f"{_listed(self.inputs)} -> {_listed(self.outputs)}"


def expected_interface(graph: Graph, dtype: str = "float32") -> Interface:
    """The interface that every export of a graph has: its names, channels first, any batch."""
    return Interface(
        tuple(_port(value.name, value.type, dtype) for value in graph.inputs),
        tuple(_port(output.name, output.value.type, dtype) for output in graph.inference_outputs),
    )


def interface(path: str | os.PathLike[str]) -> Interface:
    """The interface of a file.

    Raises:
        JobError: the file cannot be read as ONNX, or computes nothing.
    """
    model = read_model(path, data=False)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_read(value) for value in model.graph.input if value.name not in stored)
    if not inputs or not model.graph.output:
        raise JobError(f"{Path(path).name} holds no network: it lacks inputs or outputs")
    return Interface(inputs, tuple(_read(value) for value in model.graph.output))


def read_model(path: str | os.PathLike[str], *, data: bool = True) -> ModelProto:
    """The model in a file, with the weights that stand beside it unless `data` is off.

    A pipe or a device would be read for ever, and is refused before it is opened.

    Raises:
        JobError: there is no such file, it cannot be read as ONNX, or asks for too much.
    """
    import onnx

    name = plain(Path(path).name)
    try:
        if not Path(path).is_file():
            what = "is no regular file" if os.path.lexists(path) else "does not exist"
            raise JobError(f"{name} {what}")
        model = onnx.load(os.fspath(path), load_external_data=data)
    except PermissionError:
        raise JobError(f"{name} may not be read: permission denied") from None
    except JobError:
        raise
    except Exception as error:  # protobuf's own error class differs between its versions
        raise JobError(f"{name} is not a readable ONNX file: {shortened(str(error))}") from error
    if reason := excess(model):
        raise JobError(f"{name} is not run: {reason}")
    return model


def flaw(path: str | os.PathLike[str]) -> str:
    """What makes a file invalid, in a line; empty if nothing is found."""
    import onnx

    try:
        onnx.checker.check_model(os.fspath(path))
    except Exception as error:  # of the checker, or of protobuf
        return shortened(str(error))
    return ""


def finish(model: ModelProto, wanted: Interface, path: str | os.PathLike[str]) -> None:
    """Give an exporter's model the wanted interface, write it, and check the file.

    The model's inputs and outputs stand in the spec's order. Weights past 2 GB go to
    `<path>.data`. What a failure leaves behind is for the owner of the folder to clear.

    Raises:
        ValueError: the model's interface cannot be the wanted one.
        onnx.checker.ValidationError: the model is invalid.
    """
    import onnx

    _rename_ports(model, wanted)
    _strip(model)
    model.ir_version = min(model.ir_version, IR_VERSION)
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if size < EMBEDDED_LIMIT:
        onnx.save_model(model, os.fspath(path))
    else:
        data = f"{Path(path).name}.data"
        onnx.save_model(model, os.fspath(path), save_as_external_data=True, location=data)
    onnx.checker.check_model(os.fspath(path), full_check=True)
    check_interface(path, wanted)


def check_interface(path: str | os.PathLike[str], wanted: Interface) -> None:
    """Compare a file's interface with the one it should have.

    Raises:
        ValueError: they differ.
    """
    found = interface(path)
    if found != wanted:
        raise ValueError(f"the export's interface is {found}, not {wanted}")


def _strip(model: ModelProto) -> None:
    """Remove the exporters' notes: they hold stack traces with paths of this machine."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        noted.doc_string = ""
        del noted.metadata_props[:]


def _rename_ports(model: ModelProto, wanted: Interface) -> None:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    for values, ports in ((inputs, wanted.inputs), (model.graph.output, wanted.outputs)):
        if len(values) != len(ports):
            raise ValueError(f"the export has {len(values)} inputs or outputs, not {len(ports)}")
        for value, port in zip(values, ports, strict=True):
            _rename(model, value.name, port.name)
            _set_shape(value, port)


def _rename(model: ModelProto, old: str, new: str) -> None:
    """Rename a value everywhere; another value that has the new name gives way."""
    if old == new:
        return
    graph = model.graph
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken.update(tensor.name for tensor in graph.initializer)
    spare = new
    while spare in taken:
        spare = f"{spare}_"
    changes = {old: new, new: spare}
    for node in graph.node:
        node.input[:] = [changes.get(name, name) for name in node.input]
        node.output[:] = [changes.get(name, name) for name in node.output]
    for named in (*graph.initializer, *graph.value_info, *graph.input, *graph.output):
        named.name = changes.get(named.name, named.name)


def _set_shape(value: ValueInfoProto, port: Port) -> None:
    """State the shape where the exporter left it open; never contradict a number that it gave."""
    shape = value.type.tensor_type.shape
    if not shape.dim:
        for _ in port.shape:
            shape.dim.add()
    for axis, size in zip(shape.dim, port.shape, strict=False):
        if axis.HasField("dim_value"):
            continue
        if isinstance(size, str):
            axis.dim_param = size
        else:
            axis.dim_value = size


def _port(name: str, kind: TensorType, dtype: str) -> Port:
    return Port(name, dtype if kind.dtype == "float32" else kind.dtype, (BATCH, *kind.shape))


def _read(value: ValueInfoProto) -> Port:
    import onnx

    tensor = value.type.tensor_type
    kinds = onnx.TensorProto.DataType
    known = tensor.elem_type in kinds.values()
    dtype = kinds.Name(tensor.elem_type).lower() if known else f"type {tensor.elem_type}"
    names = {"float": "float32", "double": "float64"}
    shape = tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param
        for axis in tensor.shape.dim
    )
    return Port(value.name, names.get(dtype, dtype), shape)


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(map(str, ports))
