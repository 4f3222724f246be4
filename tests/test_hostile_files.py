"""Files that were made to do harm, or are merely broken: each is refused in a line, and soon."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import netspec
from netspec.exports import bench, worker
from netspec.exports.evaluator import NotEvaluatedError, Program
from netspec.exports.export import export_graph, save_weights
from netspec.exports.onnx_bounds import NODES, excess
from netspec.exports.probe import probe_weights
from netspec.exports.report import AGREED, DISAGREED, FAILED, NOT_RUN, Report
from netspec.exports.verify import verify_graph
from netspec.exports.weights import read_weights
from netspec.graph import Graph

SPEC = """\
netspec: 1
name: net
inputs: {image: [3, 8, 8]}
body:
  c1: {conv: {out: 4, kernel: 3, padding: 1, bias: false}}
  n1: batch_norm
  r1: relu
  c2: {conv: {out: 5, kernel: 3, stride: 2, padding: 1}}
  gap: global_avg_pool
  flat: flatten
  fc: {linear: 6}
"""
SECONDS = 60

Change = Callable[[ModelProto], Any]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = tmp_path_factory.mktemp("spec") / "net.yaml"
    path.write_text(SPEC)
    return netspec.load(path)


@pytest.fixture(scope="module")
def right(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that agrees, made by the direct writer."""
    path = tmp_path_factory.mktemp("right") / "net.onnx"
    export_graph(graph, lambda _: "", probe_weights(graph, 0), path, backend="onnx")
    return path


@pytest.fixture(autouse=True)
def end() -> Iterator[None]:
    """What does not end fails."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no end within {SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


def _run(path: Path, log: Path, timeout: float, _environment: object) -> int:
    """A job in this process, with the outcome that a worker's process has."""
    assert timeout == bench.FINISHED_S
    path.write_text(path.read_text().replace('"bounded": true', '"bounded": false'))
    log.write_text("a log")
    worker._main(path)
    return 0


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_run", _run)


def verified(graph: Graph, model: Path) -> Report:
    return verify_graph(graph, lambda _: "", model=model)


def changed(right: Path, folder: Path, change: Change) -> Path:
    model = onnx.load(right)
    made = change(model)
    path = folder / "bad.onnx"
    path.write_bytes(made if isinstance(made, bytes) else model.SerializeToString())
    return path


# ---- ways to spoil a file


def node(model: ModelProto, name: str) -> NodeProto:
    found: NodeProto = next(n for n in model.graph.node if n.name == name)
    return found


def tensor(model: ModelProto, name: str) -> TensorProto:
    found: TensorProto = next(t for t in model.graph.initializer if t.name == name)
    return found


def attribute(**given: Any) -> Change:
    """Of the second convolution."""

    def change(model: ModelProto) -> None:
        conv = node(model, "c2")
        kept = [a for a in conv.attribute if a.name not in given]
        del conv.attribute[:]
        conv.attribute.extend([*kept, *(helper.make_attribute(k, v) for k, v in given.items())])

    return change


def batch(size: int) -> Change:
    def change(model: ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size

    return change


def input_type(kind: int) -> Change:
    def change(model: ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    return change


def external(**given: object) -> Change:
    def change(model: ModelProto) -> None:
        weight = tensor(model, "c2.weight")
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in given.items():
            weight.external_data.add(key=key, value=str(value))

    return change


def add(model: ModelProto, name: str, value: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def beside(op: str, *inputs: Any, **attributes: Any) -> Change:
    """Add the largest element of what a node `big` makes to the output."""

    def change(model: ModelProto) -> None:
        for at, value in enumerate(inputs):
            add(model, f"big_{at}", value)
        names = [f"big_{at}" for at in range(len(inputs))]
        node(model, "fc").output[0] = "inner"
        model.graph.node.extend(
            [
                helper.make_node(op, names, ["big"], name="big", **attributes),
                helper.make_node("ReduceMax", ["big"], ["largest"], keepdims=0),
                helper.make_node("Add", ["inner", "largest"], [model.graph.output[0].name]),
            ]
        )

    return change


def wide_add(model: ModelProto) -> None:
    shapes = (2**20, 1), (1, 2**20)
    beside("Add", *(np.zeros(shape, np.float32) for shape in shapes))(model)


def loop(trips: int) -> Change:
    def change(model: ModelProto) -> None:
        value = helper.make_tensor_value_info
        body = helper.make_graph(
            [helper.make_node("Identity", [f"{x}in"], [f"{x}out"]) for x in "cx"],
            "body",
            [value("i", 7, []), value("cin", 9, []), value("xin", 1, None)],
            [value("cout", 9, []), value("xout", 1, None)],
        )
        add(model, "trips", np.int64(trips))
        add(model, "more", np.bool_(True))
        fc = node(model, "fc")
        output, fc.output[0] = fc.output[0], "inner"
        names = ["trips", "more", "inner"]
        model.graph.node.append(helper.make_node("Loop", names, [output], name="loop", body=body))

    return change


def doubling(depth: int) -> Change:
    """The activation is a function that calls another twice, and so on: 2^depth nodes."""

    def change(model: ModelProto) -> None:
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        model.opset_import.append(opsets[1])
        relu = node(model, "r1")
        relu.op_type, relu.domain = "f0", "own"
        for k in range(depth + 1):
            halves = [(f"f{k + 1}", "own", "x", "t"), (f"f{k + 1}", "own", "t", "y")]
            calls = halves if k < depth else [("Relu", "", "x", "y")]
            nodes = [helper.make_node(f, [x], [y], domain=d) for f, d, x, y in calls]
            model.functions.append(
                helper.make_function("own", f"f{k}", ["x"], ["y"], nodes, opsets)
            )

    return change


def more_input(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mystery", 1, ["batch", 3]))


def empty_weight(model: ModelProto) -> None:
    add(model, "none", np.zeros((0, 4, 3, 3), np.float32))
    node(model, "c2").input[1] = "none"


def type_99(model: ModelProto) -> None:
    tensor(model, "c2.weight").data_type = 99


def declared_77(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 77


def steering(model: ModelProto) -> None:
    """A name that would clear the screen, of a node that cannot be evaluated."""
    attribute(group=0)(model)
    node(model, "c2").name = "\x1b[2Jc2\n"


def resized(model: ModelProto) -> None:
    add(model, "scales", np.array([1, 1, 1e5, 1e5], np.float32))
    made = helper.make_node("Resize", ["r1", "", "scales"], ["wide"], name="resize")
    at = list(model.graph.node).index(node(model, "c2"))
    node(model, "c2").input[0] = "wide"
    model.graph.node.insert(at, made)


def cut_off(model: ModelProto) -> bytes:
    data: bytes = model.SerializeToString()
    return data[: len(data) // 2]


BOTH = None  # the runtime's row says what the evaluator's does


@dataclass(frozen=True)
class Case:
    """A change, and what the two rows say of it; what begins with `not evaluated` was not run."""

    change: Change
    evaluator: str
    runtime: str | None = BOTH


REFUSED = "ONNX Runtime makes no session: "
CASES = {
    "half a file": Case(cut_off, "bad.onnx is not a readable ONNX file: "),
    "no outputs": Case(lambda m: m.graph.ClearField("output"), "bad.onnx holds no network"),
    "batch 0": Case(batch(0), "has a batch of 0, which is not run"),
    "batch -1": Case(batch(-1), "has a batch of -1, which is not run"),
    "batch 2e7": Case(batch(20_000_000), "has a batch of 20,000,000, which is not run"),
    "batch 2^40": Case(batch(2**40), "which is not run"),
    "text": Case(input_type(TensorProto.STRING), "takes no float32"),
    "integers": Case(input_type(TensorProto.INT64), "image int64[batch, 3, 8, 8] takes no float32"),
    "no type": Case(input_type(0), "takes no float32"),
    "input of type 99": Case(input_type(99), "takes no float32"),
    "weight of type 99": Case(type_99, "the tensor c2.weight: ", REFUSED),
    "input more": Case(more_input, "the file has an input that the spec lacks: mystery"),
    "declared shape": Case(declared_77, "float32[batch, 77] comes out with the shape (6,)"),
    "stride 0": Case(attribute(strides=[0, 0]), "c2 (Conv): ", REFUSED + "Node (c2)"),
    "group 0": Case(attribute(group=0), "c2 (Conv): ", "c2 (Conv): "),
    "group 3": Case(attribute(group=3), "c2 (Conv): ", "c2 (Conv): "),
    "kernel_shape": Case(attribute(kernel_shape=[5, 5]), "c2 (Conv): ", "c2 (Conv): kernel_shape "),
    "pads short": Case(attribute(pads=[1]), "c2 (Conv): ", REFUSED + "Node (c2)"),
    "pads negative": Case(attribute(pads=[-99] * 4), "c2 (Conv): ", REFUSED + "Node (c2)"),
    "pads huge": Case(attribute(pads=[2**30] * 4), "not evaluated: c2 (Conv) with", ""),
    "dilation huge": Case(attribute(dilations=[2**31] * 2), "not evaluated: c2 (Conv) with", ""),
    "no weight": Case(empty_weight, "c2 (Conv): ", ""),
    "resize": Case(resized, "not evaluated: resize (Resize) with", "resize (Resize): "),
    "constant": Case(
        beside("ConstantOfShape", np.array([2**40])),
        "not evaluated: big (ConstantOfShape) with 1,099,511,627,776 elements",
        "big (ConstantOfShape): Failed to allocate",
    ),
    "expanded": Case(
        beside("Expand", np.float32(0), np.array([2**20, 2**20])),
        "not evaluated: big (Expand) with",
        "big (Expand): Failed to allocate",
    ),
    "broadcast": Case(wide_add, "not evaluated: big (Add) with", "big (Add): Failed to allocate"),
    "offset": Case(external(location="near", offset=2**50, length=4), "not a readable ONNX", ""),
    "length": Case(external(location="near", offset=0, length=2**50), "not a readable ONNX", ""),
    "length of text": Case(external(location="near", length="abc"), "not a readable ONNX", ""),
    "negative offset": Case(external(location="near", offset=-7), "not a readable ONNX", ""),
    "data too short": Case(external(location="near"), "the tensor c2.weight: ", "c2.weight"),
    "data elsewhere": Case(external(location="../x"), "points outside the directory", "c2.weight"),
    "endless loop": Case(loop(2**62), "loop is a Loop that is not known to end within"),
    "doubling functions": Case(doubling(30), f"it has more than {NODES:,} nodes"),
    "steering name": Case(steering, "c2 (Conv): ", "(Conv): "),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_refused_in_a_line(
    graph: Graph, right: Path, tmp_path: Path, here: None, name: str
) -> None:
    """The line says what is at fault; no other node is blamed, and no log is shown."""
    case = CASES[name]
    (tmp_path / "near").write_bytes(bytes(100))
    report = verified(graph, changed(right, tmp_path, case.change))
    (evaluated,), (run,) = report.same, report.rows
    assert evaluated.status == (NOT_RUN if case.evaluator.startswith("not eval") else FAILED)
    assert case.evaluator in evaluated.reason
    assert run.status == FAILED
    assert (case.evaluator if case.runtime is BOTH else case.runtime) in run.reason
    assert all(f"{blame.node} (" in evaluated.reason for blame in report.blames)
    for row in (evaluated, run):
        assert row.reason
        assert row.reason.isprintable()
        assert not row.detail
        assert "/onnxruntime_src/" not in row.reason


def test_what_is_much_but_ends_is_run(
    graph: Graph, right: Path, tmp_path: Path, here: None
) -> None:
    assert verified(graph, changed(right, tmp_path, doubling(6)))
    report = verified(graph, changed(right, tmp_path, loop(3)))
    assert [row.status for row in (*report.same, *report.rows)] == [NOT_RUN, AGREED]


def test_nodes_are_counted_before_they_are_made(right: Path) -> None:
    model = onnx.load(right)
    doubling(100_000 // 4)(model)  # a chain of calls deeper than Python's own
    assert excess(model)
    circle = onnx.load(right)
    doubling(1)(circle)
    circle.functions[1].node[0].CopyFrom(circle.functions[0].node[0])
    assert not excess(circle)  # it has no size; that it is invalid, its reader says


@pytest.mark.parametrize("special", ["pipe", "device", "folder", "dangling link"])
def test_a_model_is_a_regular_file(graph: Graph, tmp_path: Path, here: None, special: str) -> None:
    """A pipe would be read for ever, a device until the memory is full."""
    path = tmp_path / "model.onnx"
    make: dict[str, Callable[[], Any]] = {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
    }
    make[special]()
    report = verified(graph, path)
    word = "does not exist" if special == "dangling link" else "is no regular file"
    assert {word in row.reason for row in (*report.same, *report.rows)} == {True}


def test_a_folder_that_is_a_file_is_refused_at_once(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("")
    with pytest.raises(NotADirectoryError, match="not a folder"):
        verify_graph(graph, lambda _: pytest.fail("it was begun"), folder=path)


# ---- operators that make much of little


ARRAYS: dict[str, list[Any]] = {
    "Add": [np.zeros((2**16, 1)), np.zeros((1, 2**16))],
    "MatMul": [np.zeros((2**16, 1)), np.zeros((1, 2**16))],
    "Gemm": [np.zeros((2**16, 1)), np.zeros((1, 2**16))],
    "Gather": [np.zeros((1, 2**16)), np.zeros(2**16, np.int64)],
    "Tile": [np.zeros(2**10), np.array([2**40])],
    "Range": [np.int64(0), np.int64(2**40), np.int64(1)],
    "Pad": [np.zeros((2, 2)), np.array([0, 0, 2**40, 0])],
    "ConstantOfShape": [np.array([2**20, 2**20])],
    "Expand": [np.zeros(1), np.array([2**62, 2**62])],
}


@pytest.mark.parametrize("op", ARRAYS)
def test_too_many_elements_are_not_evaluated(op: str) -> None:
    arrays = [np.asarray(x) for x in ARRAYS[op]]
    ports = [
        helper.make_tensor_value_info(f"x{at}", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for at, x in enumerate(arrays)
    ]
    made = helper.make_node(op, [port.name for port in ports], ["y"], name="n")
    output = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(
        helper.make_graph([made], "g", ports, [output]), opset_imports=[opset]
    )
    with pytest.raises(NotEvaluatedError, match=rf"^n \({op}\) with .* elements"):
        Program(model).run({port.name: x for port, x in zip(ports, arrays, strict=True)})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_memory_is_bounded() -> None:
    """More than there is fails at once, instead of ending some process."""
    code = """
import mmap, os
from netspec.exports import worker
worker._bound_memory()
total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
half, most = int(total * 0.5), int(total * 0.9)
mmap.mmap(-1, half, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
try:
    mmap.mmap(-1, most, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
except OSError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


# ---- layouts that are told, and that are not


def transposed(model: ModelProto, declared: list[Any]) -> None:
    """The output, four axes of it, comes out channels last and is declared so or otherwise."""
    out = model.graph.output[0]
    made = next(n for n in model.graph.node if out.name in n.output)
    made.output[0] = "first"
    perm = [0, 2, 3, 1]
    model.graph.node.append(helper.make_node("Transpose", ["first"], [out.name], perm=perm))
    out.CopyFrom(helper.make_tensor_value_info(out.name, 1, declared))


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (["batch", 4, 4, 5], "its output output is channels last"),
        (["batch", "h", "w", "c"], "its output output is channels last"),
        (
            ["batch", 5, 4, 4],
            "the file's output output float32[batch, 5, 4, 4] comes out with the shape (4, 4, 5)",
        ),
    ],
)
def test_channels_last_must_not_be_denied(
    tmp_path: Path, here: None, declared: list[Any], reason: str
) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("\n".join(SPEC.splitlines()[:-3]) + "\n")
    graph = netspec.load(spec)
    path = tmp_path / "net.onnx"
    export_graph(graph, lambda _: "", probe_weights(graph, 0), path, backend="onnx")
    report = verified(graph, changed(path, tmp_path, lambda m: transposed(m, declared)))
    rows = (*report.same, *report.rows)
    assert [row.reason for row in rows] == [reason] * 2
    assert {row.status for row in rows} == {FAILED if 5 in declared[:2] else AGREED}


# ---- numbers of other widths


def test_numbers_of_16_bits_are_told(graph: Graph, right: Path, tmp_path: Path, here: None) -> None:
    def change(model: ModelProto) -> None:
        weight = tensor(model, "c2.weight")
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), "half")
        model.graph.initializer.append(half)
        model.graph.initializer.remove(weight)
        cast = helper.make_node("Cast", ["half"], ["c2.weight"], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)

    report = verified(graph, changed(right, tmp_path, change))
    (row,) = report.same
    assert row.status == DISAGREED
    assert "; 180 of " in row.reason
    assert row.reason.endswith(" of its stored numbers are float16")


def test_doubles_that_a_provider_lacks_are_not_run(
    graph: Graph, tmp_path: Path, here: None
) -> None:
    path = tmp_path / "double.onnx"
    weights = probe_weights(graph, 0)
    export_graph(graph, lambda _: "", weights, path, backend="onnx", dtype="float64")
    report = verified(graph, path)
    assert report.same[0].status == AGREED
    (row,) = report.rows
    assert (row.status, row.reason) == (NOT_RUN, "CPUExecutionProvider has no float64 Conv")


# ---- weights


def test_what_is_saved_is_read(graph: Graph, tmp_path: Path) -> None:
    """Counters of batches are single numbers without an axis."""
    weights = probe_weights(graph, 0)
    weights["c1.weight"] = weights["c1.weight"].transpose().copy().transpose()
    path = tmp_path / "w.safetensors"
    save_weights(weights, path)
    read = read_weights(graph, path)
    assert {key: w.shape for key, w in read.items()} == {key: w.shape for key, w in weights.items()}
    for key, value in weights.items():
        np.testing.assert_array_equal(read[key], value)


def test_a_negative_variance_is_refused(graph: Graph) -> None:
    weights = probe_weights(graph, 0)
    weights["n1.running_var"] = weights["n1.running_var"] * np.array([1, -1, 1, -1])
    with pytest.raises(ValueError, match=r"net hold variances < 0: n1.running_var \(2 of 4\)$"):
        read_weights(graph, weights)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_weights_that_may_not_be_read(graph: Graph, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    path.chmod(0)
    root = os.geteuid() == 0
    for folder in (tmp_path, *tmp_path.parents[:2]):  # pytest's own, which are for root alone
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(PermissionError, match="Permission denied"):
            read_weights(graph, path)
    finally:
        if root:
            os.seteuid(0)


# ---- what torch cannot export


@pytest.mark.parametrize(
    ("shape", "op", "reason"),
    [
        (
            "[2, 5, 5, 5]",
            "{adaptive_avg_pool: {size: 2}}",
            "torch.onnx has no translation of aten._adaptive_avg_pool3d",
        ),
        (
            "[2, 8, 8]",
            "{max_pool: {kernel: 2, stride: 3, padding: 1, ceil_mode: true}}",
            "torch.onnx wrote an invalid file: ",
        ),
    ],
)
def test_what_torch_cannot_export_is_a_line(
    tmp_path: Path, shape: str, op: str, reason: str
) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(f"netspec: 1\nname: net\ninputs: {{x: {shape}}}\nbody:\n  op: {op}\n")
    signal.alarm(0)  # torch alone takes long to start where others compute
    with pytest.raises(worker.WorkerError) as caught:
        netspec.export(spec, tmp_path / "net.onnx", backend="torch", seed=0)
    assert caught.value.reason.startswith(reason)
    assert not caught.value.tail
    assert caught.value.reason.isprintable()


@pytest.mark.parametrize(
    "text",
    ["\x1b[96mred\x1b[0m", "\x1b]0;title\x07red", "r\x08e\x00d\x7f", "\x1b(Bred", "\u202ered\x9b"],
)
def test_nothing_steers_the_terminal(text: str) -> None:
    assert worker.one_line(ValueError(text)) == "ValueError: red"
