"""What people do with a Keras model: `python keras_features.py FOLDER`, on TensorFlow.

A program of its own, because a test process may hold torch. For every `NAME.py` of the folder it
prints a line of JSON: how far each way of running the model is from calling it, root mean square
of the difference over that of the outputs, and what else there is to say.
"""

from __future__ import annotations

import json
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

FASHION = runpy.run_path(str(Path(__file__).with_name("fashion_mnist.py")))
IMAGES, BATCH, RATE = 128, 16, 1e-3


def main(folder: Path) -> None:
    for source in sorted(folder.glob("*.py")):
        try:
            found = examine(source)
        except Exception:  # the test that reads the line fails with it
            found = {"failure": traceback.format_exc(limit=-6)}
        print(json.dumps({"name": source.stem, **found}), flush=True)


def examine(source: Path) -> dict[str, Any]:
    keras.backend.clear_session()
    scope = runpy.run_path(str(source))
    weights = str(source.with_suffix(".safetensors"))
    model = scope["build_model"]()
    scope["load_weights"](model, weights)
    (tensor,) = model.inputs
    x = np.moveaxis(np.load(source.with_suffix(".npz"))[tensor.name], 1, -1)
    y = np.asarray(model(x, training=False))

    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=160)
    model.save(source.with_suffix(".keras"))
    np.savez(source.with_suffix(".called.npz"), x=x, y=y)
    model.save_weights(source.with_suffix(".weights.h5"))
    other = scope["build_model"]()
    other.load_weights(source.with_suffix(".weights.h5"))

    def call(images: Any) -> Any:
        return model(images, training=False)

    compiled = tf.function(call, jit_compile=True)
    model.export(str(source.with_suffix(".saved")), verbose=False)
    loaded = tf.saved_model.load(str(source.with_suffix(".saved")))

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = scope["build_model"]()
        scope["load_weights"](mixed, weights)
        coarse = mixed(x, training=False)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    return {
        "losses": losses(scope["build_model"], tuple(tensor.shape[1:])),
        "summary": "\n".join(lines),
        "xla": distance(compiled(x), y),
        "saved_model": distance(loaded.serve(x[:1]), y[:1]),
        "saved_weights": distance(other(x, training=False), y),
        "mixed": distance(np.asarray(coarse).astype(np.float32), y),
        "mixed_dtypes": [coarse.dtype.name, *sorted({v.dtype for v in mixed.variables})],
    }


def losses(build_model: Callable[[], Any], shape: tuple[int, ...]) -> list[float] | None:
    """Of each of two epochs of `fit` on real images, made as large as the input; None without."""
    if FASHION["folder"]() is None:
        return None
    keras.utils.set_random_seed(0)
    images, labels = FASHION["read"]("train", IMAGES)
    *rest, height, width, channels = shape
    small = np.repeat(images[..., None] / 127.5 - 1, channels, axis=-1)
    x = np.asarray(keras.ops.image.resize(small.astype(np.float32), (height, width)))
    for frames in rest:
        x = np.repeat(x[:, None], frames, axis=1)
    model = build_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss, jit_compile=False)
    history = model.fit(x, labels, batch_size=BATCH, epochs=2, verbose=0)
    return [float(value) for value in history.history["loss"]]


def distance(found: Any, expected: Any) -> float:
    found = np.asarray(found)
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
