"""Pretrained networks as models from pixels: load, cut, join to a head, unfreeze.

Every network here is one flat functional model whose input `image` takes RGB pixels 0-255. It is
always in inference mode, in `fit` too: batch normalisation keeps its trained statistics, which
small batches would ruin, and there is no dropout. Keras' documented way, calling a backbone with
`training=False`, does not ensure that: `fit` passes `training=True` to every layer of a functional
model, nested ones too. So normalisation layers are never trainable, which Keras runs in inference
mode, and dropout rates are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.models import preprocessing
from dlcli.models.weights import fetch_weights, load_weights

if TYPE_CHECKING:
    import keras

    from dlcli.models.backbones import Backbone


Layer = Literal["pooled", "conv", "imagenet"]
_FROM_THE_TOP: tuple[Layer, ...] = ("imagenet", "pooled", "conv")


def load_network(
    backbone: Backbone, weights: Path | None = None, image_size: int | None = None
) -> keras.Model:
    """Load a full pretrained network, frozen, with its preprocessing inside.

    Args:
        backbone: a row of the table.
        weights: a file to use in place of the backbone's own weights.
        image_size: pixels a side; by default the size that the network was trained at.

    Returns:
        "image" (n, image_size, image_size, 3), RGB pixels 0-255 -> (n, 1000) probabilities.

    Raises:
        DlError: weights are missing or of another network, or the size is not possible.
    """
    return load_cut(backbone, "imagenet", weights, image_size)


def load_cut(
    backbone: Backbone,
    layer: Layer,
    weights: Path | None = None,
    image_size: int | None = None,
) -> keras.Model:
    """Load a pretrained network up to a layer, as `cut(load_network(...), ...)`.

    Unlike that, it accepts weights that end at the layer, such as Keras' files without a top.

    Args:
        backbone: a row of the table.
        layer: where it ends, see `cut`.
        weights: a file to use in place of the backbone's own weights.
        image_size: pixels a side; by default the size that the network was trained at.

    Returns:
        "image" (n, image_size, image_size, 3), RGB pixels 0-255 -> the layer's output.

    Raises:
        DlError: weights are missing or of another network, or the size is not possible.
    """
    import keras

    path = fetch_weights(backbone, weights)
    size = image_size or backbone.image_size
    network = build_network(backbone, size)
    if any(isinstance(each, keras.layers.Flatten) for each in network.layers):
        # dense layers have a weight for each position in an image of the trained size
        network = build_network(backbone, backbone.image_size)
    enough = _FROM_THE_TOP[: _FROM_THE_TOP.index(layer) + 1]
    parts = [cut(network, backbone, each) for each in enough]
    load_weights(path, backbone, [_after_preprocessing(part) for part in parts])
    wanted = parts[-1]
    if size != network.input_shape[1]:
        wanted = _at_size(wanted, backbone, layer, size)
    _scale_as_trained(wanted)
    return wanted


def build_network(backbone: Backbone, image_size: int, include_top: bool = True) -> keras.Model:
    """The network from pixels 0-255, frozen, with random weights.

    Raises:
        DlError: the size is not possible.
    """
    import keras

    module, function = backbone.function.rsplit(".", 1)
    shape = (image_size, image_size, 3)
    image = keras.Input(shape, name="image")
    try:
        network = getattr(import_module(module), function)(
            include_top=include_top,
            weights=None,
            input_tensor=backbone.preprocessing(image),
            input_shape=shape,
        )
    except ValueError as error:  # Keras' networks refuse images that are too small
        raise DlError(
            f"{backbone.name} can't take images of {image_size} pixels a side",
            why=str(error),
            hint=f"Use another size. It was trained at {backbone.image_size}.",
        ) from error
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    # Keras' functions make the input a list of one
    network = keras.Model(image, network.output, name=backbone.name)
    network.trainable = False
    return network


def _at_size(
    network: keras.Model, backbone: Backbone, layer: Layer, image_size: int
) -> keras.Model:
    """A cut network with dense layers, built again for images of another size."""
    import keras

    flatten = keras.layers.Flatten
    if any(isinstance(each, flatten) and each.input.shape[1] > 1 for each in network.layers):
        raise DlError(
            f"The layer {layer!r} of {backbone.name} is for images of {backbone.image_size} "
            f"pixels a side, not {image_size}",
            why="its dense layers have a weight for each position in the image",
            hint="Leave out the image size, or use the layer `conv`.",
        )
    resized = build_network(backbone, image_size, include_top=False)
    resized.set_weights(network.get_weights())
    return resized


def _scale_as_trained(network: keras.Model) -> None:
    """Make EfficientNet divide pixels by their deviation, as Keras does only for its own download.

    Its weights hold the deviation where the layer expects the variance, so that the layer divides
    by the root of the deviation. A network built with `weights="imagenet"` then divides by that
    root once more (github.com/tensorflow/tensorflow/issues/49930). Squaring the stored value has
    the same effect, and the 1 of untrained weights stays 1.
    """
    from keras.layers import Normalization

    for layer in network.layers:
        if isinstance(layer, Normalization) and layer.weights:
            mean, deviation, count = layer.get_weights()
            layer.set_weights([mean, deviation**2, count])
            layer.finalize_state()


def _after_preprocessing(network: keras.Model) -> keras.Model:
    """The network without our preprocessing layer, for weight files that lack it."""
    import keras

    for layer in network.layers:
        if layer.name == preprocessing.NAME:
            return keras.Model(layer.output, network.output, name=network.name)
    return network


def cut(network: keras.Model, backbone: Backbone, layer: Layer) -> keras.Model:
    """Cut a full network at one of its layers; the weights are shared, not copied.

    Args:
        network: images -> class probabilities.
        backbone: its row of the table.
        layer: `imagenet`, the 1000 probabilities; `pooled`, the input of the last layer with
            weights (for VGG16 the output of fc2, 4096 numbers); `conv`, the input of the last
            pooling or flattening before that, which is the network without its top. For VGG16 that
            is the output of `block5_pool`, (7, 7, 512): the last max pooling belongs to the last
            block (Simonyan & Zisserman 2015, table 1), has no weights, and keeps a quarter of the
            numbers of `block5_conv3`.

    Returns:
        images -> that layer's output: `pooled` and `imagenet` (n, features), `conv`
        (n, height, width, channels).
    """
    import keras

    if layer == "imagenet":
        return network
    last = max(i for i, each in enumerate(network.layers) if each.weights)
    if layer == "pooled":
        pooled = network.layers[last].input
        if len(pooled.shape) > 2:  # MobileNets classify with a 1x1 convolution
            pooled = keras.layers.Flatten(name="pooled")(pooled)
        return keras.Model(network.input, pooled, name=backbone.name)
    flat = keras.layers.GlobalAveragePooling2D | keras.layers.Flatten
    # the last one, because squeeze-and-excitation pools inside the blocks
    top = [each for each in network.layers[:last] if isinstance(each, flat)][-1]
    return keras.Model(network.input, top.input, name=backbone.name)


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Join a cut backbone and a head to one model, which Keras can open without this package.

    Args:
        backbone: images, RGB pixels 0-255 -> features; see `cut`.
        head: features -> (n, classes) probabilities.

    Returns:
        "image" (n, height, width, 3), RGB pixels 0-255 -> (n, classes) probabilities. It shares
        its layers with both: training it trains the trainable ones in them.
    """
    import keras

    image = keras.Input(backbone.input_shape[1:], name="image")
    return keras.Model(image, head(backbone(image)))


def named_layer(network: keras.Model, name: str) -> keras.Layer:
    """The network's layer of this name.

    Raises:
        DlError: there is none; names a similar one.
    """
    for layer in network.layers:
        if layer.name == name:
            return layer
    raise DlError(
        f"{network.name} has no layer called {name!r}",
        hint=did_you_mean(name, [layer.name for layer in network.layers]),
        exit_code=ExitCode.USAGE,
    )


def layers_with_weights(backbone: keras.Model) -> list[keras.Layer]:
    """The backbone's layers that can be unfrozen, from the image to the top.

    Preprocessing and normalisation layers are not among them; they stay as they were trained.
    """
    from keras import layers

    fixed = layers.BatchNormalization | layers.Normalization
    return [
        layer
        for layer in backbone.layers
        if layer.weights and not isinstance(layer, fixed) and layer.name != preprocessing.NAME
    ]


def layers_from(backbone: keras.Model, name: str) -> list[keras.Layer]:
    """The layers that train when all layers below a given one are frozen.

    Args:
        backbone: from `load_cut`.
        name: the lowest layer that is not frozen; it may have no weights, such as a pooling.

    Returns:
        the layers of `layers_with_weights` from that layer up, itself included; none if it is
        above them all.

    Raises:
        DlError: the backbone has no layer of this name.
    """
    try:
        lowest = backbone.layers.index(named_layer(backbone, name))
    except DlError as error:
        error.hint = f"{error.hint} List the layers with `dl backbones {backbone.name}`."
        raise
    above = {id(layer) for layer in backbone.layers[lowest:]}
    return [layer for layer in layers_with_weights(backbone) if id(layer) in above]


def train_layers(backbone: keras.Model, train: Sequence[keras.Layer]) -> None:
    """Make exactly these layers of a backbone trainable.

    Batch normalisation between them keeps its statistics, scale and offset: see the top of this
    module.

    Args:
        backbone: from `load_cut`, alone or joined to a head. Compile afterwards: Keras lists the
            trainable weights then.
        train: some of `layers_with_weights`; none freezes all.
    """
    backbone.trainable = len(train) > 0  # sets every layer too
    for layer in backbone.layers:
        layer.trainable = any(layer is each for each in train)


def unfreeze(backbone: keras.Model, n: int) -> None:
    """Make only the last `n` layers with weights trainable; see `train_layers`.

    Args:
        backbone: from `load_cut`.
        n: layers, counted from the top as `layers_with_weights` lists them; 0 freezes all.
    """
    train_layers(backbone, layers_with_weights(backbone)[-n:] if n else [])
