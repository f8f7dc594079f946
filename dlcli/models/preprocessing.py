"""A network's preprocessing of pixels, as Keras' built-in layers inside the model.

With built-in layers a saved model opens with Keras alone: `safe_mode` refuses a `Lambda`, and a
custom layer would need this package. Inside the model, preprocessing can't be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras import KerasTensor

NAME = "preprocessing"


@dataclass(frozen=True)
class Preprocessing:
    """(pixel - mean) / std, channel by channel.

    Args:
        mean: of pixels 0-255, in the network's own order of channels.
        std: of pixels 0-255, in the same order.
        bgr: whether the network's order is blue, green, red.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False

    def __call__(self, image: KerasTensor) -> KerasTensor:
        """Prepare RGB pixels 0-255, (n, height, width, 3), for the network; the same shape.

        It adds one layer, named "preprocessing", or none.
        """
        import numpy as np
        from keras import layers

        scale = [1.0 / std for std in self.std]
        offset = [-mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        if self.bgr:
            # no built-in layer reverses channels, but a 1x1 convolution with a permutation as its
            # kernel does, and its bias subtracts the mean; factors of 1 make it exact
            turn = layers.Conv2D(3, 1, trainable=False, name=NAME)
            prepared = turn(image)
            turn.set_weights([np.eye(3)[None, None, ::-1] * scale, np.array(offset)])
            return prepared
        if self == INCLUDED:
            return image
        return layers.Rescaling(scale, offset, name=NAME)(image)


def _grey(value: float) -> tuple[float, float, float]:
    return (value, value, value)


INCLUDED = Preprocessing()  # the network has its own layers for it
TF = Preprocessing(_grey(127.5), _grey(127.5))  # -1 to 1
LITE = Preprocessing(_grey(127.0), _grey(128.0))  # github.com/tensorflow/tpu, efficientnet/lite
# ImageNet's statistics per channel, of pixels 0-1 (He et al. 2015 and PyTorch's models)
TORCH = Preprocessing(
    (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255)
)
# ImageNet's mean pixel, blue first, no scaling (Simonyan & Zisserman 2015, section 2.1)
CAFFE = Preprocessing((103.939, 116.779, 123.68), bgr=True)
