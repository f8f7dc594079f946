"""A network of three convolutions in the place of the embedded one, which has forty-nine.

What a training costs a test is tracing the network, again for each of its phases and for its file.
Where a test is about what becomes of runs and files, not about what a network knows, this one does
the same with a tenth of the layers. Its weights are at random, and the same each time; in a new one
they are zeros until its file is read, since drawing them takes as long as all else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dlcli.models.backbones import BACKBONES, Backbone, Embedded

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

NAME = "efficientnet-lite0"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Kept(Embedded):
    """Weights in a file of the tests'."""

    @property
    def path(self) -> Path:
        return Path(self.file)


def network(
    include_top: bool,
    weights: None,
    input_tensor: KerasTensor,
    input_shape: tuple[int, int, int],
) -> keras.Model:
    """Build it as Keras' functions do; its last layers are called as the embedded network's are."""
    from keras import Model, layers
    from keras.utils import get_source_inputs

    if min(input_shape[:2]) < 32:
        raise ValueError(f"Expected an image of 32x32 pixels or more, received {input_shape}")
    plain = {"use_bias": False, "kernel_initializer": "zeros"}
    x = layers.Conv2D(16, 5, 4, "same", **plain, name="conv_stem")(input_tensor)
    x = layers.ReLU(6.0, name="bn0_relu")(x)
    x = layers.Conv2D(32, 8, 8, "same", **plain, name="blocks_15_project_conv")(x)
    x = layers.BatchNormalization(name="blocks_15_bn2")(x)
    x = layers.Conv2D(1280, 1, **plain, name="conv_head")(x)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(6.0, name="bn1_relu")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pooled")(x)
        x = layers.Dense(1000, "softmax", kernel_initializer="zeros", name="fc")(x)
    return Model(get_source_inputs(input_tensor), x, name=NAME)


def row(weights: Path) -> Backbone:
    """What stands in the table for it."""
    source = Kept(package="", file=str(weights))
    return replace(BACKBONES[NAME], function=f"{__name__}.network", source=source)


def weights_in(folder: Path) -> Path:
    """Its weights, in a folder that is kept between tests; made by the first that needs them."""
    mine = sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    path = folder / f"small-backbone-{mine}.weights.h5"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as temporary:
            made = Path(temporary) / path.name
            # in a process of its own: this one may want to fork
            code = f"from support.small_backbone import save; save({str(made)!r})"
            command = [sys.executable, "-c", code]
            environ = os.environ | {"PYTHONPATH": str(HERE.parent.parent)}
            subprocess.run(command, env=environ, check=True)
            made.replace(path)
    return path


def save(path: str) -> None:
    """Write weights that tell one picture from another."""
    import numpy as np

    from dlcli.backend import start_backend
    from dlcli.models.network import build_network

    start_backend()
    from keras.layers import Conv2D, Dense

    model = build_network(row(Path(path)), BACKBONES[NAME].image_size)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, Conv2D | Dense):
            kernel, *bias = layer.get_weights()
            fan_in = np.prod(kernel.shape[:-1])
            layer.set_weights([rng.normal(0, (2 / fan_in) ** 0.5, kernel.shape), *bias])
    model.save_weights(path)
