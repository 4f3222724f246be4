"""Workers: each framework runs in a process of its own, because together they crash.

`call("torch_run", ...)` starts `python -m netspec.exports.worker JOB.json`, which runs the job and
writes its result beside it. Arrays pass as files whose paths are in the job.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.exports.parsing import whole_parsing

JOBS = {
    "torch_run": "netspec.exports.jobs.torch_run:run",
    "torch_export": "netspec.exports.jobs.torch_export:export",
    "torch_state": "netspec.exports.jobs.torch_run:convert_state",
    "keras_run": "netspec.exports.jobs.keras_run:run",
    "keras_export": "netspec.exports.jobs.keras_export:export",
    "onnxruntime_run": "netspec.exports.jobs.onnxruntime_run:run",
    "evaluator_run": "netspec.exports.jobs.evaluator_run:run",
    "openvino_run": "netspec.exports.jobs.openvino_run:run",
}

# Where the user says otherwise, that is what is measured, and named.
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",  # or torch may compute in bfloat16 without a word
    "NVIDIA_TF32_OVERRIDE": "0",
    "PYTHONWARNINGS": "ignore",
}
# A runtime may name another engine; a user's setting must not.
FIXED = {"KERAS_BACKEND": "tensorflow"}

BOUNDED = ("evaluator_run", "onnxruntime_run")
"""Jobs over files, which may ask for all the memory there is: they are given most of it at most."""
SHARE = 0.75  # of the machine's memory

TIMEOUT_S = 1800.0
TAIL_LINES = 12
REASON_WIDTH = 300
ESCAPES = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]"


class WorkerError(Exception):
    """A job did not finish. `reason` is one line; `tail` the end of what the worker printed.

    `answered` tells a job that said what was wrong from one that was killed or stopped: it may run
    again. One that refused what it was given, with a `JobError`, has no tail.
    """

    def __init__(self, reason: str, tail: str = "", *, answered: bool = False) -> None:
        super().__init__(f"{reason}\n{tail}" if tail else reason)
        self.reason = reason
        self.tail = tail
        self.answered = answered


class JobError(ValueError):
    """What a job was given cannot be run, and the message says all there is to know about it."""


class UnavailableError(Exception):
    """What a job needs is not on this machine: a package, a device. The message says which."""


def call(
    job: str,
    *,
    timeout: float = TIMEOUT_S,
    environment: Mapping[str, str] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Run a job in a new process and return its result.

    `job` is a name in `JOBS`, or `module:function` for a runtime from outside. `environment` is
    set for the worker beside what every worker is given.

    Raises:
        WorkerError: the job raised, was killed, or took longer than `timeout` seconds.
        UnavailableError: the job raised it.
    """
    with tempfile.TemporaryDirectory(prefix="netspec-") as folder:
        path = Path(folder, "job.json")
        # What runs on another device may reserve addresses as it likes.
        bounded = job in BOUNDED and "provider" not in arguments
        named = {"job": JOBS.get(job, job), "bounded": bounded, "arguments": arguments}
        path.write_text(json.dumps(named))
        log = Path(folder, "log.txt")
        try:
            code = _run(path, log, timeout, environment or {})
        except subprocess.TimeoutExpired:
            reason = f"{job} took longer than {timeout:g} s and was stopped"
            raise WorkerError(reason, _tail(log)) from None
        return _result(job, code, _result_path(path), log)


def _run(path: Path, log: Path, timeout: float, environment: Mapping[str, str]) -> int:
    """The exit status of the process that does the job in this file."""
    # -P: a package named torch in the current folder must not stand for the real one.
    command = [sys.executable, "-P", "-m", "netspec.exports.worker", str(path)]
    with log.open("wb") as stream:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**ENVIRONMENT, **os.environ, **FIXED, **environment},
            timeout=timeout,
            check=False,
        ).returncode


def _result(job: str, code: int, path: Path, log: Path) -> dict[str, Any]:
    if not path.exists() and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        raise WorkerError(f"{job} was killed by {name}", _tail(log))
    if not path.exists():
        raise WorkerError(f"{job} ended with exit status {code} and no result", _tail(log))
    result: dict[str, Any] = json.loads(path.read_text())
    if "unavailable" in result:
        raise UnavailableError(result["unavailable"])
    if "error" in result:
        raise WorkerError(result["error"], _tail(log) if result["raised"] else "", answered=True)
    return result


def _tail(log: Path) -> str:
    lines = plain(log.read_text(errors="replace")).splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def _result_path(job: Path) -> Path:
    return job.with_name("result.json")


def one_line(error: Exception) -> str:
    """An exception's kind and message, for a table."""
    short = shortened(str(error))
    return f"{type(error).__name__}: {short}" if short else type(error).__name__


def shortened(text: str) -> str:
    """A text in one line that fits a table, without what would steer a terminal."""
    line = " ".join(plain(text).split())
    return f"{line[:REASON_WIDTH]}..." if len(line) > REASON_WIDTH else line


def plain(text: str) -> str:
    """The text without ANSI sequences and other control characters, but for line ends and tabs."""
    text = re.sub(ESCAPES, "", text)
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def _bound_memory() -> None:
    """Let what this process asks for beyond a share of the memory fail at once, as a MemoryError.

    Else the system would end some process when there is no more, and not always the right one.
    """
    try:
        import resource

        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bound = int(total * SHARE)
        if hard == resource.RLIM_INFINITY or bound < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    except (ImportError, ValueError, OSError):
        return  # this system has no such limit


def _main(path: Path) -> None:
    job = json.loads(path.read_text())
    if job["bounded"]:
        _bound_memory()
    module, function = job["job"].split(":")
    try:
        result = getattr(importlib.import_module(module), function)(**job["arguments"])
    except UnavailableError as error:
        result = {"unavailable": plain(str(error))}
    except JobError as error:
        result = {"error": plain(str(error)), "raised": False}
    except Exception as error:  # whatever a job raises, the parent is told
        import traceback

        traceback.print_exc()
        result = {"error": one_line(error), "raised": True}
    ready = path.with_name("result.tmp")
    ready.write_text(json.dumps(result))
    os.replace(ready, _result_path(path))


if __name__ == "__main__":
    # Run by `-m` this module is __main__; jobs know it, and its exceptions, by its own name.
    with whole_parsing():
        importlib.import_module("netspec.exports.worker")._main(Path(sys.argv[1]))
