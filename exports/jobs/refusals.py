"""What goes wrong over an ONNX file, in one line that names the node or tensor at fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from netspec.exports.onnx_file import flaw
from netspec.exports.worker import JobError, UnavailableError, one_line, shortened

Job = TypeVar("Job", bound=Callable[..., dict[str, Any]])

# What ONNX Runtime puts before what it has to say: codes, and places in its own source.
NOISE = (
    r"\[ONNXRuntimeError\] : \d+ : \w+ : ",
    r"/\S+:\d+ [^()]*\((?:[^()]|\([^()]*\))*\) (?=\S)",
    r"(?<!\S)\w+\.(?:cc|h):\d+ \w+ ",
    r"Load model from .*? failed:",
    r"Exception during initialization: ",
)
RUNNING = (
    r"Non-zero status code returned while running (\w+) node\. "
    r"Name:'(.*?)(?:_nchwc)?' Status Message: "  # its own layout, which is no part of the name
)


def over_file(told: Callable[[Exception], str] = one_line) -> Callable[[Job], Job]:
    """Whatever a job over a file raises becomes a `JobError`; `told` words it.

    A file that never ran has nothing for which a node of the spec could be blamed.
    """

    def guarding(job: Job) -> Job:
        @wraps(job)
        def guarded(model: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
            try:
                return job(model, *args, **kwargs)
            except (JobError, UnavailableError):
                raise
            except Exception as error:  # in an invalid file it may be any
                if reason := flaw(model):
                    text = f"{Path(model).name} is not valid ONNX: {reason}"
                    raise JobError(text) from error
                raise JobError(told(error)) from error

        return cast(Job, guarded)

    return guarding


def told_by_onnxruntime(error: Exception) -> str:
    """What ONNX Runtime says of a file, without its codes and the places in its source."""
    text = " ".join(str(error).split())
    if not text.startswith("[ONNXRuntimeError]"):
        return one_line(error)
    for noise in NOISE:
        text = re.sub(noise, "", text)
    return shortened(re.sub(RUNNING, r"\2 (\1): ", text))
