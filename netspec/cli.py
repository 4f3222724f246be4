"""The command line: its grammar, and what an error says and exits with.

0: well. 1: the spec or the check failed, or the work could not be done. 2: the command is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from netspec.diagnostics import SpecError
from netspec.zoo import UsageError

FAILED, USAGE, INTERRUPTED = 1, 2, 130

# The extra that brings a package, by the package's import name.
EXTRAS = {
    "torch": "torch",
    "onnxscript": "torch",
    "keras": "keras",
    "tensorflow": "keras",
    "tf2onnx": "keras",
    "onnx": "onnx",
    "onnxruntime": "onnx",
}


class CommandError(Exception):
    """The work could not be done; the text says why, for people."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        args = _parser().parse_args(arguments)
        code = _run(args.command, args)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _complain(str(error), USAGE)
    except SpecError as error:
        print(error, file=sys.stderr)
        return FAILED
    except CommandError as error:
        return _complain(str(error), FAILED)
    except ModuleNotFoundError as error:
        return _complain(_missing(error), FAILED)
    except BrokenPipeError:
        _silence_stdout()  # the reader has what it wanted, as in `netspec list | head`
        return FAILED
    except OSError as error:
        _silence_stdout()
        return _complain(_os_error(error), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(command: str, args: argparse.Namespace) -> int:
    module, _, function = command.partition(":")
    found: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(module), function)
    return found(args)


def _complain(message: str, code: int) -> int:
    print(f"netspec: error: {message}", file=sys.stderr)
    return code


def _missing(error: ModuleNotFoundError) -> str:
    """What to install.

    Raises:
        ModuleNotFoundError: no extra brings the module, so its absence is a bug.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        raise error
    extra = EXTRAS[package]
    return f"{package} is not installed: pip install 'netspec-compiler[{extra}]'"


def _os_error(error: OSError) -> str:
    if error.filename is None:
        return error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {error.strerror or error}"


def _silence_stdout() -> None:
    """Let Python's flush at exit go nowhere, where it would fail once more."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # stdout is not a file, so nothing is left to flush
        return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netspec",
        description="Compile a network's spec to PyTorch, Keras and ONNX that agree.",
        epilog="SPEC is a name of the zoo (`netspec list`), a file, or FILE::VARIANT.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, function: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=f"netspec.commands.{function}")
        return sub

    command("list", "inspect:names", "List the models of the zoo.")
    _specs(command("check", "inspect:check", "Check specs and explain their mistakes."), many=True)
    _specs(command("show", "inspect:show", "Show a spec's nodes, shapes, parameters and MACs."))
    command("schema", "inspect:schema", "Print the JSON Schema of specs, for editors.")

    build = command("build", "produce:build", "Write source and weights, or an ONNX file.")
    _specs(build)
    build.add_argument("--backend", required=True, type=_backend, help="torch, keras or onnx")
    _output(build, "a .py or .onnx file, a directory, or `-` to print the source (default: .)")
    _weights(build, skip=True)

    export = command("export", "produce:export", "Export to an ONNX file through a backend.")
    _specs(export)
    export.add_argument("--backend", required=True, choices=("torch", "keras", "onnx"))
    _output(export, "an .onnx file or a directory (default: .)")
    _weights(export, skip=True)

    verify = command("verify", "measure:verify", "Measure that builds and exports agree.")
    _specs(verify, many=True)
    verify.add_argument(
        "--backend", action="append", choices=("torch", "keras", "onnx"), help="may be repeated"
    )
    verify.add_argument("--runtime", action="append", metavar="NAME", help="may be repeated")
    verify.add_argument("--model", metavar="FILE.onnx", help="measure this file")
    verify.add_argument("--json", metavar="FILE", help="write the figures as JSON")
    _weights(verify)
    return parser


def _specs(parser: argparse.ArgumentParser, many: bool = False) -> None:
    if many:
        parser.add_argument("specs", nargs="+", metavar="SPEC")
    else:
        parser.add_argument("spec", metavar="SPEC")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=YAML", help="set a parameter"
    )
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=C,H,W", help="replace a shape"
    )


def _output(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("-o", "--output", default=".", metavar="PATH", help=text)


def _weights(parser: argparse.ArgumentParser, skip: bool = False) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--seed", type=_seed, default=0, help="of what is drawn (default: 0)")
    group.add_argument("--weights", metavar="FILE", help="a .safetensors, .pt or .pth file")
    parser.set_defaults(skip_mismatched=False)
    if skip:
        parser.add_argument(
            "--skip-mismatched",
            action="store_true",
            help="take what fits of --weights, and say what is left at its initial values",
        )


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0, not {text!r}")
    return int(text)


def _backend(name: str) -> str:
    from netspec.compiler import backend_names

    known = backend_names()
    if name not in known:
        raise argparse.ArgumentTypeError(f"no backend {name!r}: there are {', '.join(known)}")
    return name


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *unused: Any) -> None:
        import netspec

        print(f"netspec {netspec.__version__}")
        parser.exit()
