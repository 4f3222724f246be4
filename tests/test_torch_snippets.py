"""The definitions that generated torch source copies: alone, exported, and against torch's own."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest

from netspec.backends.torch.snippet_text import snippet_names, snippet_text
from tests.torch_sites import evaluate

torch = pytest.importorskip("torch")
nn = torch.nn


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
