"""Builds the nodes of an ONNX graph, one node of the spec at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

from netspec.backends.onnx.registry import lowering
from netspec.graph import Node, Value
from netspec.types import TensorType


class Builder:
    """Collects nodes and constants. `node` is the spec node being lowered, `scope` its path.

    Float attributes that become constants are rounded with `f32`, as the references do: a float64
    file computes the very function of the float32 file. Names of values under construction are
    `scope/OpType`; `model.py` gives results their final
    names. A `/` cannot stand in a path, so these names meet no other.
    """

    def __init__(self, opset: int, dtype: DTypeLike, names: Mapping[Value, str]) -> None:
        """`names` holds the values known from the start: the graph's inputs."""
        self.opset = opset
        self.dtype = np.dtype(dtype)
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.names: dict[Value, str] = dict(names)
        self.node: Node
        self.scope = ""
        self._used: dict[str, int] = {}
        self._known: dict[tuple[Any, ...], str] = {}
        self._single: set[Value] = set()

    def lower(self, node: Node, weights: Mapping[str, str]) -> None:
        """Add the nodes of one spec node, whose result is then `names[node.output]`.

        Raises:
            NotLowered: the op has no lowering.
        """
        self.node = node
        self.scope = node.path
        if all(value in self._single for value in node.inputs):
            self._single.add(node.output)
        inputs = [self.names[value] for value in node.inputs]
        lower = lowering(node.op.kind)
        self.names[node.output] = lower(self, node.op, *inputs, **weights)

    @property
    def x(self) -> TensorType:
        """Type of the first input of the node being lowered."""
        return self.node.inputs[0].type

    @property
    def y(self) -> TensorType:
        """Type of the output of the node being lowered."""
        return self.node.output.type

    def is_single(self, value: Value) -> bool:
        """Whether a value is the same for every sample, with a batch axis of 1."""
        return value in self._single

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name; an input "" is left out."""
        output = self.unused(f"{self.scope}/{op_type}")
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        made = helper.make_node(op_type, inputs, [output], name=output, **attributes)
        self.nodes.append(made)
        return output

    def chain(self, op_type: str, inputs: Iterable[str]) -> str:
        """Apply a binary operator from left to right."""
        first, *rest = inputs
        for other in rest:
            first = self.add(op_type, first, other)
        return first

    def floats(self, values: ArrayLike) -> str:
        """A constant of the model's float type."""
        return self._constant(np.asarray(values, self.dtype))

    def ints(self, values: ArrayLike) -> str:
        """An int64 constant, such as a shape or axes."""
        return self._constant(np.asarray(values, np.int64))

    def scales(self, values: ArrayLike) -> str:
        """A float32 constant, which ONNX asks for in scales whatever the model's type."""
        return self._constant(np.asarray(values, np.float32))

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape each sample; the batch is kept."""
        return self.add("Reshape", x, self.ints((0, *shape)))

    def mean(self, x: str, axes: tuple[int, ...]) -> str:
        """Mean over axes, which stay with size 1."""
        if self.opset < 18:
            return self.add("ReduceMean", x, axes=axes)
        return self.add("ReduceMean", x, self.ints(axes))

    def slice(self, x: str, starts: Iterable[int], stops: Iterable[int], first_axis: int) -> str:
        """Cut consecutive axes, from `first_axis` on, to start..stop."""
        starts = tuple(starts)
        axes = range(first_axis, first_axis + len(starts))
        return self.add(
            "Slice", x, self.ints(starts), self.ints(tuple(stops)), self.ints(tuple(axes))
        )

    def repeat(self, x: str, kind: TensorType, like: str) -> str:
        """Repeat a value with a batch axis of 1 to the batch of the value `like`."""
        batch = self.add("Shape", like, start=0, end=1)
        shape = self.add("Concat", batch, self.ints([1] * len(kind.shape)), axis=0)
        return self.add("Expand", x, shape)

    def unused(self, name: str) -> str:
        """`name`, or with a number after it if it is taken."""
        count = self._used.get(name, 0)
        self._used[name] = count + 1
        return f"{name}_{count}" if count else name

    def _constant(self, array: np.ndarray[Any, Any]) -> str:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.unused(f"{self.scope}/constant")
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]
