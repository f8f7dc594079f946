"""EfficientNet-Lite, the embedded pretrained network, in pure Keras.

EfficientNet (Tan & Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6 in
place of swish, so that it is quick on every CPU. Weights: trained on ImageNet, from the package
index (Apache-2.0), so that nothing has to be downloaded from a model hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.places import shown

if TYPE_CHECKING:
    import keras
    import numpy as np
    from keras import KerasTensor

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


def efficientnet_lite0(
    include_top: bool, weights: None, input_tensor: KerasTensor, input_shape: tuple[int, int, int]
) -> keras.Model:
    """Build EfficientNet-Lite0; called as Keras' own networks are.

    Args:
        include_top: whether to end in class probabilities, or after the last convolution.
        weights: None, for weights at random.
        input_tensor: (n, height, width, 3), pixels already scaled to about -1..1.
        input_shape: (height, width, 3).

    Returns:
        whatever `input_tensor` was made from -> (n, 1000) probabilities, or
        (n, height / 32, width / 32, 1280). Layers carry the names of the weights file.

    Raises:
        ValueError: the image is smaller than the network's total stride.

    Reference:
        github.com/tensorflow/tpu, models/official/efficientnet/lite
    """
    from keras import Model, layers
    from keras.utils import get_source_inputs

    if min(input_shape[:2]) < 32:
        raise ValueError(f"Expected an image of 32x32 pixels or more, received {input_shape}")

    def batchnorm_relu6(x: KerasTensor, name: str, relu: bool = True) -> KerasTensor:
        x = layers.BatchNormalization(epsilon=BATCHNORM_EPSILON, name=name)(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x

    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="_conv_stem")(input_tensor)
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
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pooled")(x)
        x = layers.Dense(1000, activation="softmax", name="_fc")(x)
    return Model(get_source_inputs(input_tensor), x, name="efficientnet-lite0")


def load_torch_weights(model: keras.Model, path: Path) -> None:
    """Put weights in PyTorch's names and layouts into `efficientnet_lite0()`.

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
                f"{shown(path)} does not hold {model.name}'s weights",
                why=f"layer {prefix}: {error}",
                hint="A `.pth` file serves efficientnet-lite0 only; fetch or install it again.",
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
