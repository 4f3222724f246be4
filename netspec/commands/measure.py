"""`verify`: measure agreement, and say so in text and in the exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from netspec.commands.options import load_job, require_file, weights
from netspec.commands.output import staged
from netspec.zoo import UsageError


def verify(args: argparse.Namespace) -> int:
    """Print a report for each spec; 0 only if everything that was asked for ran and agreed."""
    from netspec.exports.runtimes import runtimes
    from netspec.exports.verify import verify_graph

    _refuse_misuse(args, list(runtimes()))
    jobs = [load_job(spec, args) for spec in args.specs]
    reports = []
    for job in jobs:
        report = verify_graph(
            job.graph,
            job.source,
            backends=args.backend,
            runtimes=args.runtime,
            weights=weights(job.graph, args) if args.weights else None,
            seed=args.seed,
            model=args.model,
            folder=Path(args.json).parent if args.json else None,
            progress=partial(_say, job.graph.name),
        )
        print(report.render(), flush=True)
        reports.append(report)
    agreed = all(reports)
    if args.json:
        _write(Path(args.json), {"agreed": agreed, "reports": [r.to_dict() for r in reports]})
    return 0 if agreed else 1


def _refuse_misuse(args: argparse.Namespace, runtimes: list[str]) -> None:
    """Find before minutes of work what would be found after them.

    Raises:
        UsageError: the options do not fit together or to this machine's files.
    """
    for name in args.runtime or ():
        if name not in runtimes:
            raise UsageError(f"no runtime {name!r}: there are {', '.join(runtimes)}")
    for option in ("weights", "model"):
        if getattr(args, option) and len(args.specs) > 1:
            raise UsageError(f"--{option} is for one spec, not {len(args.specs)}")
    require_file(args.weights, "weight file")
    require_file(args.model, "model")
    if args.json and os.path.isdir(args.json):
        raise UsageError(f"--json names a file, and {args.json} is a directory")


def _say(name: str, text: str) -> None:
    sys.stderr.write(f"{name}: {text} ...\n")  # in one piece: several threads speak
    sys.stderr.flush()


def _write(path: Path, data: dict[str, Any]) -> None:
    with staged(path.parent) as folder:
        (folder / path.name).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
