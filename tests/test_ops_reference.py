"""The NumPy references, shapes and refusals of the ops, held against torch in float64."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's own documentation uses
import torchvision.transforms.functional as TF  # noqa: N812 - so too

from netspec.ops import Case, Op, OpError
from netspec.ops.base import Array, f32
from netspec.types import TensorType

Oracle = Callable[..., Any]
BATCH = 3
ORACLES: dict[str, Oracle] = {}


def oracle(function: Oracle) -> Oracle:
    """Register what torch computes for an op: `function(op, *inputs, **params)`."""
    ORACLES[function.__name__] = function
    return function


def of_rank(name: str, x: torch.Tensor) -> Any:
    """`F.max_pool2d` for `max_pool` of an image, and so on."""
    return getattr(F, f"{name}{x.ndim - 2}d")


def surround(x: torch.Tensor, pads: Any, value: float = 0.0) -> torch.Tensor:
    return F.pad(x, [n for pair in reversed(pads) for n in pair], value=value)


def tensorflow_same(op: Any, x: torch.Tensor) -> list[tuple[int, int]]:
    """https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2."""
    pads = []
    for size, kernel, stride in zip(x.shape[2:], op.kernel, op.stride, strict=True):
        over = size % stride
        total = max(kernel - (over if over else stride), 0)
        pads.append((total // 2, total - total // 2))
    return pads


def pads_of(op: Any, x: torch.Tensor) -> Any:
    return tensorflow_same(op, x) if op.padding == "same" else op.padding


@oracle
def conv(op: Any, x: torch.Tensor, weight: Any, bias: Any = None) -> Any:
    x = surround(x, pads_of(op, x))
    arguments = {"stride": op.stride, "dilation": op.dilation, "groups": op.groups}
    return of_rank("conv", x)(x, weight, bias, **arguments)


@oracle
def conv_transpose(op: Any, x: torch.Tensor, weight: Any, bias: Any = None) -> Any:
    arguments = {"stride": op.stride, "dilation": op.dilation, "groups": op.groups}
    function = of_rank("conv_transpose", x)
    if all(before == after for before, after in op.padding):
        padding = [before for before, _ in op.padding]
        extra = op.output_padding
        return function(x, weight, bias, padding=padding, output_padding=extra, **arguments)
    assert not any(op.output_padding)
    full = function(x, weight, bias, **arguments)
    return surround(full, [(-before, -after) for before, after in op.padding])


@oracle
def linear(op: Any, x: torch.Tensor, weight: Any, bias: Any = None) -> Any:
    return F.linear(x.movedim(1, -1), weight, bias).movedim(-1, 1)


@oracle
def batch_norm(op: Any, x: torch.Tensor, weight: Any = None, **p: Any) -> Any:
    mean, variance = p["running_mean"], p["running_var"]
    return F.batch_norm(x, mean, variance, weight, p["bias"], eps=f32(op.eps))


@oracle
def layer_norm(op: Any, x: torch.Tensor, weight: Any, bias: Any) -> Any:
    last = F.layer_norm(x.movedim(1, -1), weight.shape, weight, bias, eps=f32(op.eps))
    return last.movedim(-1, 1)


def starting_inside(op: Any, x: torch.Tensor, pads: Any, full: torch.Tensor) -> torch.Tensor:
    """Without the windows that start in the end padding, which torch drops if it pads itself."""
    for axis, ((before, _), stride) in enumerate(zip(pads, op.stride, strict=True), start=2):
        kept = len(range(0, before + x.shape[axis], stride))
        full = full.narrow(axis, 0, min(kept, full.shape[axis])) if op.ceil_mode else full
    return full


@oracle
def max_pool(op: Any, x: torch.Tensor) -> Any:
    pads, pool = pads_of(op, x), of_rank("max_pool", x)
    arguments = {"stride": op.stride, "dilation": op.dilation}
    if all(before == after for before, after in pads):
        padding = [before for before, _ in pads]
        return pool(x, op.kernel, padding=padding, ceil_mode=op.ceil_mode, **arguments)
    full = pool(surround(x, pads, -math.inf), op.kernel, ceil_mode=op.ceil_mode, **arguments)
    return starting_inside(op, x, pads, full)


@oracle
def avg_pool(op: Any, x: torch.Tensor) -> Any:
    pads, pool = pads_of(op, x), of_rank("avg_pool", x)
    include = op.count_include_pad and op.padding != "same"
    if all(before == after for before, after in pads):
        padding = [before for before, _ in pads]
        return pool(x, op.kernel, op.stride, padding, op.ceil_mode, include)
    counted = torch.ones_like(surround(x, pads)) if include else surround(torch.ones_like(x), pads)
    mean = pool(surround(x, pads), op.kernel, op.stride, ceil_mode=op.ceil_mode)
    share = pool(counted, op.kernel, op.stride, ceil_mode=op.ceil_mode)
    return starting_inside(op, x, pads, mean / share)


@oracle
def adaptive_avg_pool(op: Any, x: torch.Tensor) -> Any:
    return of_rank("adaptive_avg_pool", x)(x, op.size)


@oracle
def global_avg_pool(op: Any, x: torch.Tensor) -> Any:
    return of_rank("adaptive_avg_pool", x)(x, 1)


@oracle
def resize(op: Any, x: torch.Tensor) -> Any:
    return F.interpolate(x, op.size, mode=op.mode)


@oracle
def upsample(op: Any, x: torch.Tensor) -> Any:
    return F.interpolate(x, scale_factor=op.scale, mode=op.mode)


@oracle
def local_response_norm(op: Any, x: torch.Tensor) -> Any:
    return F.local_response_norm(x, op.size, f32(op.alpha), f32(op.beta), f32(op.k))


@oracle
def unflatten(op: Any, x: torch.Tensor) -> Any:
    return torch.unflatten(x, 1, op.shape)


@oracle
def channel_shuffle(op: Any, x: torch.Tensor) -> Any:
    # torch's own takes maps only: a vector is a map of one place.
    return F.channel_shuffle(x[..., None], op.groups)[..., 0]


@oracle
def shift(op: Any, x: torch.Tensor) -> Any:
    """The paper's depthwise convolution with one-hot kernels."""
    channels, kernel = x.shape[1], op.kernel
    weight = torch.zeros(channels, 1, kernel, kernel, dtype=x.dtype)
    for channel in range(channels):
        group = channel // (channels // kernel**2)
        i, j = divmod(group, kernel) if group < kernel**2 else (kernel // 2, kernel // 2)
        weight[channel, 0, i, j] = 1
    return F.conv2d(x, weight, padding=kernel // 2, groups=channels)


@oracle
def normalize(op: Any, x: torch.Tensor) -> Any:
    channels = x.shape[1]
    mean, std = (
        [f32(v) for v in (value if isinstance(value, tuple) else [value] * channels)]
        for value in (op.mean, op.std)
    )
    return TF.normalize(x.reshape(len(x), channels, 1, -1), mean, std).reshape(x.shape)


@oracle
def affine(op: Any, x: torch.Tensor) -> Any:
    scale, shift = (
        torch.tensor([f32(v) for v in (value if isinstance(value, tuple) else [value])])
        for value in (op.scale, op.shift)
    )
    return torch.addcmul(shift.double(), x.movedim(1, -1), scale.double()).movedim(-1, 1)


@oracle
def standardize_image(op: Any, x: torch.Tensor) -> Any:
    images = []
    for image in x:
        values = image.flatten().tolist()
        deviation = max(statistics.pstdev(values), 1 / math.sqrt(len(values)))
        images.append((image - statistics.fmean(values)) / deviation)
    return torch.stack(images)


SHORT: dict[str, Oracle] = {
    "flatten": lambda op, x: torch.flatten(x, 1),
    "identity": lambda op, x: x,
    "dropout": lambda op, x: F.dropout(x, op.rate, training=False),
    "stochastic_depth": lambda op, x: x,
    "slice": lambda op, x: x.narrow(1, op.start, op.stop - op.start),
    "pad": lambda op, x: surround(x, op.padding, f32(op.value)),
    "softmax": lambda op, x: F.softmax(x, 1),
    "log_softmax": lambda op, x: F.log_softmax(x, 1),
    "relu": lambda op, x: F.relu(x),
    "relu6": lambda op, x: F.relu6(x),
    "leaky_relu": lambda op, x: F.leaky_relu(x, f32(op.slope)),
    "prelu": lambda op, x, weight: F.prelu(x, weight),
    "elu": lambda op, x: F.elu(x, f32(op.alpha)),
    "sigmoid": lambda op, x: torch.sigmoid(x),
    "hard_sigmoid": lambda op, x: F.hardsigmoid(x),
    "silu": lambda op, x: F.silu(x),
    "hard_swish": lambda op, x: F.hardswish(x),
    "gelu": lambda op, x: F.gelu(x),
    "tanh": lambda op, x: torch.tanh(x),
    "abs": lambda op, x: torch.abs(x),
    "softplus": lambda op, x: F.softplus(x, threshold=700),
    "mish": lambda op, x: F.mish(x),
    "concat": lambda op, *xs: torch.cat(xs, 1),
    "add": lambda op, a, b, *more: sum(more, torch.add(a, b)),
    "mul": lambda op, a, b, *more: math.prod(more, start=torch.mul(a, b)),
    "sub": lambda op, a, b: torch.sub(a, b),
    "parameter": lambda op, **params: params[""].unsqueeze(0),
}
ORACLES.update(SHORT)


def build(case: Case, kind: str) -> tuple[Any, tuple[TensorType, ...]]:
    inputs = tuple(TensorType(shape) for shape in case.shapes)
    return Op.registry[kind](case.attributes, inputs), inputs


def draw(op: Op, inputs: tuple[TensorType, ...]) -> tuple[list[Array], dict[str, Array]]:
    """Inputs that cross every activation's knees, and parameters that no default resembles."""
    random = np.random.default_rng(7)
    arrays = [random.normal(0.3, 4.0, (BATCH, *x.shape)) for x in inputs]
    params = {
        p.name: random.uniform(0.01, 0.5, p.shape)
        if p.name == "running_var"
        else random.normal(0.2, 0.5, p.shape)
        for p in op.params(*inputs)
        if p.dtype == "float32"
    }
    return arrays, params


ROWS = [
    pytest.param(kind, case, id=f"{kind}-{case}")
    for kind, op in sorted(Op.registry.items())
    for case in op.cases
]


def test_every_op_has_an_oracle() -> None:
    assert set(ORACLES) == set(Op.registry)


@pytest.mark.parametrize(("kind", "case"), ROWS)
def test_reference_and_shape_equal_the_oracles(kind: str, case: Case) -> None:
    op, inputs = build(case, kind)
    arrays, params = draw(op, inputs)
    before = [array.copy() for array in arrays]
    tensors = [torch.from_numpy(array.copy()) for array in arrays]
    expected = ORACLES[kind](op, *tensors, **{k: torch.from_numpy(v) for k, v in params.items()})
    found = op.reference(*arrays, **params)
    assert found.dtype == np.float64
    assert op.infer(*inputs).shape == tuple(expected.shape[1:]) == found.shape[1:]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-12)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg="the reference wrote to its input")


@pytest.mark.parametrize("kind", sorted(Op.registry))
def test_a_batch_of_one_and_of_none(kind: str) -> None:
    for case in Op.registry[kind].cases:
        op, inputs = build(case, kind)
        arrays, params = draw(op, inputs)
        shape = op.infer(*inputs).shape
        whole = op.reference(*arrays, **params)
        one = op.reference(*(a[:1] for a in arrays), **params)
        assert one.shape == (1, *shape)
        np.testing.assert_allclose(one, whole[:1], rtol=1e-12, atol=1e-12)
        if inputs:
            assert op.reference(*(a[:0] for a in arrays), **params).shape == (0, *shape)


def windows() -> Iterator[tuple[int, int, int, int, bool]]:
    for size, kernel, stride in itertools.product(range(1, 9), range(1, 5), range(1, 5)):
        for padding, ceil_mode in itertools.product(range(kernel // 2 + 1), (False, True)):
            yield size, kernel, stride, padding, ceil_mode


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("max_pool", {"dilation": 1}),
        ("max_pool", {"dilation": 2}),
        ("avg_pool", {"count_include_pad": True}),
        ("avg_pool", {"count_include_pad": False}),
    ],
)
def test_pools_equal_torch_at_every_small_size(kind: str, options: dict[str, Any]) -> None:
    accepted = 0
    for size, kernel, stride, padding, ceil_mode in windows():
        x = TensorType((1, size))
        values = {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        op = Op.registry[kind]({**values, **options}, (x,))
        array = np.random.default_rng(size).normal(size=(1, 1, size))
        try:
            expected = ORACLES[kind](op, torch.from_numpy(array)).numpy()
        except RuntimeError:
            with pytest.raises(OpError):
                op.infer(x)
            continue
        if np.isneginf(expected).any():  # a window that steps over the input: torch lets it pass
            with pytest.raises(OpError, match="steps over"):
                op.infer(x)
            continue
        accepted += 1
        assert op.infer(x).shape == expected.shape[1:], values
        np.testing.assert_allclose(op.reference(array), expected, rtol=1e-13, err_msg=str(values))
    assert accepted > 200


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool", "conv"])
def test_same_gives_the_ceiling_of_size_over_stride(kind: str) -> None:
    for size, kernel, stride in itertools.product(range(1, 12), range(1, 6), range(1, 5)):
        x = TensorType((1, size))
        values = {"kernel": kernel, "stride": stride, "padding": "same"}
        values |= {"out": 1} if kind == "conv" else {"ceil_mode": True}
        assert Op.registry[kind](values, (x,)).infer(x).spatial == (math.ceil(size / stride),)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # the hard case
def test_dilated_convolution_same_keeps_the_size() -> None:
    x = TensorType((1, 6))
    values = {"out": 1, "kernel": 4, "dilation": 3, "padding": "same"}
    op: Any = Op.registry["conv"](values, (x,))
    array = np.random.default_rng(0).normal(size=(1, 1, 6))
    weight = np.random.default_rng(1).normal(size=(1, 1, 4))
    expected = F.conv1d(
        torch.from_numpy(array), torch.from_numpy(weight), padding="same", dilation=3
    )
    np.testing.assert_allclose(op.reference(array, weight), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "shape", "attributes"),
    [
        ("linear", (7,), {"out": 3}),
        ("linear", (7, 3, 4), {"out": 3, "per_position": True}),
        ("conv", (4, 12, 13), {"out": 6, "kernel": 3, "stride": 2, "groups": 2}),
        ("conv", (4, 12, 13), {"out": 6, "kernel": 3, "dilation": 2}),
        ("conv_transpose", (4, 9), {"out": 6, "kernel": 5, "stride": 2, "groups": 2}),
        ("conv_transpose", (4, 9), {"out": 6, "kernel": 5, "stride": 4, "dilation": 2}),
        ("conv_transpose", (4, 9, 9), {"out": 6, "kernel": [2, 3], "stride": [3, 1]}),
    ],
)
def test_terms_and_macs_count_products(
    kind: str, shape: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    x = TensorType(shape)
    op = Op.registry[kind]({**attributes, "bias": False}, (x,))
    (weight,) = op.params(x)
    products = op.reference(np.ones((1, *shape)), weight=np.ones(weight.shape))
    assert products.max() == op.terms(x)
    assert products.sum() == op.macs(x)


def test_extreme_values_do_not_overflow() -> None:
    x = np.array([[-1e4, -800.0, 0.0, 800.0, 1e4]])
    with np.errstate(over="raise", invalid="raise"):
        for kind in ("sigmoid", "silu", "softplus", "mish", "elu", "gelu", "softmax"):
            op = Op.registry[kind]({}, (TensorType((5,)),))
            found, expected = op.reference(x), ORACLES[kind](op, torch.from_numpy(x)).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_constant_image_is_standardized_to_zero() -> None:
    op = Op.registry["standardize_image"]({}, (TensorType((3, 4, 4)),))
    np.testing.assert_array_equal(op.reference(np.full((2, 3, 4, 4), 7.0)), 0.0)


def test_nearest_resizing_takes_the_floor_exactly() -> None:
    for size, out in itertools.product(range(1, 40), range(1, 40)):
        op = Op.registry["resize"]({"size": out}, (TensorType((1, size)),))
        found = op.reference(np.arange(float(size))[None, None])[0, 0]
        assert found.tolist() == [math.floor(i * size / out + 1e-9) for i in range(out)]


def test_a_parameter_is_repeated_for_the_batch_it_is_joined_with() -> None:
    x, value = np.arange(12.0).reshape(2, 6, 1), np.array([[[5.0]]])
    op = Op.registry["concat"]({}, (TensorType((1, 1)), TensorType((6, 1))))
    expected = np.concatenate([np.full((2, 1, 1), 5.0), x], axis=1)
    np.testing.assert_array_equal(op.reference(value, x), expected)


def test_attributes_mean_their_float32() -> None:
    op: Any = Op.registry["leaky_relu"]({"slope": 0.01}, (TensorType((1,)),))
    assert op.slope == 0.01
    assert op.reference(np.array([[-1.0]])).item() == -float(np.float32(0.01))


REFUSED: list[tuple[str, tuple[tuple[int, ...], ...], dict[str, Any], str | None]] = [
    ("conv", ((7,),), {"out": 2, "kernel": 3}, None),
    ("conv", ((3, 4, 4),), {"out": 2, "kernel": 5}, "kernel"),
    ("conv", ((3, 4, 4),), {"out": 2, "kernel": 3, "dilation": 2}, "kernel"),
    ("conv", ((3, 4, 4),), {"out": 3, "kernel": 1, "groups": 2}, "groups"),
    ("conv", ((4, 4, 4),), {"out": 3, "kernel": 1, "groups": 2}, "groups"),
    ("conv", ((3, 4, 4),), {"out": 3, "kernel": [1, 2, 3]}, "kernel"),
    ("conv", ((3, 4, 4),), {"out": 3, "kernel": 3, "padding": [1]}, "padding"),
    ("conv", ((3, 4, 4),), {"out": 3, "kernel": 3, "padding": [[1, 2, 3], 1]}, "padding"),
    ("conv_transpose", ((7,),), {"out": 2, "kernel": 3}, None),
    ("conv_transpose", ((3, 4),), {"out": 2, "kernel": 3, "padding": "same"}, "padding"),
    ("conv_transpose", ((3, 1),), {"out": 2, "kernel": 2, "padding": 1}, "padding"),
    ("conv_transpose", ((3, 4),), {"out": 2, "kernel": 2, "output_padding": 1}, "output_padding"),
    ("conv_transpose", ((3, 4),), {"out": 2, "kernel": 2, "groups": 2}, "groups"),
    ("conv_transpose", ((4, 4),), {"out": 3, "kernel": 2, "groups": 2}, "groups"),
    ("linear", ((7, 1, 1),), {"out": 3}, None),
    ("batch_norm", ((7,),), {"eps": math.inf}, "eps"),
    ("batch_norm", ((7,),), {"eps": math.nan}, "eps"),
    ("max_pool", ((7,),), {"kernel": 2}, None),
    ("max_pool", ((3, 4),), {"kernel": 5}, "kernel"),
    ("max_pool", ((3, 4),), {"kernel": 2, "padding": 2}, "padding"),
    ("max_pool", ((3, 4),), {"kernel": 2, "padding": [[0, 2]]}, "padding"),
    ("max_pool", ((3, 2),), {"kernel": 2, "dilation": 5, "padding": "same"}, "dilation"),
    ("avg_pool", ((3, 4, 4),), {"kernel": [2, 1], "padding": 1}, "padding"),
    ("adaptive_avg_pool", ((7,),), {"size": 1}, None),
    ("adaptive_avg_pool", ((7, 4),), {"size": [1, 1]}, "size"),
    ("global_avg_pool", ((7,),), {}, None),
    ("resize", ((7,),), {"size": 3}, None),
    ("resize", ((7, 4),), {"size": 3, "mode": "bilinear"}, None),
    ("resize", ((7, 4, 4, 4),), {"size": 3, "mode": "bilinear"}, None),
    ("upsample", ((7,),), {"scale": 3}, None),
    ("upsample", ((7, 4),), {"scale": 3, "mode": "bilinear"}, None),
    ("upsample", ((7, 4),), {"scale": [2, 2]}, "scale"),
    ("local_response_norm", ((7,),), {"size": 5}, None),
    ("channel_shuffle", ((7, 4),), {"groups": 2}, "groups"),
    ("slice", ((7, 4),), {"stop": 8}, "stop"),
    ("slice", ((7, 4),), {"start": 3, "stop": 3}, "start"),
    ("slice", ((7, 4),), {"start": -2, "stop": 3}, "start"),
    ("slice", ((7, 4),), {"start": 0, "stop": -1}, "stop"),
    ("pad", ((7,),), {"padding": 1}, None),
    ("pad", ((7, 4),), {"padding": "same"}, "padding"),
    ("unflatten", ((6, 1),), {"shape": [6, 1, 1]}, None),
    ("unflatten", ((6,),), {"shape": [6, 2]}, "shape"),
    ("unflatten", ((6,),), {"shape": [6, 1, 1, 1, 1]}, "shape"),
    ("parameter", (), {"shape": [], "init": {"zeros": {}}}, "shape"),
    ("parameter", (), {"shape": [3, 0], "init": {"zeros": {}}}, "shape"),
    ("concat", ((3, 4, 4), (3, 4, 5)), {}, None),
    ("concat", ((3, 4, 4), (3, 1, 1)), {}, None),
    ("concat", ((3, 4, 4), (3,)), {}, None),
    ("add", ((3, 4, 4), (3,)), {}, None),
    ("add", ((3, 4, 4), (2, 4, 4)), {}, None),
    ("mul", ((3, 4, 4), (3, 1, 1), (3, 2, 4)), {}, None),
    ("sub", ((3, 4), (3, 5)), {}, None),
    ("shift", ((9, 4),), {}, None),
    ("shift", ((9, 4, 4),), {"kernel": 2}, "kernel"),
    ("shift", ((8, 4, 4),), {}, "kernel"),
    ("normalize", ((3, 4, 4),), {"mean": [0.5], "std": 1}, "mean"),
    ("normalize", ((3, 4, 4),), {"mean": 0, "std": [1, 2]}, "std"),
    ("normalize", ((3, 4, 4),), {"mean": 0, "std": [1, 0, 1]}, "std"),
    ("affine", ((3, 4, 4),), {"scale": [1, 2]}, "scale"),
    ("affine", ((3, 4, 4),), {"scale": 1, "shift": [1]}, "shift"),
    ("standardize_image", ((7,),), {}, None),
]


@pytest.mark.parametrize(("kind", "shapes", "attributes", "culprit"), REFUSED)
def test_impossible_inputs_are_refused(
    kind: str, shapes: tuple[tuple[int, ...], ...], attributes: dict[str, Any], culprit: str | None
) -> None:
    inputs = tuple(TensorType(shape) for shape in shapes)
    with pytest.raises(OpError) as caught:
        Op.registry[kind](attributes, inputs).infer(*inputs)
    assert caught.value.attribute == culprit
