"""The runtimes: each that this machine has runs for real, and says in which arithmetic.

Torch and TensorFlow run in workers; nothing here imports them.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netspec import cli
from netspec.exports import precision
from netspec.exports import runtimes as registry
from netspec.exports.noise import Figures
from netspec.exports.plan import rounding_plan, same_plan
from netspec.exports.precision import CONV, MATMUL, Probe, arithmetic, measure, objection
from netspec.exports.qualify import explained, qualified
from netspec.exports.report import AGREED, DISAGREED, FAILED, NOT_RUN, Report, Row
from netspec.exports.runtimes import BUILT_IN, Runtime
from netspec.exports.verify import verify
from netspec.exports.worker import WorkerError, call

_folder = Path(__file__).parent
VULKAN: dict[str, str] = runpy.run_path(str(_folder / "software_vulkan.py"))["environment"]()

Array = NDArray[Any]
Cast = Callable[[Array], Array]

SPEC = """\
netspec: 1
name: small
inputs: {image: [3, 19, 14]}
body:
  conv: {conv: {out: 8, kernel: 3, padding: 1, bias: false}}
  norm: batch_norm
  act: relu
  pool: {max_pool: {kernel: 3, stride: 2, ceil_mode: true}}
  grouped: {conv: {out: 8, kernel: 3, groups: 2}}
  flatten: flatten
  drop: {dropout: 0.25}
  fc: {linear: 5}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(autouse=True)
def vulkan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find the software driver where one was put."""
    for name, value in VULKAN.items():
        monkeypatch.setenv(name, value)


def run_or_skip(row: Row) -> Row:
    """The row, unless what it needs is not on this machine."""
    if row.status == NOT_RUN:
        pytest.skip(f"{row.runtime}: {row.reason}")
    return row


# ---- how many bits: what is measured of arithmetic that is known


def computed(cast: Cast, total: Callable[[Array, Array], Array]) -> precision.Run:
    """The probes' results with rounded operands, the weighted sums made by `total`.

    `total` takes `(positions, terms)` and `(terms, outputs)`.
    """
    kernel, columns = (cast(probe.weight) for probe in precision.probes().values())

    def run(image: Array, rows: Array) -> tuple[Array, Array]:
        windows = np.lib.stride_tricks.sliding_window_view(cast(image), (3, 3), (2, 3))
        samples, _, height, width = windows.shape[:4]
        positions = windows.transpose(0, 2, 3, 1, 4, 5).reshape(samples * height * width, -1)
        sums = total(positions, kernel.reshape(len(kernel), -1).T)
        convolved = sums.reshape(samples, height, width, -1).transpose(0, 3, 1, 2)
        return convolved, total(cast(rows), columns)

    return run


def in_float32(a: Array, b: Array) -> Array:
    return np.asarray(a, np.float32) @ np.asarray(b, np.float32)


def in_float16(a: Array, b: Array) -> Array:
    """Every product and every partial sum is rounded to 11 bits."""
    total = np.zeros((len(a), b.shape[1]), np.float16)
    for term in range(a.shape[1]):
        total += np.outer(a[:, term], b[term]).astype(np.float16)
    return total


def cut(bits: int) -> Cast:
    """Cuts a mantissa off, as hardware that rounds toward zero does."""
    mask = np.uint32(0xFFFFFFFF << (24 - bits) & 0xFFFFFFFF)
    return lambda x: np.asarray(np.ascontiguousarray(x).view(np.uint32) & mask).view(np.float32)


def nearest(bits: int) -> Cast:
    """Rounds a mantissa to nearest: Dekker's splitting."""
    factor = np.float32(2.0 ** (24 - bits) + 1.0)

    def cast(x: Array) -> Array:
        big = np.asarray(factor * x)
        return np.asarray(big - (big - x))

    return cast


@pytest.mark.parametrize(
    ("cast", "total", "low", "high", "name"),
    [
        (lambda x: x, in_float32, 24, 24, "float32"),
        (nearest(8), in_float32, 8, 8, "bfloat16: 8 bits"),
        (cut(8), in_float32, 7, 8, "bfloat16: 7 bits"),
        (nearest(11), in_float32, 11, 11, "TF32 or float16: 11 bits"),
        (cut(11), in_float32, 10, 11, "TF32 or float16: 10 bits"),
        (nearest(16), in_float32, 16, 16, "reduced precision: 16 bits"),
        (lambda x: x, in_float16, 8, 11, None),
        (lambda x: x, lambda a, b: nearest(8)(in_float32(a, b)), 8, 9, None),
        (lambda x: x, lambda a, b: nearest(22)(in_float32(a, b)), 22, 23, "float32"),
    ],
    ids=[
        *("float32", "bfloat16", "cut to 8", "TF32", "cut to 11", "16 bits"),
        *("float16 sums", "bfloat16 results", "a fast algorithm"),
    ],
)
def test_bits_of_known_arithmetic(
    cast: Cast, total: Callable[[Array, Array], Array], low: int, high: int, name: str | None
) -> None:
    bits = measure(computed(cast, total))
    assert all(low <= found <= high for found in bits.values())
    assert name in (None, arithmetic(bits))
    assert bool(objection(bits)) == (high < 20)


def test_one_op_in_fewer_bits_is_named() -> None:
    bits = {CONV: 24, MATMUL: 11}
    assert arithmetic(bits) == "TF32 or float16: 11 bits"
    assert "11 bits of 24 in matmul:" in objection(bits)


@pytest.mark.parametrize(
    "found", [np.full((64, 64), np.nan), np.zeros((64, 63)), np.full((64, 64), np.inf)]
)
def test_no_result_has_no_bits(found: Array) -> None:
    assert precision.probes()[MATMUL].bits(found) == 0


def test_the_probes_truth_is_exact() -> None:
    """In float64 nothing of them is rounded, so any other order of sums gives the same."""
    probe: Probe = precision.probes()[CONV]
    x, w = probe.x.astype(np.float64), probe.weight.astype(np.float64)
    sums = [
        np.einsum("nchw,oc->nohw", x[:, :, i : i + 14, j : j + 14], w[:, :, i, j])
        for i in range(3)
        for j in range(3)
    ]
    np.testing.assert_array_equal(np.sum(sums, axis=0), probe.truth)


# ---- what follows for the verdict


def judged(ratio: float, **info: Any) -> Row:
    status = AGREED if ratio <= 4 else DISAGREED
    return Row("a source", "b", status, {"y": Figures(ratio, ratio, 1.0, 1.0)}, info=info)


def test_reduced_precision_does_not_pass_however_small_the_error() -> None:
    row = qualified(judged(0.1, bits={CONV: 24, MATMUL: 8}))
    assert row.status == DISAGREED
    assert row.info["arithmetic"] == "bfloat16: 8 bits"
    assert "a mistake below 2^-8" in row.reason


def test_strayed_nodes_are_listed() -> None:
    row = qualified(judged(0.5, bits={CONV: 24}, elsewhere=[f"n{i}" for i in range(7)]))
    assert row.status == AGREED
    assert row.reason == "left to another provider: n0, n1, n2, n3, n4 and 2 more"


def test_an_error_of_the_same_function_is_put_in_bits() -> None:
    row = judged(2.0**15, bits={CONV: 24})
    assert explained(row, set()).reason == ""
    assert "computes as in 9 mantissa bits, or wrongly" in explained(row, {"a source"}).reason
    assert explained(judged(2.0), {"a source"}).reason == ""


# ---- the plan


def test_sources_are_proven_once_whatever_runs_them() -> None:
    plan = rounding_plan(["keras"], ["keras", "keras-xla", "keras-jax"], None)
    (same,) = same_plan(plan)
    assert (same.subject, same.runtime.name, same.runtime.options["dtype"]) == (  # type: ignore[union-attr]
        *("keras source", "keras", "float64"),
    )


def test_what_runs_no_subject_is_a_row() -> None:
    (row,) = rounding_plan(["torch"], ["keras-xla"], None)
    assert isinstance(row, Row)
    assert (row.status, row.reason) == (
        NOT_RUN,
        "keras-xla runs keras source, which was not asked for",
    )


# ---- every runtime


@cache
def survey() -> dict[str, dict[str, Any]]:
    """What `netspec runtimes --json` prints, by name."""
    from contextlib import redirect_stdout
    from io import StringIO

    out = StringIO()
    with redirect_stdout(out):
        assert cli.main(["runtimes", "--json"]) == 0
    return {row["name"]: row for row in json.loads(out.getvalue())}


@pytest.mark.parametrize("name", [runtime.name for runtime in BUILT_IN])
def test_a_runtime_runs_or_says_why_not(name: str) -> None:
    row = survey()[name]
    if row["status"] == NOT_RUN:
        assert row["reason"]
        pytest.skip(f"{name}: {row['reason']}")
    assert row["status"] == "available", row["reason"]
    assert row["version"]
    assert row["device"]
    assert set(row["bits"]) == {CONV, MATMUL}
    if name == "openvino-bf16":
        assert row["arithmetic"] == "bfloat16: 8 bits"
        assert row["settings"] == {"INFERENCE_PRECISION_HINT": "bf16"}
    else:
        assert row["arithmetic"] == "float32"


def test_the_table_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Made of what was found, so that nothing runs twice."""
    from netspec.commands import runtimes as command

    absent = Runtime("absent", "no:job", lambda: "no such device", "torch")
    rows = [
        judged(0.5, version="1.2", device="CPU", bits={CONV: 24}, arithmetic="float32"),
        Row("b source", "absent", NOT_RUN, reason="no such device"),
    ]
    lines = command.table([BUILT_IN[0], absent], rows)
    assert [line.split() for line in lines] == [
        ["runtime", "runs", "version", "device", "arithmetic", "status"],
        ["torch", "torch", "source", "1.2", "CPU", "float32", "available"],
        ["absent", "torch", "source", "-", "-", "-", "not", "run:", "no", "such", "device"],
    ]


FILE_RUNTIMES = ("onnxruntime", "openvino", "openvino-bf16", "onnxruntime-webgpu")


@pytest.fixture(scope="module")
def report(spec: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VULKAN.items():
            patch.setenv(name, value)
        return verify(spec, backends=["onnx"], runtimes=FILE_RUNTIMES)


@pytest.mark.parametrize("name", FILE_RUNTIMES)
def test_convolutions_are_right_on_every_runtime_of_files(name: str, report: Report) -> None:
    row = run_or_skip(next(row for row in report.rows if row.runtime == name))
    if name == "openvino-bf16":
        assert row.status == DISAGREED
        assert row.reason.startswith("computed in bfloat16: 8 bits of 24 in conv and matmul")
        return
    assert row.status == AGREED, row.reason
    assert 0.05 < (row.ratio_rms or 0.0) < 2.0


def test_every_node_is_on_the_gpu(report: Report) -> None:
    row = run_or_skip(next(row for row in report.rows if row.runtime == "onnxruntime-webgpu"))
    assert list(row.info["placement"]) == ["WebGpuExecutionProvider"]
    assert row.info["placement"]["WebGpuExecutionProvider"] >= 7
    assert row.info["elsewhere"] == []


def on_webgpu(
    spec: Path, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, str] | None = None
) -> Row:
    """The row of the WebGPU provider with options of its own."""
    found = registry.runtimes()["onnxruntime-webgpu"]
    given = {**found.options, "options": dict(options or {})}
    made = Runtime("gpu", found.job, found.available, None, given, found.environment)
    monkeypatch.setattr(registry, "BUILT_IN", (made,))
    return verify(spec, backends=["onnx"], runtimes=["gpu"]).rows[0]


def test_a_convolution_left_on_the_cpu_fails(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = run_or_skip(on_webgpu(spec, monkeypatch, {"forceCpuNodeNames": "grouped"}))
    assert (row.status, row.reason, row.detail) == (
        FAILED,
        "WebGpuExecutionProvider left to another provider: grouped",
        "",
    )


def test_any_other_node_left_on_the_cpu_is_listed(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = run_or_skip(on_webgpu(spec, monkeypatch, {"forceCpuNodeNames": "act"}))
    assert (row.status, row.reason) == (AGREED, "left to another provider: act")


def test_without_a_driver_it_is_not_run(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := registry.missing("onnxruntime_ep_webgpu"):
        pytest.skip(reason)
    monkeypatch.setenv("VK_ICD_FILENAMES", str(spec))  # which is no driver
    monkeypatch.setenv("VK_DRIVER_FILES", str(spec))
    report = verify(spec, backends=["onnx"], runtimes=["onnxruntime-webgpu"])
    assert report.rows[0].status == NOT_RUN
    assert "WebGPU finds no adapter" in report.rows[0].reason
    assert not report


FALLBACK = """
import sys
from netspec.exports.jobs import onnxruntime_run as jobs
from netspec.exports.precision import onnx_model

def fall_back():
    session = jobs._session(onnx_model(), jobs.WEBGPU, {})
    session.set_providers([jobs.CPU])  # what ONNX Runtime does by itself when a provider fails
    jobs._require(session, jobs.WEBGPU)
"""


def test_a_session_that_fell_back_while_it_ran_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netspec.exports.worker import UnavailableError

    if reason := registry.missing("onnxruntime_ep_webgpu"):
        pytest.skip(reason)
    (tmp_path / "fallback_job.py").write_text(FALLBACK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = {"ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1"}
    try:
        with pytest.raises(WorkerError) as caught:
            call("fallback_job:fall_back", environment=environment)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    assert str(caught.value) == (
        "WebGpuExecutionProvider was asked for; CPUExecutionProvider is in use"
    )


# ---- the user's environment


def test_what_the_user_sets_is_what_is_measured(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN may do as it is told or not; the verdict goes by what it did."""
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    row = verify(spec, backends=["torch"], runtimes=["torch"]).rows[0]
    assert row.info["settings"]["ONEDNN_DEFAULT_FPMATH_MODE"] == "BF16"
    reduced = min(row.info["bits"].values()) < 20
    assert row.info["arithmetic"] == ("bfloat16: 8 bits" if reduced else "float32")
    assert row.status == (DISAGREED if reduced else AGREED)


def test_source_that_turns_float32_off_is_found(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layers under autocast are the same function, and their error shows the bits."""
    import netspec
    from netspec.exports.verify import verify_graph

    def source(backend: str) -> str:
        text = netspec.source(spec, backend=backend)
        loader = "def load_weights("
        assert text.count(loader) == 1
        return text.replace(loader, f"{AUTOCAST}\n\n{loader}") + PATCH

    graph = netspec.load(spec)
    report = verify_graph(graph, source, backends=["torch"], runtimes=["torch"])
    assert [row.status for row in report.same] == [AGREED]
    assert report.rows[0].status == DISAGREED
    assert "the same function in float64, so it computes as in" in report.rows[0].reason


AUTOCAST = '''
def in_bfloat16(model):
    """Autocast leaves float64 alone."""
    forward = model.forward

    def cast(x):
        with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.float32):
            return forward(x).to(x.dtype)

    model.forward = cast
'''
PATCH = """

_load_weights = load_weights


def load_weights(model, path):
    _load_weights(model, path)
    in_bfloat16(model)
"""


ENVIRONMENT_JOB = """
import os

def tell(names):
    return {name: os.environ.get(name) for name in names}
"""


def test_a_workers_environment_is_the_users_but_for_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "environment_job.py").write_text(ENVIRONMENT_JOB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "no-such-engine")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.delenv("ONEDNN_DEFAULT_FPMATH_MODE", raising=False)
    names = ["KERAS_BACKEND", "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE"]
    told = call("environment_job:tell", names=names)
    assert told == dict(zip(names, ["tensorflow", "1", "STRICT"], strict=True))
    named = {"KERAS_BACKEND": "jax"}
    assert call("environment_job:tell", environment=named, names=names[:1]) == named


# ---- files that are none


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no model", "bad.onnx is not a readable ONNX file"),
        (b"", "bad.onnx holds no network"),
    ],
)
def test_a_file_that_is_not_onnx_is_refused_in_a_line(
    content: bytes, words: str, spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    assert cli.main(["verify", str(spec), "--model", str(path)]) == 1
    out, err = capsys.readouterr()
    assert sum(words in line for line in out.splitlines()) == 2  # one for each question
    assert "Traceback" not in out + err
    assert "the end of its log" not in out


def broken(spec: Path, path: Path, change: Callable[[Any], None]) -> Report:
    """The verification of a file after a change to its model."""
    import onnx

    import netspec

    netspec.export(spec, path, backend="onnx")
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return verify(spec, model=path)


def _cycle(model: Any) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].input[0]


def _truncate(model: Any) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:5]


@pytest.mark.parametrize("change", [_cycle, _truncate])
def test_an_invalid_file_is_refused_in_a_line(
    change: Callable[[Any], None], spec: Path, tmp_path: Path
) -> None:
    report = broken(spec, tmp_path / "bad.onnx", change)
    assert [row.status for row in (*report.same, *report.rows)] == [FAILED, FAILED]
    assert report.same[0].reason.startswith("bad.onnx is not valid ONNX: ")
    assert report.rows[0].reason.startswith("ONNX Runtime makes no session: ")
    assert not report.same[0].detail + report.rows[0].detail
    assert not report.blames


def test_a_fixed_batch_need_not_divide_that_of_the_probes(spec: Path, tmp_path: Path) -> None:
    import netspec
    from netspec.exports.probe import probe_weights

    def fix(model: Any) -> None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 5

    path = tmp_path / "five.onnx"
    weights = probe_weights(netspec.load(spec), 0)
    netspec.export(spec, path, backend="onnx", weights=weights)
    import onnx

    model = onnx.load(path)
    fix(model)
    onnx.save(model, path)
    report = verify(spec, model=path)
    assert report, report.render()


def test_one_source_runs_on_two_engines_side_by_side(spec: Path) -> None:
    """Each has a source file of its own; dropout brings variables that are no floats."""
    report = verify(spec, backends=["keras"], runtimes=["keras", "keras-torch"])
    rows = [run_or_skip(row) for row in report.rows]
    assert [(row.status, row.reason) for row in rows] == [(AGREED, "")] * 2
    assert ["tensorflow" in row.info["version"] for row in rows] == [True, False]
