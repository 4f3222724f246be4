"""The direct ONNX backend against the ops' NumPy references, on ONNX Runtime and onnx.reference."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from netspec.backends.lowering import NotLowered
from netspec.backends.onnx import write
from netspec.backends.onnx.file import write_file
from netspec.backends.onnx.model import skeleton
from netspec.diagnostics import SourceText, Span
from netspec.graph import Graph, Node, Output, Value, Weight
from netspec.ops import Op
from netspec.ops.base import Case, case
from netspec.types import TensorType

Array = NDArray[Any]

SPAN = Span(SourceText.of("test.yaml", ""), 1, 1, 1, 1)
# Beside the ops' own: what ONNX Runtime refuses unless it is written in another way.
CASES = [
    *((kind, row) for kind, op in sorted(Op.registry.items()) for row in op.cases),
    ("conv_transpose", case((4, 4, 3), out=2, kernel=3, dilation=3, output_padding=[2, 0])),
    ("conv_transpose", case((4, 5), out=2, kernel=2, dilation=4, padding=2, output_padding=3)),
    ("max_pool", case((2, 9, 8), kernel=2, stride=1, dilation=3, padding=[[3, 0], [0, 2]])),
    ("max_pool", case((2, 29), kernel=3, stride=5, dilation=3, ceil_mode=True)),
]
IDS = [f"{kind}-{row}" for kind, row in CASES]
FLOAT32 = 64 * 2.0**-24
FLOAT64 = 1e-13
GROUPS = "onnx.reference mixes up the groups"


class Net:
    """Builds a graph by hand."""

    def __init__(self, **inputs: tuple[int, ...]) -> None:
        self.inputs = [Value(name, TensorType(shape)) for name, shape in inputs.items()]
        self.nodes: list[Node] = []

    def add(self, path: str, kind: str, *inputs: Value, **attributes: Any) -> Value:
        types = tuple(value.type for value in inputs)
        op = Op.registry[kind](attributes, types)
        output = Value(path, op.infer(*types))
        weights = tuple(
            Weight(
                f"{path}.{p.name}" if p.name else path,
                p.name,
                p.shape,
                p.init,
                p.trainable,
                p.dtype,
            )
            for p in op.params(*types)
        )
        self.nodes.append(Node(path, op, inputs, output, weights, SPAN))
        return output

    def graph(self, **outputs: Value) -> Graph:
        ends = tuple(Output(name, value) for name, value in outputs.items())
        return Graph("net", {}, tuple(self.inputs), ends, tuple(self.nodes), None)


def one_node(kind: str, row: Case) -> Graph:
    net = Net(**{f"x{i}": shape for i, shape in enumerate(row.shapes)})
    return net.graph(y=net.add("node", kind, *net.inputs, **row.attributes))


def random_weights(graph: Graph) -> dict[str, Array]:
    """Float32 values; variances are positive, and small enough for epsilon to show."""
    rng = np.random.default_rng(zlib.crc32(repr(graph.nodes[0].op).encode()))
    return {
        w.key: np.asarray(
            rng.uniform(0.01, 2.0, w.shape)
            if w.name == "running_var"
            else rng.normal(0, 1, w.shape)
        ).astype(w.dtype)
        for w in graph.weights
    }


def random_inputs(graph: Graph, batch: int) -> dict[str, Array]:
    """Float32 values on both sides of every activation's knees."""
    rng = np.random.default_rng(batch)
    return {
        value.name: rng.normal(0, 3, (batch, *value.type.shape)).astype(np.float32)
        for value in graph.inputs
    }


def reference(graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array]) -> Array:
    """The one node's output, in float64."""
    (node,) = graph.nodes
    given = {
        w.name: np.asarray(weights[w.key], np.float64) for w in node.weights if w.dtype == "float32"
    }
    arrays = [np.asarray(x, np.float64) for x in inputs.values()]
    result = node.op.reference(*arrays, **given)
    batch = max((len(x) for x in arrays), default=len(result))
    return np.broadcast_to(result, (batch, *result.shape[1:]))


def run(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def assert_close(found: Array, expected: Array, tolerance: float) -> None:
    assert found.shape == expected.shape
    scale = max(np.abs(expected).max(), 1e-3)
    assert np.abs(found - expected).max() <= tolerance * scale


@pytest.mark.parametrize("opset", [17, 18, 20, 22])
@pytest.mark.parametrize(("kind", "row"), CASES, ids=IDS)
def test_each_op_on_onnx_runtime(kind: str, row: Case, opset: int, tmp_path: Path) -> None:
    graph = one_node(kind, row)
    weights = random_weights(graph)
    path = tmp_path / "model.onnx"
    write(graph, weights, path, opset)
    onnx.checker.check_model(path, full_check=True)
    for batch in (1, 3):
        inputs = random_inputs(graph, batch)
        assert_close(run(path, inputs)["y"], reference(graph, weights, inputs), FLOAT32)


class Erf(OpRun):
    """onnx.reference computes this one in float32."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


def float64_rows() -> Iterator[Any]:
    """The case table, with marks for what onnx.reference computes wrongly."""
    wrong = pytest.mark.xfail(
        raises=(AssertionError, ValueError), reason="onnx.reference mixes up the groups"
    )
    for (kind, row), name in zip(CASES, IDS, strict=True):
        grouped = kind == "conv_transpose" and row.attributes.get("groups", 1) > 1
        yield pytest.param(kind, row, id=name, marks=[wrong] if grouped else [])


@pytest.mark.parametrize(("kind", "row"), list(float64_rows()))
def test_each_op_in_float64(kind: str, row: Case, tmp_path: Path) -> None:
    graph = one_node(kind, row)
    weights = random_weights(graph)
    path = tmp_path / "model.onnx"
    write(graph, weights, path, dtype="float64")
    inputs = random_inputs(graph, 2)
    doubles = {name: x.astype(np.float64) for name, x in inputs.items()}
    (found,) = ReferenceEvaluator(onnx.load(path), new_ops=[Erf]).run(None, doubles)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert_close(found, reference(graph, weights, inputs), FLOAT64)


def conv_net() -> Graph:
    """Two convolutions with a batch norm between: three kinds of names, 18 kB of weights."""
    net = Net(image=(3, 9, 8))
    x = net.add("stem.conv", "conv", net.inputs[0], out=32, kernel=3, padding=1)
    x = net.add("stem.norm", "batch_norm", x)
    x = net.add("head", "conv", x, out=16, kernel=3)
    return net.graph(features=x)


def test_names_shapes_and_versions_are_the_specs(tmp_path: Path) -> None:
    graph = conv_net()
    weights = random_weights(graph)
    write(graph, weights, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    assert [node.name for node in model.graph.node] == ["stem.conv", "stem.norm", "head"]
    assert [node.output[0] for node in model.graph.node] == ["stem.conv", "stem.norm", "features"]
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert stored.keys() == weights.keys() - {"stem.norm.num_batches_tracked"}
    for key, array in stored.items():
        np.testing.assert_array_equal(array, weights[key])
    shapes = [
        [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", 3, 9, 8], ["batch", 16, 7, 6]]
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == [
        "image",
        "features",
    ]
    assert (model.ir_version, model.opset_import[0].version) == (10, 18)
    assert model.producer_name == "netspec"


def test_values_that_pass_through_still_have_every_output_name(tmp_path: Path) -> None:
    net = Net(image=(4, 3, 3))
    image = net.inputs[0]
    same = net.add("drop", "dropout", image, rate=0.5)
    active = net.add("act", "relu", same)
    late = net.add("drop2", "dropout", active, rate=0.5)
    # `act` names another node's value, `image` is a node's path too, and `late` is named twice.
    other = net.add("image", "relu6", active)
    graph = net.graph(passed=same, act=other, first=late, second=active)
    write(graph, {}, tmp_path / "model.onnx")
    x = random_inputs(graph, 2)
    found = run(tmp_path / "model.onnx", x)
    np.testing.assert_array_equal(found["passed"], x["image"])
    np.testing.assert_array_equal(found["act"], np.clip(x["image"], 0, 6))
    np.testing.assert_array_equal(found["first"], np.maximum(x["image"], 0))
    np.testing.assert_array_equal(found["second"], np.maximum(x["image"], 0))


def test_a_parameter_is_repeated_for_each_sample(tmp_path: Path) -> None:
    net = Net(image=(2, 3))
    token = net.add("token", "parameter", shape=[1, 3], init={"zeros": {}})
    twice = net.add("twice", "add", token, token)
    joined = net.add("joined", "concat", twice, net.inputs[0])
    graph = net.graph(joined=joined, token=token)
    value = np.array([[1.0, -2.0, 3.0]], np.float32)
    write(graph, {"token": value}, tmp_path / "model.onnx")
    for batch in (1, 3):
        x = random_inputs(graph, batch)
        found = run(tmp_path / "model.onnx", x)
        repeated = np.broadcast_to(value, (batch, 1, 3))
        np.testing.assert_array_equal(found["token"], repeated)
        np.testing.assert_array_equal(
            found["joined"], np.concatenate([2 * repeated, x["image"]], axis=1)
        )


def test_shared_nodes_read_one_initializer(tmp_path: Path) -> None:
    net = Net(a=(3,), b=(3,))
    first = net.add("tower", "linear", net.inputs[0], out=2)
    owner = net.nodes[0]
    second = Value("again", first.type)
    net.nodes.append(
        Node("again", owner.op, (net.inputs[1],), second, owner.weights, SPAN, shared=True)
    )
    graph = net.graph(y=net.add("y", "sub", first, second))
    weights = random_weights(graph)
    write(graph, weights, tmp_path / "model.onnx")
    x = random_inputs(graph, 2)
    expected = (x["a"].astype(np.float64) - x["b"]) @ weights["tower.weight"].T
    assert_close(run(tmp_path / "model.onnx", x)["y"], expected, FLOAT32)


def test_what_only_training_needs_is_left_out(tmp_path: Path) -> None:
    net = Net(x=(3,))
    main = net.add("main", "linear", net.inputs[0], out=2)
    aux = net.add("aux", "linear", net.inputs[0], out=2)
    graph = Graph(
        "net",
        {},
        tuple(net.inputs),
        (Output("main", main), Output("aux", aux, training=True)),
        tuple(net.nodes),
        None,
    )
    weights = {key: w for key, w in random_weights(graph).items() if key.startswith("main.")}
    write(graph, weights, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    assert [node.name for node in model.graph.node] == ["main"]
    assert {t.name for t in model.graph.initializer} == {"main.weight", "main.bias"}


class OneAtATime(Mapping[str, Array]):
    """Makes each array when asked, and fails if the one before it is still held."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays
        self.last: Any = lambda: None
        self.loads = 0

    def __getitem__(self, key: str) -> Array:
        assert self.last() is None, "the previous tensor is still in memory"
        array = self.arrays[key].copy()
        self.last = ref(array)
        self.loads += 1
        return array

    def __contains__(self, key: object) -> bool:
        return key in self.arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


@pytest.mark.parametrize("limit", [0, 2**31], ids=["external", "inline"])
def test_weights_are_streamed(limit: int, tmp_path: Path) -> None:
    graph = conv_net()
    weights = random_weights(graph)
    streamed = OneAtATime(weights)
    path = tmp_path / "streamed.onnx"
    write_file(skeleton(graph, 18, "float32"), streamed, path, inline_limit=limit)
    assert streamed.loads == len(weights) - 1
    assert (tmp_path / "streamed.onnx.data").exists() == (limit == 0)
    onnx.checker.check_model(path, full_check=True)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    assert len(stored) == streamed.loads
    for key, array in stored.items():
        np.testing.assert_array_equal(array, weights[key])
    x = random_inputs(graph, 2)
    write(graph, weights, tmp_path / "inline.onnx")
    found, expected = run(path, x), run(tmp_path / "inline.onnx", x)
    np.testing.assert_array_equal(found["features"], expected["features"])


class BrokenDisk(OneAtATime):
    def __getitem__(self, key: str) -> Array:
        if self.loads == 2:
            raise OSError("the disk is gone")
        return super().__getitem__(key)


@pytest.mark.parametrize("limit", [0, 2**31], ids=["external", "inline"])
def test_a_failure_leaves_the_folder_as_it_was(limit: int, tmp_path: Path) -> None:
    graph = conv_net()
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the model of yesterday")
    with pytest.raises(OSError, match="the disk is gone"):
        write_file(skeleton(graph, 18, "float32"), BrokenDisk(random_weights(graph)), path, limit)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == b"the model of yesterday"


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    graph = conv_net()
    weights = random_weights(graph)
    path = tmp_path / "model.onnx"
    with pytest.raises(ValueError, match=r"no weight for stem\.conv\.weight$"):
        write(graph, {k: w for k, w in weights.items() if k != "stem.conv.weight"}, path)
    with pytest.raises(ValueError, match=r"'head\.bias' has the shape \(8,\), not \(16,\)"):
        write(graph, {**weights, "head.bias": weights["head.bias"][:8]}, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"), [({"opset": 16}, "opset 16"), ({"dtype": "float16"}, "float16")]
)
def test_unsupported_formats_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        write(conv_net(), {}, tmp_path / "model.onnx", **options)


def test_an_op_without_a_lowering_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Op, "registry", dict(Op.registry))

    class Unheard(Op, kind="unheard_of"):
        """An op of somebody else's."""

        cases = (case((3,)),)

    net = Net(x=(3,))
    graph = net.graph(y=net.add("y", "unheard_of", net.inputs[0]))
    with pytest.raises(NotLowered, match="onnx backend has no lowering for `unheard_of`"):
        write(graph, {}, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
