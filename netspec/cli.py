"""The command line: its grammar, and what an error says and exits with.

0: well. 1: the spec or the check failed, or the work could not be done. 2: the command is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
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
        arguments = sys.argv[1:] if arguments is None else arguments
        args = _parser(arguments).parse_args(arguments)
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


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The grammar; only a command that `arguments` name has its options."""
    parser = argparse.ArgumentParser(
        prog="netspec",
        description="Compile a network's spec to PyTorch, Keras and ONNX that agree.",
        epilog="SPEC is a name of the zoo (`netspec list`), a file, or FILE::VARIANT. "
        "`netspec COMMAND --help` tells the options.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (function, text, options) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in arguments:
            command.set_defaults(command=f"netspec.commands.{function}")
            options(command)
    return parser


def _build(parser: argparse.ArgumentParser) -> None:
    _specs(parser)
    parser.add_argument("--backend", type=_backend, metavar="NAME", help="torch, keras or onnx")
    place = parser.add_mutually_exclusive_group()
    _output(place, "a .py or .onnx file, a directory, or `-` to print the source (default: .)")
    place.add_argument(
        "--check", metavar="FILE", help="write nothing; tell whether FILE is current, or the diff"
    )
    _weights(parser, skip=True)


def _export(parser: argparse.ArgumentParser) -> None:
    _specs(parser)
    parser.add_argument(
        "--backend", required=True, type=_backend, metavar="NAME", help="torch, keras or onnx"
    )
    _output(parser, "an .onnx file or a directory (default: .)")
    _weights(parser, skip=True)


def _verify(parser: argparse.ArgumentParser) -> None:
    _specs(parser, many=True)
    parser.add_argument(
        "--backend",
        action="append",
        type=_backend,
        metavar="NAME",
        help="torch, keras or onnx; may be repeated (default: all)",
    )
    parser.add_argument(
        "--runtime",
        action="append",
        metavar="NAME",
        help="one that `netspec runtimes` lists; may be repeated (default: torch, keras and "
        "onnxruntime)",
    )
    parser.add_argument("--model", metavar="FILE.onnx", help="measure this file instead")
    parser.add_argument(
        "--training",
        action="store_true",
        help="also train with torch and Keras in float64, and compare gradients and parameters",
    )
    _reports(parser)
    _weights(parser)


def _judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", metavar="REPORT.json", help="what `verify --json` wrote")
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="X",
        help="of errors in units of the predicted noise (default: as measured)",
    )
    parser.add_argument(
        "--bound",
        type=_positive,
        metavar="X",
        help="of float64 errors over the largest output (default: as measured)",
    )
    _reports(parser)


def _runtimes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _nothing(parser: argparse.ArgumentParser) -> None:
    """For a command without options."""


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


def _output(parser: argparse._ActionsContainer, text: str) -> None:
    parser.add_argument("-o", "--output", default=".", metavar="PATH", help=text)


def _weights(parser: argparse.ArgumentParser, skip: bool = False) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of what is drawn (default: 0)"
    )
    group.add_argument("--weights", metavar="FILE", help="a .safetensors, .pt or .pth file")
    parser.set_defaults(skip_mismatched=False)
    if skip:
        parser.add_argument(
            "--skip-mismatched",
            action="store_true",
            help="take what fits of --weights, and say what is left at its initial values",
        )


def _reports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML, a test for each row")
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with the network, coloured by error"
    )


def _positive(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"a limit is a number above 0, not {text!r}")
    return found


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


COMMANDS: dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "list": ("inspect:names", "List the models of the zoo.", _nothing),
    "check": (
        "inspect:check",
        "Check specs and explain their mistakes.",
        partial(_specs, many=True),
    ),
    "show": ("inspect:show", "Show a spec's nodes, shapes, parameters and MACs.", _specs),
    "schema": ("inspect:schema", "Print the JSON Schema of specs, for editors.", _nothing),
    "build": ("produce:build", "Write source and weights, or an ONNX file.", _build),
    "export": ("produce:export", "Export to an ONNX file through a backend.", _export),
    "verify": ("measure:verify", "Measure that builds and exports agree.", _verify),
    "judge": ("measure:judge", "Judge a saved report again; nothing is run.", _judge),
    "runtimes": (
        "runtimes:runtimes",
        "List the runtimes, what each computes in, and why one cannot run.",
        _runtimes,
    ),
}
"""What each command runs, what it is for, and what adds its options."""
