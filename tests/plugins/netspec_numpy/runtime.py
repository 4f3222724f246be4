"""What runs the source that the backend writes: NumPy, in a worker."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.exports import precision
from netspec.exports.arrays import load_arrays, save_arrays
from netspec.exports.model_source import by_name, load_model
from netspec.exports.runtimes import Runtime


def run(
    source: str, weights: str, inputs: str, result: str, names: list[str], dtype: str = "float32"
) -> dict[str, Any]:
    """Run the source's model on an .npz of inputs; outputs go to an .npz."""
    model = load_model(source, weights, dtype)
    values = [x.astype(dtype) for x in load_arrays(inputs).values()]
    save_arrays(result, by_name(model(*values), names))
    matmul = precision.probes()[precision.MATMUL]
    bits = {precision.MATMUL: matmul.bits(matmul.x @ matmul.weight)}
    return {"version": np.__version__, "device": "CPU", "bits": bits}


RUNTIME = Runtime("numpy", "netspec_numpy.runtime:run", lambda: None, "numpy", doubles=True)
