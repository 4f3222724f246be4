"""`list`, `check`, `show` and `schema`: what can be said of specs without a framework."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from netspec.commands.options import load_job, settings, shapes
from netspec.diagnostics import Findings, render_all
from netspec.load import load_found
from netspec.show import summary, table
from netspec.zoo import Found, UsageError, find, load_model, zoo_names


def names(args: argparse.Namespace) -> int:
    """Print every model of the zoo with its file."""
    found = zoo_names()
    width = max(map(len, found), default=0)
    for name, where in found.items():
        print(f"{name:<{width}}  {where.shown}")
    return 0


def check(args: argparse.Namespace) -> int:
    """Print a line for every good spec, the diagnostics of the others on stderr."""
    inputs, params = shapes(args.input), settings(args.set)
    worst = 0
    for spec in args.specs:
        try:
            findings = Findings()
            for found in _models(find(spec)):
                graph = load_found(found, findings, inputs, params)
                if graph is not None and not findings.failed:
                    print(summary(graph))
        except UsageError as error:
            print(f"netspec: error: {error}", file=sys.stderr)
            worst = 2
            continue
        if findings.diagnostics:
            print(render_all(findings.diagnostics), file=sys.stderr)
        worst = max(worst, int(findings.failed))
    return worst


def show(args: argparse.Namespace) -> int:
    """Print a spec's nodes as a table."""
    print(table(load_job(args.spec, args).graph))
    return 0


def schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema, with the ops of other packages."""
    from netspec.extensions import import_ops
    from netspec.schema import make_schema

    import_ops()
    print(json.dumps(make_schema(), indent=2))
    return 0


def _models(found: Found) -> Iterator[Found]:
    """A file that has variants stands for all of them, and for its defaults if it has them all."""
    model = None if found.variant else load_model(found, Findings())
    if model is None or not model.variants:
        yield found
        return
    if all(param.default is not None for param in model.params):
        yield found
    for variant in model.variants:
        yield Found(found.path, found.shown, variant.name)
