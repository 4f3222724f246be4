"""Generated Keras files on an engine: `KERAS_BACKEND=jax python keras_engine.py FOLDER`.

A program of its own, because engines cannot share a process. It builds every `NAME.py` of the
folder, loads `NAME.safetensors`, and writes what it makes of `NAME.npz` as `NAME.out.npz`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from netspec.exports.model_source import load_model


def main(folder: Path) -> None:
    for source in sorted(folder.glob("*.py")):
        keras.backend.clear_session()
        model = load_model(str(source), str(source.with_suffix(".safetensors")))
        given = np.load(source.with_suffix(".npz"))
        (x,) = (np.moveaxis(given[tensor.name], 1, -1) for tensor in model.inputs)
        result = model.predict(x, verbose=0)  # compiled whole, where it can be
        np.savez(source.with_suffix(".out.npz"), result=result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
