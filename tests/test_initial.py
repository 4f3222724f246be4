"""Initial weights: distributions held against torch.nn.init, and what the bits depend on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from netspec.diagnostics import SourceText, Span
from netspec.graph import Graph, Node, Output, Value, Weight
from netspec.initial import generator, initial_weights, sample
from netspec.initialisers import INITIALISERS, InitialiserError, canonical, fans
from netspec.ops import Op
from netspec.reference import evaluate, run
from netspec.types import TensorType

Step = tuple[str, dict[str, Any]]  # an op and its attributes
SHAPE = (200, 100, 3, 3)  # 180,000 values, fan_in 900, fan_out 1800
KERAS_CUT = 0.87962566103423978  # keras/src/initializers/random_initializers.py


def trunc(std: float) -> Callable[[torch.Tensor], Any]:
    return lambda t: nn.init.trunc_normal_(t, std=std, a=-2 * std, b=2 * std)


DISTRIBUTIONS: list[tuple[Any, Callable[[torch.Tensor], Any]]] = [
    ("zeros", nn.init.zeros_),
    ("ones", nn.init.ones_),
    ({"constant": 0.25}, lambda t: nn.init.constant_(t, 0.25)),
    ({"normal": {"std": 0.3}}, lambda t: nn.init.normal_(t, std=0.3)),
    ({"uniform": {"low": -1, "high": 3}}, lambda t: nn.init.uniform_(t, -1, 3)),
    (
        {"truncated_normal": {"std": 0.5, "low": -0.2, "high": 1}},
        lambda t: nn.init.trunc_normal_(t, std=0.5, a=-0.2, b=1.0),
    ),
    ({"kaiming_normal": {}}, lambda t: nn.init.kaiming_normal_(t, nonlinearity="relu")),
    (
        {"kaiming_normal": {"mode": "fan_out"}},
        lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
    ),
    ("kaiming_uniform", lambda t: nn.init.kaiming_uniform_(t, nonlinearity="relu")),
    (
        {"kaiming_uniform": {"mode": "fan_out"}},
        lambda t: nn.init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"),
    ),
    ("xavier_normal", nn.init.xavier_normal_),
    ({"xavier_uniform": {}}, nn.init.xavier_uniform_),
    ("variance_scaling", trunc(math.sqrt(1 / 900) / KERAS_CUT)),
    (
        {"variance_scaling": {"scale": 2, "mode": "fan_out", "distribution": "normal"}},
        lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
    ),
    (
        {"variance_scaling": {"mode": "fan_avg", "distribution": "uniform"}},
        nn.init.xavier_uniform_,
    ),
    ("fan_in_uniform", lambda t: nn.init.kaiming_uniform_(t, a=math.sqrt(5))),
]


def distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Kolmogorov and Smirnov's: the largest difference of the distribution functions."""
    a, b = np.sort(a.ravel()), np.sort(b.ravel())
    at = np.concatenate([a, b])
    below = (np.searchsorted(x, at, "right") / x.size for x in (a, b))
    return float(np.abs(np.subtract(*below)).max())


def test_every_initialiser_is_tested() -> None:
    assert {canonical(init)[0] for init, _ in DISTRIBUTIONS} == set(INITIALISERS)


@pytest.mark.parametrize(
    ("init", "torch_init"), DISTRIBUTIONS, ids=lambda v: "torch" if callable(v) else str(v)
)
def test_distributions_equal_torchs(init: Any, torch_init: Callable[[torch.Tensor], Any]) -> None:
    torch.manual_seed(0)
    expected = torch.empty(SHAPE, dtype=torch.float64)
    torch_init(expected)
    found = sample(init, SHAPE, generator(0, "conv.weight"))
    assert found.shape == SHAPE
    # Two samples of a distribution are farther apart than this once in 10^9 draws.
    assert distance(found, expected.numpy()) < 3.3 * math.sqrt(2 / found.size)


def test_a_bias_has_the_fans_of_its_weight() -> None:
    layer = nn.Conv2d(100, 4000, 3)
    assert layer.bias is not None
    found = sample("fan_in_uniform", (4000,), generator(0, "bias"), (4000, 100, 3, 3))
    assert np.abs(found).max() <= 1 / math.sqrt(900)
    assert distance(found, layer.bias.detach().numpy()) < 3.3 * math.sqrt(2 / 4000)


@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 2), (8, 6, 3, 5), (2, 3, 4, 5, 6)])
def test_fans_equal_torchs(shape: tuple[int, ...]) -> None:
    assert fans(shape) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize(
    "value",
    [
        "normal",
        "zeroes",
        {"zeros": 1},
        {"normal": {"std": -1}},
        {"normal": {"std": "0.1"}},
        {"normal": {"std": True}},
        {"normal": {"std": math.nan}},
        {"normal": {"std": 0.1, "mean": 0}},
        {"uniform": {"low": 1, "high": 0}},
        {"uniform": 1},
        {"kaiming_normal": {"mode": "fan_avg"}},
        {"truncated_normal": {"std": 0.02, "low": 1, "high": 2}},
        {"zeros": {}, "ones": {}},
        {},
        3,
    ],
    ids=str,
)
def test_malformed_initialisers_are_refused(value: Any) -> None:
    with pytest.raises(InitialiserError):
        canonical(value)


def test_a_vector_without_a_weight_has_no_fans() -> None:
    with pytest.raises(InitialiserError, match="no fans"):
        sample("kaiming_normal", (7,), generator(0, "bn.weight"), (7,))


def chain(*steps: Step) -> Graph:
    """A graph of ops one after the other, with paths 0, 1, 2, ..."""
    span = Span(SourceText.of("test", ""), 1, 1, 1, 1)
    source = value = Value("image", TensorType((3, 8, 8)))
    nodes = []
    for number, (kind, attributes) in enumerate(steps):
        op = Op.registry[kind](attributes, (value.type,))
        weights = tuple(
            Weight(f"{number}.{p.name}", p.name, p.shape, p.init, p.trainable, p.dtype)
            for p in op.params(value.type)
        )
        output = Value(str(number), op.infer(value.type))
        nodes.append(Node(str(number), op, (value,), output, weights, span))
        value = output
    outputs = (Output("middle", nodes[0].output), Output("last", value))
    return Graph("chain", {}, (source,), outputs, tuple(nodes), None)


CONV: Step = ("conv", {"out": 4, "kernel": 3})
NETWORK: tuple[Step, ...] = (
    CONV,
    ("batch_norm", {}),
    ("relu", {}),
    ("flatten", {}),
    ("linear", {"out": 5}),
)


def test_bits_depend_on_seed_and_key_alone() -> None:
    weights = initial_weights(chain(*NETWORK), seed=1)
    alone = initial_weights(chain(CONV), seed=1)
    np.testing.assert_array_equal(weights["0.weight"], alone["0.weight"])
    other = initial_weights(chain(CONV), seed=2)
    assert (weights["0.weight"] != other["0.weight"]).all()
    twice = initial_weights(chain(CONV, CONV), seed=1)
    assert (twice["0.bias"] != twice["1.bias"]).all()


def test_types_are_the_checkpoints() -> None:
    weights = initial_weights(chain(*NETWORK))
    assert weights["1.num_batches_tracked"].dtype == np.int64
    assert weights["1.num_batches_tracked"].shape == ()
    assert {w.dtype for k, w in weights.items() if "tracked" not in k} == {np.dtype("float32")}
    assert np.abs(weights["0.bias"]).max() <= 1 / math.sqrt(27)


def as_torch(weights: dict[str, NDArray[Any]]) -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
    )
    model.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in weights.items()})
    return model.double().eval()


def test_run_computes_what_torch_does() -> None:
    graph = chain(*NETWORK)
    weights = initial_weights(graph)
    image = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    found = run(graph, weights, {"image": image})
    model = as_torch(weights)
    norm: Any = model[1]
    norm.eps = float(np.float32(1e-5))  # what an attribute means
    with torch.no_grad():
        x = torch.from_numpy(image).double()
        np.testing.assert_allclose(found["middle"], model[0](x).numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found["last"], model(x).numpy(), rtol=1e-12, atol=1e-14)


def test_run_refuses_inputs_that_do_not_fit() -> None:
    graph = chain(*NETWORK)
    weights = initial_weights(graph)
    for inputs in ({}, {"image": np.zeros((2, 3, 8, 7))}, {"picture": np.zeros((2, 3, 8, 8))}):
        with pytest.raises(ValueError, match="inputs need"):
            run(graph, weights, inputs)


def test_values_are_freed_unless_wanted() -> None:
    graph = chain(*NETWORK)
    weights = initial_weights(graph)
    values = {graph.inputs[0]: np.zeros((1, 3, 8, 8))}
    first, last = graph.nodes[0].output, graph.nodes[-1].output
    assert set(evaluate(graph.nodes, weights, values)) == {last}
    assert set(evaluate(graph.nodes, weights, values, wanted=[first])) == {first, last}
    assert len(evaluate(graph.nodes, weights, values, keep=True)) == len(graph.nodes) + 1


def test_after_replaces_an_output() -> None:
    graph = chain(("identity", {}), ("relu", {}))
    values = {graph.inputs[0]: np.ones((1, 3, 8, 8))}
    negated = evaluate(
        graph.nodes, {}, values, after=lambda node, _, y: -y if node.path == "0" else y
    )
    np.testing.assert_array_equal(negated[graph.nodes[1].output], 0.0)
