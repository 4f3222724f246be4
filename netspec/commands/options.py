"""What the options of a command mean: parameters, input shapes and weights."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netspec.cli import CommandError
from netspec.diagnostics import Findings, SourceText, SpecError, render_all
from netspec.graph import Graph
from netspec.load import load_found
from netspec.reader import plain, read
from netspec.zoo import UsageError, find

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


DIGITS = 1000  # that Python reads as a number


@dataclass(frozen=True, slots=True)
class Job:
    """A spec with the options that were given: its graph, and the source of a backend for it."""

    graph: Graph
    source: Callable[[str], str]


def load_job(spec: str, args: argparse.Namespace) -> Job:
    """Load a spec with `--set` and `--input`; warnings go to stderr.

    Raises:
        SpecError: the spec has errors.
        UsageError: there is no such spec, parameter or input.
    """
    inputs, params = shapes(args.input), settings(args.set)
    findings = Findings()
    graph = load_found(find(spec), findings, inputs, params)
    if graph is None or findings.failed:
        raise SpecError(findings.diagnostics)
    if findings.diagnostics:
        print(render_all(findings.diagnostics), file=sys.stderr)

    def source(backend: str) -> str:
        from netspec.compiler import source_backend

        with lowering():
            return source_backend(backend).source(graph)

    return Job(graph, source)


def settings(given: list[str]) -> dict[str, Any]:
    """`NAME=YAML` options as values by name.

    Raises:
        UsageError: an option is not of this form.
    """
    return dict(_setting(text) for text in given)


def shapes(given: list[str]) -> dict[str, tuple[int, ...]]:
    """`NAME=C,H,W` options as shapes by name.

    Raises:
        UsageError: an option is not of this form.
    """
    return dict(_shape(text) for text in given)


def weights(graph: Graph, args: argparse.Namespace) -> dict[str, NDArray[np.generic]]:
    """The weights of `--weights`, or those that `--seed` draws.

    With `--skip-mismatched` those of the file that fit, on stderr what was left as it was drawn.

    Raises:
        UsageError: there is no such file, or none is named from which to skip.
        CommandError: the file cannot be read as this network's weights.
    """
    require_file(args.weights, "weight file")
    if args.skip_mismatched and not args.weights:
        raise UsageError("--skip-mismatched goes with --weights FILE")

    from netspec.compiler import weights_for

    def skipped(text: str) -> None:
        print(f"netspec: {text}", file=sys.stderr)

    try:
        return weights_for(
            graph,
            None if args.weights else args.seed,
            args.weights,
            skip_mismatched=args.skip_mismatched,
            skipped=skipped,
        )
    except ValueError as error:
        raise CommandError(str(error)) from None


@contextmanager
def lowering() -> Iterator[None]:
    """Say that a backend lacks an op, as an answer and not as a traceback.

    Raises:
        CommandError: it does.
    """
    from netspec.backends.lowering import NotLowered

    try:
        yield
    except NotLowered as error:
        raise CommandError(str(error)) from None


def require_file(path: str | None, what: str) -> None:
    """Refuse a path that is given and is no file.

    Raises:
        UsageError: it is none.
    """
    if path is not None and not os.path.isfile(path):
        raise UsageError(f"no {what} {path!r}")


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value.strip():
        raise UsageError(f"--set takes NAME=VALUE, not {text!r}")
    findings = Findings()
    node = read(SourceText.of(f"--set {name}", value), findings)
    if node is None or findings.failed:
        reason = findings.diagnostics[0].message
        raise UsageError(f"--set {name}: {value!r} is not YAML: {reason}")
    return name, plain(node)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.partition("=")
    parts = [part.strip() for part in sizes.split(",")]
    if (
        not name
        or not equals
        or not all(p.isascii() and p.isdecimal() and len(p) <= DIGITS for p in parts)
    ):
        raise UsageError(f"--input takes NAME=SIZES such as image=3,224,224, not {text!r}")
    return name, tuple(map(int, parts))
