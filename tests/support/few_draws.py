"""Large layers that begin with a few random numbers, repeated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

# More than a layer has of any network but VGG16; a prime, so that no two rows are alike.
DRAWN = 4_000_037


@contextmanager
def few_draws() -> Iterator[None]:
    """Draw no more than `DRAWN` weights for a layer that Keras builds, once, and repeat these.

    To draw a hundred million takes a second, each time that VGG16 is built, copied or read back,
    and mostly to make room for those of a file.
    """
    import keras

    draw_all = keras.initializers.GlorotUniform.__call__

    @cache
    def repeated(shape: tuple[int, ...], dtype: str | None) -> KerasTensor:
        count, limit = math.prod(shape), math.sqrt(6 / sum(shape))
        few = keras.random.uniform((DRAWN,), -limit, limit, dtype, seed=0)
        many = keras.ops.tile(few, math.ceil(count / DRAWN))
        return keras.ops.reshape(many[:count], shape)

    def draw(
        self: keras.initializers.GlorotUniform, shape: Sequence[int], dtype: str | None = None
    ) -> KerasTensor:
        if math.prod(shape) > DRAWN:
            return repeated(tuple(shape), dtype)
        return draw_all(self, shape, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.GlorotUniform, "__call__", draw)
        yield
