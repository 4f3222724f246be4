"""A float64 evaluator of ONNX graphs, in NumPy.

It answers whether a file is the same function as a spec, so it shares no code with the direct ONNX
writer or with the references of the ops; ONNX's own node tests hold it to the standard.
"""

from __future__ import annotations

from netspec.exports.evaluator.registry import EvaluationError, NotEvaluatedError
from netspec.exports.evaluator.run import Program, operators

__all__ = ["EvaluationError", "NotEvaluatedError", "Program", "operators"]
