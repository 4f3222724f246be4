"""Reads an ONNX file and evaluates its nodes in order."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from netspec.exports.evaluator import elementwise, linear, norm, reductions, resize, shape, windows
from netspec.exports.evaluator.registry import (
    OPERATORS,
    Array,
    EvaluationError,
    NotEvaluatedError,
    TooLargeError,
    require_size,
)
from netspec.exports.onnx_file import read_model
from netspec.exports.worker import one_line

MODULES = (elementwise, linear, norm, reductions, resize, shape, windows)  # each fills the table
OLDEST = 7  # the first opset in which operators broadcast as NumPy does
SINCE = {
    "LogSoftmax": 13,
    "Resize": 11,
    "Softmax": 13,
}  # before it, the operator meant another thing

Seen = Callable[[str, Array], None]


def operators() -> frozenset[str]:
    """The operators that are evaluated."""
    return frozenset(OPERATORS)


@dataclass(frozen=True, slots=True)
class _Step:
    node: NodeProto
    function: Callable[..., Any]
    attributes: dict[str, Any]


class Program:
    """An ONNX model ready to be evaluated.

    Values keep the types that the file gives them. With `widen`, every floating-point number that
    is stored or comes in is a float64 from there on: a float32 file is evaluated as the function
    that it would be if nothing rounded. `stored` are the initializers by name.
    """

    def __init__(self, model: ModelProto, *, widen: bool = False) -> None:
        """Prepare a model.

        Raises:
            NotEvaluatedError: the model has an operator, a type or an opset that is not evaluated.
        """
        if model.functions:
            from onnx import inliner

            model = inliner.inline_local_functions(model)
        versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
        self._opset = max(versions, default=1)
        self._widen = widen
        graph = model.graph
        if graph.sparse_initializer:
            raise NotEvaluatedError("sparse initializers are not evaluated")
        self._numbers: Counter[str] = Counter()  # stored ones by type
        self.stored = {t.name: self._tensor(t) for t in graph.initializer}
        self.inputs = [value.name for value in graph.input if value.name not in self.stored]
        self.outputs = [value.name for value in graph.output]
        self._steps = [self._step(node) for node in graph.node]

    @staticmethod
    def load(path: str | os.PathLike[str], *, widen: bool = False) -> Program:
        """Read a file, with its external data.

        Raises:
            NotEvaluatedError: as the constructor.
            ValueError: the file cannot be read as ONNX.
        """
        return Program(read_model(path), widen=widen)

    def run(self, inputs: Mapping[str, Array], seen: Seen | None = None) -> dict[str, Array]:
        """The outputs by name. `seen` is called with every value that a node makes, by its name.

        A value is freed after its last reader.

        Raises:
            NotEvaluatedError: an operator meets a case that is not evaluated.
            EvaluationError: a node has no value.
        """
        values = dict(self.stored)
        values.update({name: self._kept(np.asarray(x)) for name, x in inputs.items()})
        readers = Counter(name for step in self._steps for name in step.node.input)
        readers.update(self.outputs)
        for step in self._steps:
            for name, value in zip(step.node.output, self._apply(step, values), strict=False):
                if name:
                    values[name] = value
                    if seen:
                        seen(name, value)
            readers.subtract(step.node.input)
            for name in {n for n in step.node.input if n and not readers[n]}:
                values.pop(name, None)
        return {name: values[name] for name in self.outputs}

    @property
    def halves(self) -> str:
        """How many of the stored numbers are of 16 bits, in words; empty if none is."""
        for kind in ("float16", "bfloat16"):
            if count := self._numbers[kind]:
                total = sum(self._numbers.values())
                some = "" if count == total else f"{count:,} of {total:,} of "
                return f"{some}its stored numbers are {kind}"
        return ""

    def _step(self, node: NodeProto) -> _Step:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            domain = f"{node.domain}." if node.domain else ""
            raise NotEvaluatedError(f"the operator {domain}{node.op_type} is not evaluated")
        if self._opset < SINCE.get(node.op_type, OLDEST):
            raise NotEvaluatedError(f"{node.op_type} of opset {self._opset} is not evaluated")
        function = OPERATORS[node.op_type]
        known = _keywords(function)
        attributes = {a.name: self._attribute(a) for a in node.attribute}
        if unknown := [name for name in attributes if name not in known]:
            raise NotEvaluatedError(f"{node.op_type} with {unknown[0]} is not evaluated")
        if "wanted" in known:
            attributes["wanted"] = len(node.output)
        return _Step(node, function, attributes)

    def _apply(self, step: _Step, values: Mapping[str, Array]) -> Iterable[Array]:
        try:
            inputs = [values[name] if name else None for name in step.node.input]
            if step.function.__module__ == elementwise.__name__:
                require_size(_broadcast(inputs))
            with np.errstate(all="ignore"):  # infinities and NaN are values like others
                result = step.function(*inputs, **step.attributes)
            results: Sequence[Any] = result if isinstance(result, tuple) else (result,)
            for value in results:
                require_size(np.shape(value))  # one that is spread takes no memory, but time
        except TooLargeError as error:
            raise NotEvaluatedError(f"{_label(step.node)} {error}") from None
        except NotEvaluatedError:
            raise
        except Exception as error:  # an operator is given whatever the file says
            raise EvaluationError(f"{_label(step.node)}: {one_line(error)}") from error
        return [self._kept(np.asarray(value)) for value in results if value is not None]

    def _attribute(self, attribute: onnx.AttributeProto) -> Any:
        value = helper.get_attribute_value(attribute)
        if attribute.name in ("to", "dtype"):
            narrow = value == TensorProto.FLOAT and self._widen
            return np.dtype(np.float64) if narrow else helper.tensor_dtype_to_np_dtype(value)
        if isinstance(value, TensorProto):
            return self._tensor(value)
        if isinstance(value, bytes):
            return value.decode()
        return value

    def _tensor(self, tensor: TensorProto) -> Array:
        try:
            array = numpy_helper.to_array(tensor)
            if "float" in array.dtype.name:
                self._numbers[array.dtype.name] += array.size
            return self._kept(array)
        except NotEvaluatedError:
            raise
        except Exception as error:  # what it says of itself may be anything
            raise EvaluationError(f"the tensor {tensor.name}: {one_line(error)}") from error

    def _kept(self, array: Array) -> Array:
        if self._widen and (array.dtype.kind == "f" or array.dtype.name == "bfloat16"):
            return array.astype(np.float64, copy=False)
        if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat", "float8", "float4")):
            raise NotEvaluatedError(f"values of type {array.dtype} are not evaluated")
        return array


def _broadcast(inputs: Sequence[Array | None]) -> tuple[int, ...]:
    """The shape of what is computed from these element by element; () where they do not fit."""
    try:
        return np.broadcast_shapes(*(x.shape for x in inputs if x is not None))
    except ValueError:  # the operator says so
        return ()


def _label(node: NodeProto) -> str:
    """A node as a message names it."""
    return f"{node.name or next(iter(node.output), '')} ({node.op_type})"


@cache
def _keywords(function: Callable[..., Any]) -> frozenset[str]:
    kinds = (inspect.Parameter.KEYWORD_ONLY,)
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.kind in kinds)
