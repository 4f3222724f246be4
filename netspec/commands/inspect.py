"""`list`, `check`, `show` and `schema`: what can be said of specs without a framework."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from netspec.commands.options import load_job, settings, shapes
from netspec.diagnostics import Findings, render_all
from netspec.load import check_blocks, load_found
from netspec.show import summary, table
from netspec.syntax import Library, Model
from netspec.zoo import Found, UsageError, find, load_any, zoo_names


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
        findings = Findings()
        try:
            failed = _check(find(spec), findings, inputs, params)
        except UsageError as error:
            print(f"netspec: error: {error}", file=sys.stderr)
            worst = 2
            continue
        if findings.diagnostics:
            print(render_all(findings.diagnostics), file=sys.stderr)
        if failed:
            print(f"netspec: errors in {', '.join(failed)}", file=sys.stderr)
        worst = max(worst, int(findings.failed))
    return worst


def _check(
    found: Found, findings: Findings, inputs: dict[str, Any], params: dict[str, Any]
) -> list[str]:
    """Check one file; which variants failed, where it stands for several."""
    model = None if found.variant else load_any(found, Findings())
    if isinstance(model, Library):
        if inputs or params:
            raise UsageError(f"{found.shown} is a library: nothing of it can be set")
        if (blocks := check_blocks(found, findings)) and not findings.failed:
            print(f"{found.shown}: ok, a library of blocks: {', '.join(blocks)}")
        return []
    failed, several = [], list(_variants(found, model))
    for one in several:
        own = Findings()
        graph = load_found(one, own, inputs, params)
        if graph is not None and not own.failed:
            print(summary(graph))
        else:
            failed.append(one.variant or "the defaults")
        findings.extend(own)
    return failed if len(several) > 1 else []


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


def _variants(found: Found, model: Model | None) -> Iterator[Found]:
    """A file that has variants stands for all of them, and for its defaults if it has them all."""
    if model is None or not model.variants:
        yield found
        return
    if all(param.default is not None for param in model.params):
        yield found
    for variant in model.variants:
        yield Found(found.path, found.shown, variant.name)
