"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.cli import main
from tests.cli.given import GOOD, Capture, files


def test_list_names_each_model_with_its_file(capsys: Capture) -> None:
    assert main(["list"]) == 0
    rows = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert rows["resnet50"] == "resnet.yaml"
    assert rows["squeezenet_cifar10"] == "squeezenet_cifar10.yaml"
    assert "common" not in rows


def test_check_says_ok_with_shapes_and_parameters(capsys: Capture) -> None:
    assert main(["check", "lenet5"]) == 0
    out, err = capsys.readouterr()
    # 61,706 is known; 416,520 is 28*28*6*25 + 10*10*16*150 + 400*120 + 120*84 + 84*10.
    assert out == "lenet5: ok, image 1x32x32 -> output 10, 61,706 parameters, 416,520 MACs\n"
    assert main(["check", "googlenet"]) == 0
    assert (
        "-> logits 1000, (aux_logits2 1000), (aux_logits1 1000), 13,004,888 "
        in capsys.readouterr().out
    )
    assert err == ""


def test_check_goes_on_after_a_bad_spec(good: Path, bad: Path, capsys: Capture) -> None:
    assert main(["check", str(bad), str(good)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("good: ok, x 3x8x8 -> output 4x6x6, 112 parameters")
    assert f"{bad}:4:" in err
    assert "did you mean `relu`?" in err
    assert "bad: ok" not in out


def test_an_unknown_spec_outranks_a_bad_one(good: Path, bad: Path, capsys: Capture) -> None:
    assert main(["check", "resnet5", str(bad), str(good)]) == 2
    out, err = capsys.readouterr()
    assert "no spec named 'resnet5'" in err
    assert "good: ok" in out


def test_a_family_file_stands_for_its_variants(capsys: Capture) -> None:
    folder = Path(netspec.__file__).parent.parent / "specs"
    assert main(["check", str(folder / "mnasnet.yaml")]) == 0
    names = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"]
    assert main(["check", f"{folder / 'mnasnet.yaml'}::mnasnet1_3"]) == 0
    assert capsys.readouterr().out.startswith("mnasnet1_3: ok")


def test_a_warning_is_no_failure(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "unused.yaml"
    path.write_text(GOOD.replace("inputs", "params: {width: 3}\ninputs"), encoding="utf-8")
    assert main(["check", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "good: ok" in out
    assert "warning[" in err


def test_set_and_input_reach_the_spec(capsys: Capture) -> None:
    arguments = ["check", "resnet18", "--set", "num_classes=7", "--set", "layers=[1, 1, 1, 1]"]
    assert main([*arguments, "--input", "image=3,65,33"]) == 0
    assert "image 3x65x33 -> output 7," in capsys.readouterr().out


def test_set_takes_numbers_as_yaml_1_2_has_them(capsys: Capture) -> None:
    assert main(["show", "squeezenet1_1", "--set", "dropout=1e-1"]) == 0
    assert "rate 0.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "resnet18", "--set", "num_clases=3"], "did you mean `num_classes`?"),
        (["check", "resnet18", "--set", "num_classes=abc"], "must be an int"),
        (["check", "resnet18", "--set", "num_classes"], "--set takes NAME=VALUE"),
        (["check", "resnet18", "--set", "num_classes="], "--set takes NAME=VALUE"),
        (["check", "resnet18", "--set", "layers=[1"], "is not YAML"),
        (["check", "resnet18", "--input", "img=3,8,8"], "no input 'img'"),
        (["check", "resnet18", "--input", "image=3,8"], "takes 3 sizes"),
        (["check", "resnet18", "--input", "image=3,8,x"], "--input takes NAME=SIZES"),
        (["check", "resnet18", "--input", "image=3,0,8"], "sizes from 1 to"),
        (["check", "nowhere.yaml"], "no file 'nowhere.yaml'"),
        (["show", "common"], "no spec named 'common'"),
        (["build", "lenet5", "--backend", "onnx", "-o", "x.py"], "x.py is a .py file"),
        (["build", "lenet5", "--backend", "torch", "-o", "x.onnx"], "x.onnx is a .onnx file"),
        (["build", "lenet5", "--backend", "onnx", "-o", "-"], "not text to print"),
        (["build", "lenet5", "--backend", "onnx", "--weights", "no.safetensors"], "no weight file"),
        (["build", "lenet5", "--backend", "onnx", "--skip-mismatched"], "goes with --weights"),
        (["export", "lenet5", "--backend", "onnx", "-o", "-"], "not text to print"),
        (["verify", "lenet5", "--runtime", "tpu"], "no runtime 'tpu'"),
        (["verify", "lenet5", "--model", "no.onnx"], "no model 'no.onnx'"),
        (["verify", "lenet5", "resnet18", "--weights", "w"], "--weights is for one spec"),
    ],
)
def test_a_wrong_command_exits_with_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["build", "lenet5", "--backend", "caffe"],
        ["build", "lenet5", "--backend", "torch", "--seed", "-1"],
        ["build", "lenet5", "--backend", "torch", "--seed", "1", "--weights", "w.safetensors"],
        ["export", "lenet5"],
        ["verify"],
    ],
)
def test_what_argparse_refuses_exits_with_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_show_has_a_row_for_each_node_and_totals(capsys: Capture) -> None:
    assert main(["show", "lenet5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = " ".join(lines[2].split())
    assert row == "conv1 conv out 6, kernel 5 6x28x28 156 117,600"
    assert len(lines) == 2 + 12 + 2
    assert "61,706 parameters" in lines[-1]


def test_show_tells_what_only_training_computes(capsys: Capture) -> None:
    assert main(["show", "googlenet"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.endswith("training")]
    assert {row.split(".")[0] for row in rows} == {"aux1", "aux2"}


def test_schema_accepts_the_zoo(capsys: Capture) -> None:
    import jsonschema
    import yaml

    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    spec = yaml.safe_load(GOOD)
    jsonschema.validate(spec, schema)
    spec["body"][0]["conv"]["kernle"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, schema)


# -- as a process


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netspec", *arguments]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, check=False, **options)


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"'{sys.executable}' -m netspec show resnet152 | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("path ")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("show", "lenet5", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "netspec: error: No space left on device\n"


def test_an_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*unused: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("netspec.commands.inspect.names", interrupted)
    assert main(["list"]) == 130


def test_check_imports_neither_numpy_nor_a_framework() -> None:
    script = (
        "import sys; from netspec.cli import main; main(['check', 'resnet50']);"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "netspec" in loaded
    assert loaded & {"numpy", "torch", "tensorflow", "keras", "onnx", "onnxruntime"} == set()


def test_the_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"netspec {netspec.__version__}\n"


def test_check_says_which_variants_are_bad(tmp_path: Path, capsys: Capture) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "netspec: 1\nname: net\nparams: {k: 3}\nvariants: {a: {k: 99}, b: {k: 5}, c: {k: 77}}\n"
        "inputs: {x: [3, 8, 8]}\nbody: [{conv: {out: 2, kernel: =k}}]\n"
    )
    assert main(["check", str(spec)]) == 1
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == ["net", "b"]
    assert err.count("error[bad-shape]") == 1
    assert "1 more with other numbers" in err
    assert err.splitlines()[-1] == "netspec: errors in a, c"


def test_check_of_a_library_checks_its_blocks(tmp_path: Path, capsys: Capture) -> None:
    library = Path(netspec.__file__).parent.parent / "specs" / "fire.yaml"
    assert main(["check", str(library)]) == 0
    assert capsys.readouterr().out == f"{library}: ok, a library of blocks: fire\n"
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "netspec: 1\nblocks:\n"
        "  a: {params: {n: int}, body: [{conv: {out: =m, kernel: 3}}, reluu]}\n"
        "  b: {body: [{a: {n: 1}}, c]}\n"
        "  c: {body: [b]}\n"
    )
    assert main(["check", str(bad)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    found = [line.split(": ", 1)[1] for line in err.splitlines() if ": error[" in line]
    assert found == [
        "error[bad-formula]: unknown name `m`",
        "error[unknown-op]: unknown op or block `reluu`",
        "error[block-cycle]: block `b` contains itself: `b` > `c` > `b`",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "is a library of blocks, not a model (a model has a `body`"),
        (["check", "--set", "squeeze=3"], "nothing of it can be set"),
        (["check", "--input", "x=3,8,8"], "nothing of it can be set"),
    ],
)
def test_a_library_is_no_model(arguments: list[str], message: str, capsys: Capture) -> None:
    library = Path(netspec.__file__).parent.parent / "specs" / "fire.yaml"
    assert main([arguments[0], str(library), *arguments[1:]]) == 2
    assert message in capsys.readouterr().err


def test_check_of_a_file_with_variants_checks_its_defaults_too(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "netspec: 1\nname: net\nparams: {k: 99}\nvariants: {small: {k: 3}}\n"
        "inputs: {x: [3, 8, 8]}\nbody: [{conv: {out: 2, kernel: =k}}]\n"
    )
    assert main(["check", str(spec)]) == 1
    assert main(["check", f"{spec}::small"]) == 0
    assert main(["check", f"{spec}::"]) == 2
