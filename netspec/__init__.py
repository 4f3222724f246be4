"""A neural network written once as a short YAML graph, compiled to PyTorch, Keras and ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netspec.diagnostics import Diagnostic, SpecError
from netspec.graph import Graph
from netspec.load import load
from netspec.zoo import UsageError

if TYPE_CHECKING:
    from netspec.backends.lowering import NotLowered
    from netspec.compiler import build, source
    from netspec.exports.export import export
    from netspec.exports.report import Report
    from netspec.exports.verify import verify
    from netspec.exports.worker import UnavailableError, WorkerError

__version__ = "0.1.0"
__all__ = [
    "Diagnostic",
    "Graph",
    "NotLowered",
    "Report",
    "SpecError",
    "UnavailableError",
    "UsageError",
    "WorkerError",
    "build",
    "export",
    "load",
    "source",
    "verify",
]

# What needs NumPy or a framework is imported when it is first used.
_LAZY = {
    "build": "netspec.compiler",
    "source": "netspec.compiler",
    "export": "netspec.exports.export",
    "verify": "netspec.exports.verify",
    "NotLowered": "netspec.backends.lowering",
    "Report": "netspec.exports.report",
    "UnavailableError": "netspec.exports.worker",
    "WorkerError": "netspec.exports.worker",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'netspec' has no attribute {name!r}")
    import importlib

    found = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = found
    return found
