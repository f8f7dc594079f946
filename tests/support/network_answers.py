"""Networks on random images of 64 pixels: what they give, and whether it is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def images(n: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (n, 64, 64, 3)).astype(np.float32)


def answer(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """What a network gives in inference mode.

    Called, not by `predict`: to trace a network that runs once takes longer than to run it.
    """
    return np.asarray(model(x, training=False))


def outputs(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The same, and telling: no two rows are alike."""
    y = answer(model, x)
    assert np.abs(y[0] - y[1]).max() > 1e-3
    return y


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers][1:]  # without the input


def normalised(model: keras.Model, *places: str) -> keras.Model:
    """The layers of a chain, with batch normalisation of random weights after some of them."""
    import keras

    rng = np.random.default_rng(3)
    layers = [keras.Input(model.input_shape[1:])]
    for layer in model.layers[1:]:
        layers.append(layer)
        if layer.name in places:
            layers.append(keras.layers.BatchNormalization(name=f"{layer.name}_bn"))
    made = keras.Sequential(layers)
    for place in places:
        added = made.get_layer(f"{place}_bn")
        added.set_weights(rng.uniform(0.5, 2, (4, *added.gamma.shape)))
    return made
