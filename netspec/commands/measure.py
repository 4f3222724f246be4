"""`verify` and `judge`: measure agreement, and say so in text, in files and in the exit code."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.cli import CommandError
from netspec.commands.options import Job, load_job, require_file, weights
from netspec.commands.output import staged
from netspec.zoo import UsageError

if TYPE_CHECKING:
    from netspec.exports.report import Report

FILES = ("json", "junit", "html")


def verify(args: argparse.Namespace) -> int:
    """Print a report for each spec; 0 only if everything that was asked for ran and agreed."""
    from netspec.exports.runtimes import runtimes
    from netspec.exports.verify import verify_graph

    _refuse_misuse(args, list(runtimes()))
    jobs = [load_job(spec, args) for spec in args.specs]
    reports = []
    for spec, job in zip(args.specs, jobs, strict=True):
        report = verify_graph(
            job.graph,
            job.source,
            backends=args.backend,
            runtimes=args.runtime,
            weights=weights(job.graph, args) if args.weights else None,
            seed=args.seed,
            model=args.model,
            folder=_folder(args),
            nodes=bool(args.html),
            progress=partial(_say, job.graph.name),
        )
        report = _with_training(report, job, args.seed) if args.training else report
        reports.append(replace(report, command=_command(spec, args)))
        print(report.render(), flush=True)
    _write(args, reports)
    return 0 if all(reports) else 1


def _with_training(report: Report, job: Job, seed: int) -> Report:
    """The report with what training gives, or with a row that says why there is nothing."""
    from netspec.exports.report import FAILED, NOT_RUN, Row
    from netspec.exports.training import training_of
    from netspec.exports.worker import UnavailableError, WorkerError

    _say(report.spec, "training with torch and with keras in float64")
    try:
        return replace(report, training=training_of(job.graph, job.source, seed=seed))
    except UnavailableError as problem:
        row = Row("training", "torch, keras", NOT_RUN, reason=str(problem))
    except WorkerError as failure:
        row = Row("training", "torch, keras", FAILED, reason=failure.reason, detail=failure.tail)
    return replace(report, rows=(*report.rows, row))


def judge(args: argparse.Namespace) -> int:
    """Hold the figures of a saved report against other limits; 0 only if all agree."""
    from netspec.exports.reports.report_file import ReportError, from_json, judged_again

    require_file(args.report, "report")
    _refuse_files(args)
    try:
        text = Path(args.report).read_text(encoding="utf-8")
        found = from_json(text)
    except (ReportError, UnicodeDecodeError) as error:
        raise CommandError(f"{args.report} cannot be judged: {error}") from None
    reports = [judged_again(report, args.limit, args.bound) for report in found]
    for report in reports:
        print(report.render())
    _write(args, reports)
    return 0 if reports and all(reports) else 1


def _command(spec: str, args: argparse.Namespace) -> str:
    """What repeats the measurement of one spec."""
    words = ["netspec", "verify", spec]
    for option, given in (("set", args.set), ("input", args.input), ("backend", args.backend)):
        words += [word for value in given or () for word in (f"--{option}", value)]
    words += [word for name in args.runtime or () for word in ("--runtime", name)]
    words += ["--weights", args.weights] if args.weights else ["--seed", str(args.seed)]
    words += ["--training"] if args.training else []
    return shlex.join([*words, *(["--model", args.model] if args.model else [])])


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
        if getattr(args, option) and args.training:
            raise UsageError(f"--training is of fresh networks, so it does not go with --{option}")
    require_file(args.weights, "weight file")
    require_file(args.model, "model")
    _refuse_files(args)


def _refuse_files(args: argparse.Namespace) -> None:
    given = {
        f"--{option}": Path(getattr(args, option)) for option in FILES if getattr(args, option)
    }
    for option, path in given.items():
        if path.is_dir():
            raise UsageError(f"{option} names a file, and {path} is a directory")
        standing = next(folder for folder in path.absolute().parents if folder.exists())
        try:
            tempfile.TemporaryFile(dir=standing).close()
        except OSError as error:
            reason = f"{standing} takes no files: {error.strerror}"
            raise UsageError(f"{option} cannot be written: {reason}") from None
    if len({path.absolute() for path in given.values()}) < len(given):
        raise UsageError(f"{' and '.join(given)} name one file")


def _folder(args: argparse.Namespace) -> Path | None:
    """Where reproductions go: beside the first of the report's files."""
    return next((Path(getattr(args, name)).parent for name in FILES if getattr(args, name)), None)


def _say(name: str, text: str) -> None:
    sys.stderr.write(f"{name}: {text} ...\n")  # in one piece: several threads speak
    sys.stderr.flush()


def _write(args: argparse.Namespace, reports: Sequence[Report]) -> None:
    """Write the files that were asked for, all or none."""
    from netspec.exports.reports.html_page import page
    from netspec.exports.reports.junit import junit
    from netspec.exports.reports.report_file import to_json

    with ExitStack() as stack:
        for option, text in zip(FILES, (to_json, junit, page), strict=True):
            if name := getattr(args, option):
                draft = stack.enter_context(staged(Path(name).parent)) / Path(name).name
                draft.write_text(text(reports), encoding="utf-8")
