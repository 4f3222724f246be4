"""`build` and `export`: files from a spec."""

from __future__ import annotations

import argparse
import difflib
import io
import re
from pathlib import Path

from netspec.cli import CommandError
from netspec.commands.options import Job, load_job, lowering, require_file, weights
from netspec.commands.output import staged, target
from netspec.zoo import UsageError


def build(args: argparse.Namespace) -> int:
    """Write a backend's source with a weight file beside it, or an ONNX file.

    With `--check` nothing is written: 0 if the file is what would be, else 1 and the difference.
    """
    from netspec.compiler import save_weights

    if args.check is not None:
        return _check(args)
    if args.backend is None:
        raise UsageError("--backend is needed: torch, keras or onnx")
    if args.backend == "onnx":
        return _build_onnx(args)
    job = load_job(args.spec, args)
    if args.output == "-":
        print(job.source(args.backend), end="")
        return 0
    path = target(args.output, f"{job.graph.name}_{args.backend}.py")
    source, tensors = job.source(args.backend), weights(job.graph, args)
    saved = f"{job.graph.name}.safetensors"
    with staged(path.parent) as folder:
        (folder / path.name).write_text(source, encoding="utf-8")
        save_weights(tensors, str(folder / saved))
    print(path)
    print(path.with_name(saved))
    return 0


def export(args: argparse.Namespace) -> int:
    """Write an ONNX file through a backend's own exporter, or directly."""
    from netspec.exports.export import export_graph
    from netspec.exports.worker import UnavailableError, WorkerError

    job, path = _onnx(args)
    tensors = weights(job.graph, args)
    try:
        with lowering():
            export_graph(job.graph, job.source, tensors, path, backend=args.backend)
    except UnavailableError as error:
        extra = f"pip install 'netspec-compiler[{args.backend}]'"
        raise CommandError(f"{error}: {extra}") from None
    except WorkerError as error:
        raise CommandError(f"the export through {args.backend} failed: {error}") from None
    print(path)
    return 0


def _build_onnx(args: argparse.Namespace) -> int:
    from netspec.backends.onnx import write

    job, path = _onnx(args)
    tensors = weights(job.graph, args)
    with staged(path.parent) as folder, lowering():
        write(job.graph, tensors, folder / path.name)
    print(path)
    return 0


def _onnx(args: argparse.Namespace) -> tuple[Job, Path]:
    if args.output == "-":
        raise UsageError("an ONNX file is not text to print; name a file or a directory")
    job = load_job(args.spec, args)
    return job, target(args.output, f"{job.graph.name}.onnx")


def _check(args: argparse.Namespace) -> int:
    path: str = args.check
    if args.weights:
        raise UsageError("--weights does not go with --check, which compares source alone")
    if args.backend == "onnx" or path.endswith(".onnx"):
        raise UsageError("--check is for source; `netspec verify --model` is for ONNX files")
    require_file(path, "file")
    try:
        present = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text") from None
    backend: str = args.backend or _writer(path, present)
    wanted = load_job(args.spec, args).source(backend)
    if present == wanted:
        print(f"{path} is current")
        return 0
    old, new = (io.StringIO(text).readlines() for text in (present, wanted))
    for line in difflib.unified_diff(old, new, path, f"{path} as netspec writes it"):
        print(line, end="" if line.endswith("\n") else "\n\\ No newline at end of file\n")
    return 1


def _writer(path: str, text: str) -> str:
    """The backend that wrote a file: the one whose framework it imports.

    Raises:
        UsageError: none or several could have.
    """
    from netspec.compiler import backend_names

    imported: set[str] = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    found = imported.intersection(backend_names())
    if len(found) != 1:
        raise UsageError(f"which backend wrote {path}? Its imports do not tell: give --backend")
    return found.pop()
