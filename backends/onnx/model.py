"""From a graph to an ONNX model whose weights are still to be filled in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto, helper

from netspec.backends.onnx.builder import Builder
from netspec.graph import Graph, Value, Weight

OPSETS = range(17, 23)
IR_VERSION = 10
DTYPES = ("float32", "float64")
FLOAT = "float32"  # the dtype that a spec writes for what is in the model's float type


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A weight as the model stores it: the initializer's name and type."""

    name: str
    weight: Weight
    dtype: np.dtype[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """A model complete but for the initializers that hold the weights."""

    model: ModelProto
    stored: tuple[Stored, ...]

    def check(self) -> None:
        """Run ONNX's checker with strict shape inference; the weights stand in as inputs.

        Every value's shape is compared with the spec's.

        Raises:
            onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the model is invalid.
        """
        probe = ModelProto()
        probe.CopyFrom(self.model)
        probe.graph.input.extend(
            _tensor_info(stored.name, stored.dtype, stored.weight.shape) for stored in self.stored
        )
        onnx.checker.check_model(probe, full_check=True)


def skeleton(graph: Graph, opset: int, dtype: str) -> Skeleton:
    """Lower the inference part of a graph.

    Values are channels first with a symbolic first axis `batch`; inputs and outputs have the
    spec's names, a node and its value the node's path, an initializer its checkpoint key.

    Raises:
        ValueError: the opset or dtype is not supported.
        NotLowered: an op has no lowering.
    """
    if opset not in OPSETS:
        raise ValueError(f"opset {opset} is not one of {OPSETS[0]} to {OPSETS[-1]}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    interface = {value.name for value in graph.inputs}
    interface |= {output.name for output in graph.inference_outputs}
    b = Builder(opset, dtype, {value: value.name for value in graph.inputs})
    weights: dict[str, Stored] = {}
    for node in graph.inference_nodes:
        # Integers are counters, which inference has no use for.
        for weight in (w for w in node.weights if w.dtype == FLOAT):
            name = f"{weight.key}/initializer" if weight.key in interface else weight.key
            weights[weight.key] = Stored(name, weight, b.dtype)
        b.lower(node, {w.name: weights[w.key].name for w in node.weights if w.key in weights})
    names = _final_names(graph, b, {*interface, *(s.name for s in weights.values())})
    read = {name for node in b.nodes for name in node.input}
    return Skeleton(_model(graph, b, names), tuple(s for s in weights.values() if s.name in read))


def _final_names(graph: Graph, b: Builder, taken: set[str]) -> dict[str, str]:
    """The final name of each value made by a node.

    Adds an Identity where an output is an input or another output, and gives an output that is the
    same for every sample its batch.
    """
    made = {node.output[0]: node for node in b.nodes}
    names: dict[str, str] = {}
    for node in graph.inference_nodes:
        result = b.names[node.output]
        # A node that passes its input through leaves the name to the value's own node.
        if result in made and result.startswith(f"{node.path}/"):
            made[result].name = node.path
            if node.path not in taken:
                names[result] = node.path
                taken.add(node.path)
    outputs: dict[str, str] = {}
    for output in graph.inference_outputs:
        b.scope = output.name
        value = b.names[output.value]
        if b.is_single(output.value) and graph.inputs:
            value = b.repeat(value, output.value.type, graph.inputs[0].name)
        elif value not in made or value in outputs:
            value = b.add("Identity", value)
        outputs[value] = output.name
    return names | outputs


def _model(graph: Graph, b: Builder, names: dict[str, str]) -> ModelProto:
    def info(name: str, value: Value, batch: int | str = "batch") -> ValueInfoProto:
        dtype = b.dtype if value.type.dtype == FLOAT else np.dtype(value.type.dtype)
        return _tensor_info(name, dtype, (batch, *value.type.shape))

    for node in b.nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    outputs = [info(output.name, output.value) for output in graph.inference_outputs]
    results = {names.get(b.names[n.output], b.names[n.output]): n for n in graph.inference_nodes}
    inner = {node.output[0] for node in b.nodes} - {output.name for output in outputs}
    params = ", ".join(f"{name}={value}" for name, value in graph.params.items())
    return helper.make_model(
        helper.make_graph(
            b.nodes,
            graph.name,
            [info(value.name, value) for value in graph.inputs],
            outputs,
            b.constants,
            value_info=[
                info(name, node.output, 1 if b.is_single(node.output) else "batch")
                for name, node in results.items()
                if name in inner
            ],
        ),
        producer_name="netspec",
        doc_string=f"{graph.name}({params}), compiled by netspec for inference",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", b.opset)],
    )


def _tensor_info(
    name: str, dtype: np.dtype[np.generic], shape: tuple[int | str, ...]
) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape)
