"""What an op is: its attributes, shape rule, parameters, meaning and cases, in one class.

A subclass registers itself under its kind. The schema, the docs, the checker and the tests
read everything about an op from its class.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, ClassVar

from netspec.record import value_record
from netspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
else:
    Array = Any  # a name to import: annotations are never evaluated

Axes = tuple[int, ...]  # in YAML an int, or a list with one int per spatial axis
Padding = str | tuple[tuple[int, int], ...]  # "same", or (before, after) per spatial axis
Floats = tuple[float, ...]  # in YAML a number, or a list with one per channel
Shape = tuple[int, ...]
Init = dict[str, Any]  # {"kaiming_normal": {"mode": "fan_out"}}, {"zeros": {}}, ...

REQUIRED: Any = object()
ATTRIBUTE_TYPES = ("int", "float", "bool", "str", "Axes", "Padding", "Floats", "Shape", "Init")
DIMENSION_LIMIT = 2**31 - 1
FLOAT32_MAX = (2 - 2**-23) * 2.0**127


class OpError(Exception):
    """An op cannot accept its input or attributes; `attribute` names the culprit if any."""

    def __init__(self, message: str, *, attribute: str | None = None, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.attribute = attribute
        self.hint = hint


@value_record
class Attribute:
    """One attribute of an op, as authors write it and as the schema describes it.

    `default` is `REQUIRED`, a plain value, or `"=other"`: the value of another attribute.
    `min` and `max` are inclusive and hold for each axis.
    """

    name: str
    type: str
    default: Any
    doc: str
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    doubt: tuple[float, str] | None = None  # above this number it is probably a mistake, and why

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


def attr(
    default: Any = REQUIRED,
    *,
    doc: str,
    min: float | None = None,
    max: float | None = None,
    choices: tuple[str, ...] = (),
    doubt: tuple[float, str] | None = None,
) -> Any:
    """Declare an attribute in an op's class body; the annotation beside it gives its type."""
    return Attribute("", "", default, doc, min, max, choices, doubt)


@value_record
class Param:
    """A tensor that an op owns. `name` is the last part of its checkpoint key.

    `shape` is torch's. `init` is an initialiser in the spec's form (`{"zeros": {}}`).
    `name` is empty for an op whose key is its own path.
    """

    name: str
    shape: tuple[int, ...]
    init: Init
    trainable: bool = True
    dtype: str = "float32"


@value_record
class Case:
    """One row of the op case table: input shapes without the batch, and attributes as in YAML."""

    shapes: tuple[tuple[int, ...], ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        shapes = ",".join("x".join(map(str, shape)) for shape in self.shapes)
        attributes = ",".join(f"{k}={v}" for k, v in self.attributes.items())
        return f"{shapes}[{attributes}]".replace(" ", "")


def case(*shapes: tuple[int, ...], **attributes: Any) -> Case:
    """A row of the op case table: `case((3, 8, 9), out=4, kernel=3)`."""
    return Case(shapes, attributes)


class Op:
    """Base of every op. A subclass states its kind and is registered by being defined.

    An instance holds attributes with defaults filled in and per-axis values made tuples with one
    entry per spatial axis of the first input: `kernel=(3, 3)`, `padding=((1, 1), (1, 1))`.
    """

    kind: ClassVar[str] = ""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)  # fewest and most inputs; None: no limit
    attributes: ClassVar[dict[str, Attribute]] = {}
    cases: ClassVar[tuple[Case, ...]] = ()
    join: ClassVar[bool] = False  # written with branches: `add: [a, b]`
    training_only: ClassVar[bool] = False  # the identity at inference (dropout)

    registry: ClassVar[dict[str, type[Op]]] = {}

    def __init_subclass__(cls, kind: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if not kind:  # an abstract family, such as the pools
            return
        if kind in Op.registry:
            raise ValueError(f"op {kind!r} is defined twice")
        if not cls.cases:
            raise ValueError(f"op {kind!r} has no cases, so nothing would test it")
        cls.kind = kind
        cls.attributes = dict(_attributes(cls))
        Op.registry[kind] = cls

    def __init__(self, values: dict[str, Any], inputs: tuple[TensorType, ...] = ()) -> None:
        """Fill in defaults and normalise per-axis values.

        Raises:
            OpError: a per-axis list does not have one entry per spatial axis of the input, or a
            number is not finite in float32.
        """
        rank = inputs[0].rank if inputs else 0
        for name, attribute in self.attributes.items():
            value = values.get(name, attribute.default)
            if isinstance(value, str) and value.startswith("="):
                value = values.get(value[1:], self.attributes[value[1:]].default)
            setattr(self, name, _normalised(attribute, value, rank))

    @property
    def values(self) -> dict[str, Any]:
        """The attributes by name, normalised."""
        return {name: getattr(self, name) for name in self.attributes}

    def infer(self, *inputs: TensorType) -> TensorType:
        """The output's type.

        Raises:
            OpError: the op cannot accept these inputs.
        """
        return inputs[0]

    def params(self, *inputs: TensorType) -> tuple[Param, ...]:
        """The op's tensors, in the order of the checkpoint."""
        return ()

    def reference(self, *inputs: Array, **params: Array) -> Array:
        """The meaning, in NumPy float64, of inputs `(batch, channels, *spatial)` at inference."""
        raise TypeError(f"{self.kind} has no reference")

    def macs(self, *inputs: TensorType) -> int:
        """Multiply-accumulates for one sample."""
        return 0

    def terms(self, *inputs: TensorType) -> int:
        """Products summed into each output element; 0 for ops that do not accumulate.

        Where it is positive the op is linear in its input and `weight`, and rounding noise is
        predicted from the same op applied to their squares.
        """
        return 0

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}={v!r}" for k, v in self.values.items())
        return f"{self.kind}({inside})"


def _attributes(cls: type[Op]) -> list[tuple[str, Attribute]]:
    found = {}
    for base in reversed(cls.__mro__):
        for name, annotation in vars(base).get("__annotations__", {}).items():
            declared = vars(base).get(name)
            if isinstance(declared, Attribute):
                if annotation not in ATTRIBUTE_TYPES:
                    raise TypeError(f"{cls.__name__}.{name}: no attribute type {annotation!r}")
                found[name] = Attribute(
                    name,
                    annotation,
                    declared.default,
                    declared.doc,
                    declared.min,
                    declared.max,
                    declared.choices,
                    declared.doubt,
                )
    return list(found.items())


def _normalised(attribute: Attribute, value: Any, rank: int) -> Any:
    if attribute.type == "Axes":
        return _per_axis(attribute.name, value, rank)
    if attribute.type == "Padding":
        if value == "same":
            return value
        pairs = (value,) * rank if isinstance(value, int) else tuple(value)
        if len(pairs) != rank:
            raise _wrong_length(attribute.name, len(pairs), rank)
        return tuple(_before_and_after(attribute.name, pair) for pair in pairs)
    if attribute.type == "Floats" and isinstance(value, (list, tuple)):
        return tuple(_finite(attribute.name, v) for v in value)
    if attribute.type == "Shape":
        return (value,) if isinstance(value, int) else tuple(value)
    if attribute.type in ("float", "Floats"):
        return _finite(attribute.name, value)
    return value


def _finite(name: str, value: float) -> float:
    if not abs(value) <= FLOAT32_MAX:  # `not` so that NaN is refused too
        raise OpError(f"`{name}` is {value}, which is not a finite float32", attribute=name)
    return float(value)


def _before_and_after(name: str, value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise OpError(
            f"`{name}` has an axis with {len(value)} values",
            attribute=name,
            hint="an axis takes one number for both sides, or [before, after]",
        )
    return value[0], value[1]


def _per_axis(name: str, value: Any, rank: int) -> Axes:
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise _wrong_length(name, len(value), rank)
    return tuple(value)


def _wrong_length(name: str, length: int, rank: int) -> OpError:
    axes = "1 spatial axis" if rank == 1 else f"{rank} spatial axes"
    values = "1 value" if length == 1 else f"{length} values"
    return OpError(
        f"`{name}` has {values} but the input has {axes}",
        attribute=name,
        hint="write one number for all axes, or one per spatial axis",
    )


def window_outputs(
    size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1
) -> int:
    """Positions of a window along one axis; 0 or less if the window does not fit."""
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's SAME: `ceil(size / stride)` outputs, the odd element padded after."""
    total = (math.ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1 - size
    total = max(total, 0)
    return total // 2, total - total // 2


def padding_in_elements(
    padding: Padding, spatial: Shape, kernel: Axes, stride: Axes, dilation: Axes
) -> tuple[tuple[int, int], ...]:
    """The padding as (before, after) per spatial axis, `same` worked out for these sizes."""
    if isinstance(padding, str):
        axes = zip(spatial, kernel, stride, dilation, strict=True)
        return tuple(same_padding(*axis) for axis in axes)
    return padding


def taps(offset: int, outputs: int, stride: int, dilation: int = 1) -> slice:
    """What the element `offset` of a window reads along an axis, one place per output."""
    start = offset * dilation
    return slice(start, start + (outputs - 1) * stride + 1, stride)


def require_map(
    x: TensorType, what: str, ranks: tuple[int, ...] = (1, 2, 3), hint: str | None = None
) -> None:
    """Refuse a value whose number of spatial axes is not one of `ranks` (in ascending order).

    Raises:
        OpError: `what` needs other spatial axes than `x` has.
    """
    if x.rank not in ranks:
        few, many = ranks[0], ranks[-1]
        axes = f"{few} to {many} spatial axes" if few < many else f"{few} spatial axes"
        raise OpError(f"{what} needs a value with {axes}, not {x}", hint=hint)


def require_groups(channels: int, groups: int, what: str = "channels") -> None:
    """Refuse channels that do not divide into groups.

    Raises:
        OpError: `groups` does not divide `channels`.
    """
    if channels % groups:
        raise OpError(
            f"{channels} {what} do not divide into {groups} groups",
            attribute="groups",
            hint="choose a number of groups that divides the channels",
        )


def f32(value: float) -> float:
    """The nearest float32, as a Python float.

    ONNX stores attributes as float32. The references round theirs here, where they are used, so
    that every backend is held to the same number while `1e-05` still prints as it was written.
    """
    return float(struct.unpack("f", struct.pack("f", value))[0])
