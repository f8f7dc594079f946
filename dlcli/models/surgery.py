"""Operations on networks: split, copy weights, make batch normalisation the identity.

Every network here is flat and functional (`Sequential` included), with one input and one output.
The result of an operation shares its layers with the given network, unless said otherwise: nothing
is copied, training one trains the other, and layers stay as trainable as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlError, ExitCode
from dlcli.models.network import cut, named_layer

if TYPE_CHECKING:
    import keras
    import numpy as np
    from keras import KerasTensor

    from dlcli.models.backbones import Backbone

# Rows at a time for measuring activations; of 14x14x512 numbers they are 13 MB.
MEASURED_ROWS = 32


def split_at(network: keras.Model, name: str) -> tuple[keras.Model, keras.Model]:
    """Split a network in two after one of its layers.

    Args:
        name: the last layer of the lower part.

    Returns:
        lower, upper: `upper(lower(x))` is `network(x)`.

    Raises:
        DlError: no layer has this name, or another path bypasses it; names the nearest layers that
            can be split at.
    """
    import keras

    named_layer(network, name)
    outputs: dict[str, KerasTensor] = {}
    last_uses: dict[int, int] = {}  # id of a tensor -> index of the last layer that receives it

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> KerasTensor:
        for tensor in keras.tree.flatten((args, kwargs)):
            last_uses[id(tensor)] = len(outputs)
        outputs[layer.name] = layer(*args, **kwargs)
        return outputs[layer.name]

    whole = _called_anew(network, call)
    needed_until = last_uses[id(whole.inputs[0])]
    *below_the_last, _ = outputs
    passes_all = []
    for index, each in enumerate(below_the_last):
        if needed_until <= index:
            passes_all.append(each)
        needed_until = max(needed_until, last_uses[id(outputs[each])])
    if name not in passes_all:
        raise _uncuttable(network, name, list(outputs), passes_all)
    lower = keras.Model(whole.inputs[0], outputs[name], name=f"{network.name}-lower")
    upper = keras.Model(outputs[name], whole.outputs[0], name=f"{network.name}-upper")
    # Keras would name the new input by a number
    features = keras.Input(lower.output_shape[1:], dtype=lower.output.dtype, name="features")
    return lower, _called_anew(upper, input_tensor=features)


def _uncuttable(network: keras.Model, name: str, order: list[str], possible: list[str]) -> DlError:
    index = order.index(name) if name in order else -1  # the input
    below = [each for each in possible if order.index(each) < index][-1:]
    above = [each for each in possible if order.index(each) > index][:1]
    nearest = " or ".join(f"`{each}`" for each in below + above)
    return DlError(
        f"{network.name} can't be split after {name!r}",
        why="that layer has no layers on one side, or another path bypasses it",
        hint=f"Split after {nearest}." if nearest else "",
        exit_code=ExitCode.USAGE,
    )


def _called_anew(
    network: keras.Model,
    call: Callable[..., KerasTensor] | None = None,
    input_tensor: KerasTensor | None = None,
) -> keras.Model:
    """The network with each layer called again, in order, from a new input.

    `layer.input` and `layer.output` can't be used: they are of the layer's first network.

    Args:
        network: its layers are shared.
        call: called in place of each layer, with the layer and its inputs.
        input_tensor: the new input; by default one like the network's.
    """
    import keras

    # a new model, because the clone of a compiled one would be compiled too
    plain = keras.Model(network.inputs[0], network.outputs[0], name=network.name)
    return keras.models.clone_model(
        plain, input_tensors=input_tensor, clone_function=lambda layer: layer, call_function=call
    )


def top_of(network: keras.Model, backbone: Backbone) -> keras.Model:
    """The layers of a full network above its convolutions.

    Args:
        network: images -> class probabilities.
        backbone: its row of the table.

    Returns:
        the output of `cut(network, backbone, "conv")` -> class probabilities. For VGG16 its layers
        are `flatten`, `fc1`, `fc2`, `predictions`; for EfficientNet-Lite `pooled`, `fc`.
    """
    return split_at(network, cut(network, backbone, "conv").layers[-1].name)[1]


def transfer_weights(
    source: keras.Model, target: keras.Model, names: Mapping[str, str] | Sequence[str]
) -> None:
    """Copy the weights of some layers; if one does not fit, none is copied.

    Args:
        names: layers with the same name in both, or target's name -> source's name.

    Raises:
        DlError: a layer is missing, or its weights have other shapes.
    """
    pairs = names if isinstance(names, Mapping) else {name: name for name in names}
    layers = [(named_layer(target, to), named_layer(source, of)) for to, of in pairs.items()]
    for to, of in layers:
        expected, received = ([tuple(w.shape) for w in layer.weights] for layer in (to, of))
        if expected != received:
            raise DlError(
                f"The weights of {of.name} in {source.name} don't fit {to.name} in {target.name}",
                why=f"expected shapes {expected}, received {received}",
            )
    for to, of in layers:
        to.set_weights(of.get_weights())


def neutralize_batchnorm(model: keras.Model, x: np.ndarray) -> None:
    """Set every batch normalisation of a model so that it is the identity at inference.

    So a trained network gets batch normalisation without losing what it has learned. With the
    statistics of `x`, training starts close to the identity too. (A new batch normalisation is
    close to the identity at inference, but rescales everything in the first training step.)

    The rule: gamma = sqrt(variance + epsilon) and beta = mean undo (x - mean) / sqrt(variance +
    epsilon); Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.

    Args:
        model: its normalisations change in place.
        x: inputs of the model, for the statistics; read a few rows at a time.

    Raises:
        ValueError: a normalisation has no scale or no offset, or the model contains a model.
    """
    import keras
    import numpy as np

    received: dict[keras.layers.BatchNormalization, KerasTensor] = {}

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> KerasTensor:
        if isinstance(layer, keras.Model):
            raise ValueError(f"Expected a flat model, received one with {layer.name} inside")
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer(*args, **kwargs)
        if not (layer.scale and layer.center):
            raise ValueError(f"Expected a scale and an offset, {layer.name} lacks one of them")
        received[layer] = args[0]
        return args[0]  # as the identity

    without = _called_anew(model, call)
    if not received:
        return
    probe = keras.Model(without.inputs[0], list(received.values()))
    moments = _mean_and_variance(probe, [layer.axis for layer in received], x)
    for layer, (mean, variance) in zip(received, moments, strict=True):
        layer.gamma.assign(np.sqrt(variance + layer.epsilon))
        layer.beta.assign(mean)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


def _mean_and_variance(
    probe: keras.Model, axes: Sequence[int], x: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of each of a model's outputs, per channel.

    Args:
        probe: x -> outputs.
        axes: each output's axis of channels.
        x: the inputs to measure on.
    """
    import keras
    import numpy as np

    sums: list[Any] = [(0, 0.0, 0.0)] * len(axes)
    for start in range(0, len(x), MEASURED_ROWS):
        batch = np.asarray(x[start : start + MEASURED_ROWS])
        outputs = keras.tree.flatten(probe.predict_on_batch(batch))
        for i, (output, axis) in enumerate(zip(outputs, axes, strict=True)):
            # in double precision, because the variance is a small difference of large sums
            channels = np.moveaxis(np.asarray(output, np.float64), axis, 0)
            rows = channels.reshape(len(channels), -1)
            n, total, squares = sums[i]
            sums[i] = (n + rows.shape[1], total + rows.sum(1), squares + (rows**2).sum(1))
    return [
        (total / n, np.maximum(squares / n - (total / n) ** 2, 0.0)) for n, total, squares in sums
    ]


def rescaled_for_dropout(
    weights: Sequence[np.ndarray], p_old: float, p_new: float
) -> list[np.ndarray]:
    """Scale a layer's weights for another dropout below it, by the course's rule.

    Keras' networks do not need it, so it is not a default. Keras' Dropout is inverted: it divides
    by 1 - p while training, so that a layer's inputs have the same mean with and without dropout.
    Removing it leaves inference unchanged, and weights move over unscaled. The rule is for networks
    whose dropout does not scale (Srivastava et al. 2014). The course used it (fast.ai 2017, lesson
    3: with dropout 0.5 removed, weights are halved).

    Args:
        weights: of one layer, from `get_weights`; biases are scaled too, as in the course.
        p_old: the share that was dropped when the weights were trained, in [0, 1).
        p_new: the share that will be dropped, in [0, 1).

    Raises:
        ValueError: a share is outside [0, 1).
    """
    for p in (p_old, p_new):
        if not 0 <= p < 1:
            raise ValueError(f"Expected a dropout in [0, 1), received {p}")
    return [array * ((1 - p_old) / (1 - p_new)) for array in weights]
