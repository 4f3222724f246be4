"""Every torch lowering against the NumPy reference."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from netspec.backends.lowering import NotLowered, Site
from netspec.backends.torch.layer import Join, Layer, lowering, lowers
from netspec.ops import Case, Op
from netspec.types import TensorType
from tests.torch_sites import KnownSite, NamedSite, as_float32, evaluate

torch = pytest.importorskip("torch")
nn = torch.nn


CASES = [(kind, case) for kind, op in Op.registry.items() for case in op.cases]


def case_id(value: Any) -> str:
    return str(value)


def op_of(kind: str, case: Case) -> Op:
    return Op.registry[kind](case.attributes, tuple(map(TensorType, case.shapes)))


def names(kind: str, case: Case) -> dict[str, Any]:
    """What a generated constructor would have in scope: attributes as YAML gives them."""
    op = op_of(kind, case)
    written = {
        name: case.attributes.get(name, as_float32(getattr(op, name))) for name in op.attributes
    }
    in_channels = case.shapes[0][0] if case.shapes else 0
    return {"in_channels": in_channels, **{k: float32_lists(v) for k, v in written.items()}}


def float32_lists(value: Any) -> Any:
    if isinstance(value, list):
        return [float32_lists(v) for v in value]
    return as_float32(value)


def draw(shape: tuple[int, ...], seed: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values past every activation's knees."""
    return np.random.default_rng(zlib.crc32(seed.encode())).normal(0.0, 3.0, shape)


def weights_of(op: Op, *inputs: TensorType) -> dict[str, np.ndarray[Any, Any]]:
    drawn = {p.name: draw(p.shape, p.name) for p in op.params(*inputs) if p.dtype != "int64"}
    if "running_var" in drawn:
        drawn["running_var"] = np.abs(drawn["running_var"]) + 0.1
    return drawn


def module_of(layer: Layer, scope: dict[str, Any], weights: dict[str, Any]) -> Any:
    module = evaluate(layer.module, layer.helpers, scope).double().eval()
    keys = [key for key in module.state_dict() if key != "num_batches_tracked"]
    assert keys == list(weights)  # the op's own names, in checkpoint order
    module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    return module


def assert_close(actual: Any, expected: np.ndarray[Any, Any]) -> None:
    assert tuple(actual.shape) == expected.shape
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=0, atol=1e-12 * scale)


def inputs_of(case: Case) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    return [draw((2, *shape), f"input {i}") for i, shape in enumerate(case.shapes)]


def single() -> list[Any]:
    return [row for row in CASES if Op.registry[row[0]].arity == (1, 1)]


@pytest.mark.parametrize("named", [False, True], ids=["known", "named"])
@pytest.mark.parametrize(("kind", "case"), single(), ids=case_id)
def test_layer_is_the_reference(kind: str, case: Case, named: bool) -> None:
    op, x_type = op_of(kind, case), TensorType(case.shapes[0])
    site: Site = NamedSite(kind, x_type.rank) if named else KnownSite(kind, op, x_type)
    layer = lowering(kind)(site)
    assert isinstance(layer, Layer)
    weights = weights_of(op, x_type)
    module = module_of(layer, names(kind, case), weights)
    (x,) = inputs_of(case)
    expected = op.reference(x, **weights)
    assert_close(module(torch.from_numpy(x)), expected)
    if layer.function:
        scope = {"x": torch.from_numpy(x)}  # and no attribute
        assert_close(evaluate(layer.function.format(x="x"), (), scope), expected)


@pytest.mark.parametrize(
    ("kind", "case"), [row for row in CASES if Op.registry[row[0]].join], ids=case_id
)
@pytest.mark.parametrize("constant", [False, True], ids=["samples", "constant"])
def test_join_is_the_reference(kind: str, case: Case, constant: bool) -> None:
    op, x_type = op_of(kind, case), TensorType(case.shapes[0])
    join = lowering(kind)(KnownSite(kind, op, x_type))
    assert isinstance(join, Join)
    values = inputs_of(case)
    expression = join.expression
    helpers: tuple[str, ...] = ()
    if constant:
        values[0] = values[0][:1]
        expression, helpers = join.mixed or join.expression, join.mixed_helpers
    operands = [f"x{i}" for i in range(len(values))]
    scope = {name: torch.from_numpy(x) for name, x in zip(operands, values, strict=True)}
    assert_close(evaluate(expression(operands), helpers, scope), op.reference(*values))


@pytest.mark.parametrize("named", [False, True], ids=["known", "named"])
@pytest.mark.parametrize("case", Op.registry["parameter"].cases, ids=case_id)
def test_parameter_is_its_tensor(case: Case, named: bool) -> None:
    op = op_of("parameter", case)
    site: Site = NamedSite("parameter", 0) if named else KnownSite("parameter", op, None)
    layer = lowering("parameter")(site)
    assert isinstance(layer, Layer)
    assert layer.is_parameter
    tensor = evaluate(layer.module, layer.helpers, names("parameter", case))
    assert isinstance(tensor, nn.Parameter)
    assert layer.function
    value = evaluate(layer.function.format(x="p"), (), {"p": tensor})
    assert value.shape == (1, *case.attributes["shape"])


def test_every_op_is_lowered() -> None:
    for kind in Op.registry:
        assert callable(lowering(kind))


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(NotLowered, match="warp"):
        lowering("warp")


def test_a_second_lowering_is_refused() -> None:
    lowering("conv")
    with pytest.raises(ValueError, match="twice"):
        lowers("conv")(lambda site: Layer("nn.Identity()"))
