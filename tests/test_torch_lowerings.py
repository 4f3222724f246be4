"""Every torch lowering against the NumPy reference, and its text against torchvision's."""

from __future__ import annotations

import ast
import math
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from netspec.backends.lowering import NotLowered, Site
from netspec.backends.torch.arguments import is_number, literal
from netspec.backends.torch.initialise import init_code, is_torch_default
from netspec.backends.torch.layer import Join, Layer, lowering, lowers
from netspec.backends.torch.snippet_text import snippet_names, snippet_text
from netspec.ops import Case, Op
from netspec.types import TensorType

torch = pytest.importorskip("torch")
nn = torch.nn

CASES = [(kind, case) for kind, op in Op.registry.items() for case in op.cases]


def case_id(value: Any) -> str:
    return str(value)


def op_of(kind: str, case: Case) -> Op:
    return Op.registry[kind](case.attributes, tuple(map(TensorType, case.shapes)))


@dataclass
class KnownSite:
    """A place where every attribute is a literal, floats as the float32 that references use."""

    kind: str
    op: Op
    input: TensorType | None
    operands: list[tuple[TensorType, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rank = self.input.rank if self.input else 0
        self.channels = str(self.input.channels) if self.input else ""

    def known(self, attribute: str) -> Any:
        return as_float32(getattr(self.op, attribute))

    def values(self, attribute: str) -> list[Any]:
        return [self.known(attribute)]

    def one_number(self, attribute: str) -> bool:
        return isinstance(ast.literal_eval(self.code(attribute)), int | float)

    def code(self, attribute: str) -> str:
        return literal(self.known(attribute))

    def is_default(self, attribute: str) -> bool:
        default = self.op.attributes[attribute].default
        value = self.known(attribute)
        if attribute == "padding":
            return bool(value != "same" and not np.any(value))
        return bool(value == default or (isinstance(value, tuple) and set(value) == {default}))


@dataclass
class NamedSite:
    """A place where every attribute is a name, bound only when the source runs."""

    kind: str
    rank: int
    channels: str = "in_channels"
    input: TensorType | None = None
    operands: list[tuple[TensorType, ...]] = field(default_factory=list)

    def known(self, attribute: str) -> Any:
        return None

    def values(self, attribute: str) -> list[Any]:
        return []

    def one_number(self, attribute: str) -> bool:
        return False

    def code(self, attribute: str) -> str:
        return attribute

    def is_default(self, attribute: str) -> bool:
        return False


def as_float32(value: Any) -> Any:
    if isinstance(value, float):
        return float(np.float32(value))
    return tuple(map(as_float32, value)) if isinstance(value, tuple) else value


def known_site(kind: str, *shape: int, **attributes: Any) -> KnownSite:
    inputs = (TensorType(shape),)
    return KnownSite(kind, Op.registry[kind](attributes, inputs), inputs[0])


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


def evaluate(expression: str, helpers: tuple[str, ...], scope: dict[str, Any]) -> Any:
    imports, text = snippet_text(helpers)
    namespace = {"torch": torch, "nn": nn, "F": nn.functional, **scope}
    exec("\n".join(imports) + "\n\n\n" + text, namespace)
    return eval(expression, namespace)


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


# What torchvision's and torch's authors write.
TEXTS = [
    (
        known_site("conv", 3, 9, 9, out=64, kernel=7, stride=2, padding=3, bias=False),
        "nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)",
    ),
    (
        known_site("conv", 3, 9, 9, out=64, kernel=[1, 7], padding=[0, 3]),
        "nn.Conv2d(3, 64, (1, 7), padding=(0, 3))",
    ),
    (
        known_site("conv", 3, 9, 9, out=8, kernel=4, padding="same"),
        'nn.Conv2d(3, 8, 4, padding="same")',
    ),
    (
        known_site("conv", 3, 9, 9, out=8, kernel=3, stride=2, padding="same"),
        "SameConv2d(3, 8, 3, stride=2)",
    ),
    (
        known_site("conv", 3, 9, 9, out=8, kernel=3, stride=2, dilation=2, padding="same"),
        'PaddedConv2d(3, 8, 3, stride=2, padding="same", dilation=2)',
    ),
    (
        known_site("conv_transpose", 3, 9, out=8, kernel=2, stride=2),
        "nn.ConvTranspose1d(3, 8, 2, stride=2)",
    ),
    (known_site("linear", 512, out=10), "nn.Linear(512, 10)"),
    (
        known_site("batch_norm", 8, 4, 4),
        "nn.BatchNorm2d(8, eps=9.999999747378752e-6, momentum=0.10000000149011612)",
    ),
    (
        known_site("batch_norm", 8, eps=0.5, momentum=0.25),
        "nn.BatchNorm1d(8, eps=0.5, momentum=0.25)",
    ),
    (
        known_site("max_pool", 8, 9, 9, kernel=3, stride=2, ceil_mode=True),
        "nn.MaxPool2d(3, stride=2, ceil_mode=True)",
    ),
    (known_site("max_pool", 8, 9, 9, kernel=2), "nn.MaxPool2d(2)"),
    (
        known_site("max_pool", 8, 9, 9, kernel=3, padding=[[1, 0], [1, 0]]),
        "MaxPool(3, padding=((1, 0), (1, 0)))",
    ),
    (known_site("max_pool", 8, 9, 9, kernel=3, padding=2), "MaxPool(3, padding=2)"),
    (
        known_site("avg_pool", 8, 9, kernel=2, padding=1, count_include_pad=False),
        "nn.AvgPool1d(2, padding=1, count_include_pad=False)",
    ),
    (known_site("global_avg_pool", 8, 9, 9), "nn.AdaptiveAvgPool2d(1)"),
    (known_site("adaptive_avg_pool", 8, 9, 9, size=7), "nn.AdaptiveAvgPool2d(7)"),
    (known_site("dropout", 8, rate=0.5), "nn.Dropout(0.5)"),
    (known_site("flatten", 8, 2, 2), "nn.Flatten()"),
    (known_site("pad", 3, 4, 5, padding=[[0, 1], [2, 3]]), "nn.ZeroPad2d((2, 3, 0, 1))"),
]


@pytest.mark.parametrize(("site", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_text_is_what_an_engineer_writes(site: KnownSite, text: str) -> None:
    layer = lowering(site.kind)(site)
    assert isinstance(layer, Layer)
    assert layer.module == text


def test_a_formula_that_must_be_a_number_keeps_the_native_module() -> None:
    class Halved(NamedSite):
        def code(self, attribute: str) -> str:
            return "kernel // 2" if attribute == "padding" else attribute

    layer = lowering("conv")(Halved("conv", 2))
    assert isinstance(layer, Layer)
    assert layer.module.startswith("nn.Conv2d(in_channels, out, kernel, stride, padding=k")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("3", True), ("k // 2", True), ("(k - 1) // 2 * d", False), ("2 * (k // 2)", True),
        ("p", False), ("p[0]", False), ("[1, 2]", False), ("'same'", False), ("2 * p", False),
        ("p + 1", True), ("max(1, p)", True), ("max(p)", False), ("len(p)", True),
        ("1 if s else k // 2", True), ("1 if s else p", False), ("-k", True), ("'a' % k", False),
    ],
)  # fmt: skip
def test_is_number(code: str, expected: bool) -> None:
    assert is_number(code) is expected


@pytest.mark.parametrize("name", sorted(snippet_names()))
def test_a_snippet_stands_by_itself(name: str) -> None:
    imports, text = snippet_text([name])
    namespace: dict[str, Any] = {}
    exec("\n".join(sorted(imports)) + "\n" + text, namespace)
    assert name in namespace
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    for line in imports:  # none in vain
        assert line.split()[-1] in used


def export(module: Any, x: Any) -> Any:
    """Exported with the batch and every spatial axis dynamic."""
    axes = {
        axis: torch.export.Dim(f"a{axis}", min=2 if axis == 0 else 6)
        for axis in (0, *range(2, x.dim()))
    }
    return torch.export.export(module, (x,), dynamic_shapes=[axes], strict=False).module()


DYNAMIC = [
    ("PaddedConv2d(4, 3, 3, stride=2, padding='same')", 9),
    ("SameConv2d(4, 3, 3, stride=(2, 3))", 9),
    ("PaddedConv2d(4, 3, 2, padding=[[1, 0], [0, 2]])", 9),
    ("CroppedConvTranspose2d(4, 3, 3, stride=2, padding=[[1, 0], [0, 1]])", 9),
    ("MaxPool(3, 2, 'same')", 9),
    ("MaxPool(3, 2, 2, ceil_mode=True)", 9),
    ("AvgPool(3, 2, 'same')", 9),
    ("AvgPool(3, 2, [[2, 0], [0, 1]], ceil_mode=True)", 9),
    ("Resize((5, 3))", 9),
    ("Shift(3)", 9),
    ("ChannelLayerNorm(9)", 9),
    ("PositionLinear(9, 4)", 9),
    ("BatchNorm(9, scale=False)", 9),
    ("Normalize([0.0] * 9, 2.0)", 9),
    ("StandardizeImage()", 9),
    ("StochasticDepth(0.2)", 9),
    ("Pad([[0, 1], [2, 0]])", 9),
]


@pytest.mark.parametrize("expression", [row[0] for row in DYNAMIC])
def test_a_snippet_is_dynamic_in_batch_and_size(expression: str) -> None:
    channels = 4 if "Conv" in expression else 9
    module = evaluate(expression, (expression.split("(")[0],), {}).eval()
    exported = export(module, torch.randn(3, channels, 12, 13))
    for shape in ((2, channels, 9, 16), (5, channels, 14, 11)):
        x = torch.randn(shape)
        torch.testing.assert_close(exported(x), module(x))


@pytest.mark.parametrize(
    "expression", ["MaxPool(3, 2, 2, ceil_mode=True)", "AvgPool(3, 2, 'same')"]
)
def test_a_window_is_dynamic_in_onnx_too(expression: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = evaluate(expression, (expression.split("(")[0],), {}).eval()
    axes = {axis: torch.export.Dim(f"a{axis}", min=6 if axis else 2) for axis in (0, 2, 3)}
    program = torch.onnx.export(
        module, (torch.randn(2, 4, 12, 13),), dynamo=True, dynamic_shapes=[axes], verbose=False
    )
    model = program.model_proto.SerializeToString()
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for shape in ((2, 4, 9, 16), (3, 4, 14, 11)):
        x = torch.randn(shape)
        (actual,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(actual), module(x))


POOLS = [
    (kernel, stride, padding, dilation, ceil_mode)
    for kernel in (1, 2, 3, 5)
    for stride in (1, 2, 3, 4)
    for padding in range(kernel // 2 + 1)
    for dilation in (1, 2)
    for ceil_mode in (False, True)
]


def test_pool_snippets_are_torchs_pools_where_torch_has_them() -> None:
    """Over sizes at which ceil_mode adds a window, drops one, and changes nothing."""
    max_pool = evaluate("MaxPool", ("MaxPool",), {})
    avg_pool = evaluate("AvgPool", ("AvgPool",), {})
    for kernel, stride, padding, dilation, ceil_mode in POOLS:
        for size in range(dilation * (kernel - 1) + 1, 14):
            x = torch.randn(1, 2, size, dtype=torch.float64)
            window = (kernel, stride, padding)
            ours = max_pool(*window, dilation, ceil_mode)(x)
            assert torch.equal(ours, nn.MaxPool1d(*window, dilation, ceil_mode=ceil_mode)(x))
            for count in (False, True) if dilation == 1 else ():
                theirs = nn.AvgPool1d(*window, ceil_mode, count)(x)
                torch.testing.assert_close(avg_pool(*window, ceil_mode, count)(x), theirs)


def test_nearest_is_exact_where_torch_is_not() -> None:
    x = torch.arange(3.0).reshape(1, 1, 3)
    ours = evaluate("Resize(141)", ("Resize",), {})(x)
    assert ours[0, 0].tolist() == [i * 3 // 141 for i in range(141)]
    assert not torch.equal(ours, nn.functional.interpolate(x, size=141))


def test_same_padding_leaves_torch_no_choice() -> None:
    """Sizes and padding of TensorFlow's rule for windows larger and smaller than the stride."""
    pads = evaluate("same_pads", ("same_pads",), {})
    for size in range(1, 14):
        for kernel in range(1, 6):
            for stride in range(1, 5):
                before, after = pads(size, kernel, stride)
                outputs = (size + before + after - kernel) // stride + 1
                assert outputs == math.ceil(size / stride)
                assert after - before in (0, 1)


@pytest.mark.parametrize("scale", [True, False])
def test_batch_norm_trains_as_torch_does(scale: bool) -> None:
    ours = evaluate(f"BatchNorm(3, momentum=0.3, scale={scale})", ("BatchNorm",), {}).double()
    theirs = nn.BatchNorm2d(3, momentum=0.3).double()
    ours.reset_parameters()
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[key])
    assert ("weight" in ours.state_dict()) is scale


def test_a_constant_image_standardizes_to_zero_with_a_finite_gradient() -> None:
    x = torch.full((2, 3, 4, 5), 7.0, requires_grad=True)
    y = evaluate("StandardizeImage()", ("StandardizeImage",), {})(x)
    y[:, 0].sum().backward()
    assert not y.any()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_stochastic_depth_is_torchvisions(p: float) -> None:
    ops = pytest.importorskip("torchvision").ops
    ours = evaluate(f"StochasticDepth({p})", ("StochasticDepth",), {})
    x = torch.randn(64, 3, 2, 2)
    torch.manual_seed(3)
    expected = ops.StochasticDepth(p, "row")(x)
    torch.manual_seed(3)
    assert torch.equal(ours(x), expected)


def test_channel_layer_norm_is_torchvisions() -> None:
    convnext = pytest.importorskip("torchvision.models.convnext")
    ours = evaluate("ChannelLayerNorm(6, eps=1e-6)", ("ChannelLayerNorm",), {})
    x = torch.randn(2, 6, 5, 4)
    assert torch.equal(ours(x), convnext.LayerNorm2d(6, eps=1e-6)(x))


def test_padded_conv_uses_torchs_own_padding_where_it_can() -> None:
    ours = evaluate("PaddedConv2d(3, 4, 3, stride=2, padding=[1, 0])", ("PaddedConv2d",), {})
    theirs = nn.Conv2d(3, 4, 3, stride=2, padding=(1, 0))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 9, 8)
    assert torch.equal(ours(x), theirs(x))
    assert (ours.padding, theirs.padding) == ((1, 0), (1, 0))


def fill(name: str, tensor: str = "w", **arguments: Any) -> tuple[Any, Any]:
    """A weight (out 40, in 30, 3 by 3) and its bias after the statements ran."""
    torch.manual_seed(0)
    scope = {"nn": nn, "math": math, "w": torch.empty(40, 30, 3, 3), "b": torch.empty(100_000)}
    exec(init_code(name, arguments, tensor, "w"), scope)
    return scope["w"], scope["b"]


# fan_in is 270, fan_out 360: torch's _calculate_fan_in_and_fan_out.
DEVIATIONS = [
    ("normal", {"std": 0.3}, 0.3),
    ("uniform", {"low": -1.0, "high": 2.0}, 3 / math.sqrt(12)),
    ("kaiming_normal", {"mode": "fan_out"}, math.sqrt(2 / 360)),
    ("kaiming_uniform", {"mode": "fan_in"}, math.sqrt(2 / 270)),
    ("xavier_normal", {}, math.sqrt(2 / 630)),
    ("xavier_uniform", {}, math.sqrt(2 / 630)),
    ("fan_in_uniform", {}, math.sqrt(1 / (3 * 270))),
    *[
        ("variance_scaling", {"scale": s, "mode": m, "distribution": d}, math.sqrt(s / fan))
        for s in (1 / 3, 2.0)
        for m, fan in (("fan_in", 270), ("fan_out", 360), ("fan_avg", 315))
        for d in ("normal", "uniform", "truncated_normal")
    ],
]


@pytest.mark.parametrize("tensor", ["w", "b"])
@pytest.mark.parametrize(("name", "arguments", "deviation"), DEVIATIONS)
def test_initialisers_deviate_as_they_should(
    name: str, arguments: dict[str, Any], deviation: float, tensor: str
) -> None:
    weight, bias = fill(name, tensor, **arguments)
    sample = weight if tensor == "w" else bias
    assert sample.std().item() == pytest.approx(deviation, rel=0.03)


def test_constant_initialisers_and_absolute_bounds() -> None:
    assert fill("zeros")[0].unique().tolist() == [0.0]
    assert fill("ones")[0].unique().tolist() == [1.0]
    assert fill("constant", value=0.5)[0].unique().tolist() == [0.5]
    assert fill("truncated_normal", std=0.0, low=-1.0, high=1.0)[0].unique().tolist() == [0.0]
    assert fill("variance_scaling", scale=0.0)[0].unique().tolist() == [0.0]
    cut = fill("truncated_normal", std=1.0, low=-0.5, high=0.25)[0]
    assert -0.5 <= cut.min() < -0.49
    assert 0.24 < cut.max() <= 0.25


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(30, 40, 3), lambda: nn.Linear(30, 40)])
def test_torchs_default_is_fan_in_uniform(make: Any) -> None:
    torch.manual_seed(1)
    module = make()
    torch.manual_seed(1)
    other = make()
    with torch.no_grad():
        torch.manual_seed(1)
        for tensor in ("weight", "bias"):
            code = init_code("fan_in_uniform", {}, f"m.{tensor}", "m.weight")
            exec(code, {"nn": nn, "math": math, "m": other})
    assert torch.equal(module.weight, other.weight)
    assert torch.equal(module.bias, other.bias)
    assert is_torch_default("conv", "bias", "fan_in_uniform", {})
    assert not is_torch_default("conv", "bias", "zeros", {})
