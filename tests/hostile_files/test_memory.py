"""Operators that make much of little, and the bound of a worker's memory."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from netspec.exports.evaluator import NotEvaluatedError, Program

ARRAYS: dict[str, list[Any]] = {
    "Add": [np.zeros((2**16, 1)), np.zeros((1, 2**16))],
    "MatMul": [np.zeros((2**16, 1)), np.zeros((1, 2**16))],
    "Gemm": [np.zeros((2**16, 1)), np.zeros((1, 2**16))],
    "Gather": [np.zeros((1, 2**16)), np.zeros(2**16, np.int64)],
    "Tile": [np.zeros(2**10), np.array([2**40])],
    "Range": [np.int64(0), np.int64(2**40), np.int64(1)],
    "Pad": [np.zeros((2, 2)), np.array([0, 0, 2**40, 0])],
    "ConstantOfShape": [np.array([2**20, 2**20])],
    "Expand": [np.zeros(1), np.array([2**62, 2**62])],
}


@pytest.mark.parametrize("op", ARRAYS)
def test_too_many_elements_are_not_evaluated(op: str) -> None:
    arrays = [np.asarray(x) for x in ARRAYS[op]]
    ports = [
        helper.make_tensor_value_info(f"x{at}", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for at, x in enumerate(arrays)
    ]
    made = helper.make_node(op, [port.name for port in ports], ["y"], name="n")
    output = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(
        helper.make_graph([made], "g", ports, [output]), opset_imports=[opset]
    )
    with pytest.raises(NotEvaluatedError, match=rf"^n \({op}\) with .* elements"):
        Program(model).run({port.name: x for port, x in zip(ports, arrays, strict=True)})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_memory_is_bounded() -> None:
    """More than there is fails at once, instead of ending some process."""
    code = """
import mmap, os
from netspec.exports import worker
worker._bound_memory()
total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
half, most = int(total * 0.5), int(total * 0.9)
mmap.mmap(-1, half, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
try:
    mmap.mmap(-1, most, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
except OSError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
