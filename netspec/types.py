"""What a value is: its shape without the batch, channels first, and its dtype."""

from __future__ import annotations

from netspec.record import value_record

SPATIAL_NAMES = {
    0: (),
    1: ("length",),
    2: ("height", "width"),
    3: ("depth", "height", "width"),
}


@value_record
class TensorType:
    """A tensor's type: `(channels, *spatial)` without the leading batch axis."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def channels(self) -> int:
        """Size of the first axis."""
        return self.shape[0]

    @property
    def spatial(self) -> tuple[int, ...]:
        """Sizes of the axes after the channels."""
        return self.shape[1:]

    @property
    def rank(self) -> int:
        """Number of spatial axes: 0 for a vector, 2 for an image."""
        return len(self.shape) - 1

    @property
    def size(self) -> int:
        """Elements in one sample."""
        result = 1
        for axis in self.shape:
            result *= axis
        return result

    def __str__(self) -> str:
        return "x".join(map(str, self.shape))
