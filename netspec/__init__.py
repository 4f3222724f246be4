"""A neural network written once as a short YAML graph, compiled to PyTorch, Keras and ONNX."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic, SpecError
from netspec.graph import Graph
from netspec.load import load
from netspec.zoo import UsageError

__version__ = "0.1.0"
__all__ = ["Diagnostic", "Graph", "SpecError", "UsageError", "load"]
