"""EfficientNet-Lite 0, 1 and 2 in Keras, and a safe reader of their PyTorch weights.

EfficientNet (Tan & Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6 in
place of swish, so that it is fast on every CPU. The weights are trained on ImageNet and come from
the package index (Apache-2.0), so that no model hub is needed.

The weights are in PyTorch's old format. It is read without PyTorch and without trusting the file.
In order: three pickles (magic number, protocol version, system info), one pickle of an ordered
mapping from name to tensor, one pickle of the list of storage keys, then for each key an int64
element count and the raw little-endian numbers. A pickle can name any function to call on loading,
so the unpickler here knows four names and refuses all others.
"""

from __future__ import annotations

import math
import os
import pickle
import pickletools
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dlcli.errors import DlError
from dlcli.files.paths import shown

if TYPE_CHECKING:
    import keras
    import numpy as np
    from keras import KerasTensor


# Tan & Le 2019, table 1, without its squeeze-and-excitation; at width and depth 1:
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

# PyTorch's old format.
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_PROTOCOL = 1001
STORAGE_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
# what a damaged pickle makes the unpickler raise, besides its own error
DAMAGED = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


def _efficientnet_lite(
    name: str,
    width: float,
    depth: float,
    include_top: bool,
    weights: None,
    input_tensor: KerasTensor,
    input_shape: tuple[int, int, int],
) -> keras.Model:
    """Build a network of the family; the last four arguments are those of `keras.applications`.

    Args:
        width: factor of lite0's channels, about.
        depth: factor of lite0's blocks, about.
        include_top: whether to end in class probabilities, or after the last convolution.
        weights: None, for random weights.
        input_tensor: (n, height, width, 3), pixels already scaled to about -1..1.
        input_shape: (height, width, 3).

    Returns:
        the source of `input_tensor` -> (n, 1000) probabilities, or (n, height / 32, width / 32,
        1280), rounded up. Layers have the names of the weights file.

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

    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="conv_stem")(input_tensor)
    x = batchnorm_relu6(x, "bn0")
    index, channels_in = 0, 32
    for stage, (expansion, kernel, first_stride, channels_at_1, blocks_at_1) in enumerate(STAGES):
        channels = _scaled_channels(channels_at_1, width)
        # stem, head, and the number of blocks of the first and last stage do not scale
        scales = 0 < stage < len(STAGES) - 1
        for block in range(math.ceil(blocks_at_1 * depth) if scales else blocks_at_1):
            prefix, shortcut = f"blocks_{index}", x
            stride = first_stride if block == 0 else 1
            if expansion != 1:
                x = layers.Conv2D(
                    channels_in * expansion, 1, use_bias=False, name=f"{prefix}_expand_conv"
                )(x)
                x = batchnorm_relu6(x, f"{prefix}_bn0")
            x = layers.DepthwiseConv2D(
                kernel, stride, "same", use_bias=False, name=f"{prefix}_depthwise_conv"
            )(x)
            x = batchnorm_relu6(x, f"{prefix}_bn1")
            x = layers.Conv2D(channels, 1, use_bias=False, name=f"{prefix}_project_conv")(x)
            x = batchnorm_relu6(x, f"{prefix}_bn2", relu=False)
            if block > 0:
                x = layers.Add(name=f"{prefix}_add")([x, shortcut])
            index, channels_in = index + 1, channels
    x = layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(x)
    x = batchnorm_relu6(x, "bn1")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pooled")(x)
        x = layers.Dense(1000, activation="softmax", name="fc")(x)
    return Model(get_source_inputs(input_tensor), x, name=name)


def _scaled_channels(channels: int, width: float) -> int:
    """A multiple of eight near `channels * width`, and at least nine tenths of it."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


# the coefficients are from the reference above
efficientnet_lite0 = partial(_efficientnet_lite, "efficientnet-lite0", 1.0, 1.0)
efficientnet_lite1 = partial(_efficientnet_lite, "efficientnet-lite1", 1.0, 1.1)
efficientnet_lite2 = partial(_efficientnet_lite, "efficientnet-lite2", 1.1, 1.2)


def load_torch_weights(model: keras.Model, path: Path) -> None:
    """Load PyTorch weights into an EfficientNet-Lite.

    Raises:
        DlError: the file does not hold exactly this network's weights.
    """
    tensors = read_torch_weights(path)
    prefixes = {_torch_name(layer.name): layer for layer in model.layers if layer.weights}
    # a larger network's file has all names of a smaller one, and more
    beyond = sorted({name.rsplit(".", 1)[0] for name in tensors} - prefixes.keys())
    if beyond:
        raise _other_weights(model, path, beyond[0], "the network has no such layer")
    for prefix, layer in prefixes.items():
        try:
            layer.set_weights(_keras_arrays(tensors, prefix))
        except (KeyError, ValueError) as error:
            raise _other_weights(model, path, prefix, str(error)) from error


def _other_weights(model: keras.Model, path: Path, prefix: str, why: str) -> DlError:
    return DlError(
        f"{shown(path)} does not hold {model.name}'s weights",
        why=f"layer {prefix}: {why}",
        hint="Use the `.pth` file of this efficientnet-lite, or download or install it again.",
    )


def _torch_name(name: str) -> str:
    """The file's name of a layer: `blocks_12_project_conv` -> `_blocks.12._project_conv`."""
    if not name.startswith("blocks_"):
        return f"_{name}"
    _, index, part = name.split("_", 2)
    return f"_blocks.{index}._{part}"


def _keras_arrays(tensors: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """One layer's weights, from PyTorch's layouts to Keras' order and layouts."""
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


class _Tensor:
    """A tensor before its storage is read: its offset, shape and strides."""

    def __init__(
        self,
        storage: tuple[str, str],
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *_grad: object,
    ) -> None:
        self.dtype, self.key = storage
        self.offset, self.shape, self.strides = offset, tuple(shape), tuple(strides)

    def read(self, storages: dict[str, np.ndarray]) -> np.ndarray:
        import numpy as np

        flat = storages[self.key]
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        inside = self.offset >= 0 and min(self.strides, default=0) >= 0 and last < flat.size
        # with strides of zero, a few numbers could make a huge array
        if not inside or math.prod(self.shape) > flat.size:
            raise pickle.UnpicklingError("a tensor reaches outside its storage")
        strides = tuple(s * flat.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Allows only the names that a weights file needs."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in STORAGE_TYPES:
            return name
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        kind, storage_type, key, *_ = pid
        if kind != "storage" or storage_type not in STORAGE_TYPES:
            raise pickle.UnpicklingError(f"the file asks for {kind} {storage_type}")
        return STORAGE_TYPES[storage_type], str(key)


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """Read a weights file in PyTorch's old serialisation.

    Args:
        path: the `.pth` file.

    Returns:
        name -> array, in PyTorch's own layouts: convolutions (out, in, height, width), dense
        (out, in), scalars ().

    Raises:
        DlError: the file has another format, is truncated, or asks for anything but numbers.
    """
    try:
        with path.open("rb") as file:
            return _tensors_in(file)
    except DAMAGED as error:
        raise DlError(
            f"{shown(path)} can't be read as PyTorch weights",
            why=str(error) or "it is truncated",
            hint="Install its package again, or download the file again.",
        ) from error


def _tensors_in(file: BinaryIO) -> dict[str, np.ndarray]:
    import numpy as np

    length = os.fstat(file.fileno()).st_size
    if _unpickle(file, length) != TORCH_MAGIC or _unpickle(file, length) != TORCH_PROTOCOL:
        raise pickle.UnpicklingError("it is not in PyTorch's old format")
    _unpickle(file, length)  # system info: byte order, always little here, and sizes of C types
    tensors: dict[str, _Tensor] = _unpickle(file, length)
    dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in _unpickle(file, length):
        (count,) = np.frombuffer(file.read(8), "<i8")
        dtype = np.dtype(dtypes[key])
        size = int(count) * dtype.itemsize
        if not 0 <= size <= length - file.tell():  # before memory is allocated
            raise EOFError
        storages[key] = np.frombuffer(file.read(size), dtype)
    return {name: tensor.read(storages) for name, tensor in tensors.items()}


def _unpickle(file: BinaryIO, length: int) -> Any:
    """Read the next pickle.

    Args:
        file: at the pickle's first byte; afterwards after its last.
        length: of the file, in bytes.
    """
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        # the unpickler's memo is as long as the largest index: five bytes could ask for 32 GB
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and (argument or 0) > length:
            raise pickle.UnpicklingError("it asks for more memory than it could need")
    file.seek(start)
    return _Unpickler(file).load()
