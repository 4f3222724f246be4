"""What generated Keras source copies."""

import keras
from keras import layers, ops


def clamp(x: keras.KerasTensor, low: float, high: float, *, name: str) -> keras.KerasTensor:
    """Values below `low` or above `high` become these."""
    return layers.Identity(name=name)(ops.clip(x, low, high))
