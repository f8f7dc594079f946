"""Read PyTorch's old weight files without PyTorch, and without trusting them.

The format, in order: three pickles (magic number, protocol version, system info), one pickle of
an ordered mapping from name to tensor, one pickle of the list of storage keys, then for each key
an int64 element count and the raw little-endian numbers. A pickle can name any function to be
called on loading, so the unpickler here knows four names and refuses every other.
"""

from __future__ import annotations

import math
import os
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dlcli.errors import DlError
from dlcli.files.paths import shown

if TYPE_CHECKING:
    import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
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


class _Tensor:
    """A tensor that still waits for its storage: which numbers, and how they are laid out."""

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
        # strides of zero would make any number of elements out of a few
        if not inside or math.prod(self.shape) > flat.size:
            raise pickle.UnpicklingError("a tensor reaches outside its storage")
        strides = tuple(s * flat.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Allows the names that a weights file needs, and no other."""

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
        DlError: the file is not of this format, is cut short, or asks for anything but numbers.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except DAMAGED as error:
        raise DlError(
            f"{shown(path)} can't be read as PyTorch weights",
            why=str(error) or "it ends too early",
            hint="Install its package again, or fetch the file again.",
        ) from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    import numpy as np

    length = os.fstat(file.fileno()).st_size
    if _unpickle(file, length) != MAGIC or _unpickle(file, length) != PROTOCOL:
        raise pickle.UnpicklingError("it is not in PyTorch's old format")
    _unpickle(file, length)  # system info: byte order and sizes of C types, always little here
    tensors: dict[str, _Tensor] = _unpickle(file, length)
    dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in _unpickle(file, length):
        (count,) = np.frombuffer(file.read(8), "<i8")
        dtype = np.dtype(dtypes[key])
        size = int(count) * dtype.itemsize
        if not 0 <= size <= length - file.tell():  # asked before the memory is
            raise EOFError
        storages[key] = np.frombuffer(file.read(size), dtype)
    return {name: tensor.read(storages) for name, tensor in tensors.items()}


def _unpickle(file: BinaryIO, length: int) -> Any:
    """Read the next pickle.

    Args:
        file: stands at the pickle's first byte, and after its last when it is read.
        length: of the file.
    """
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        # the unpickler makes its memo as long as the largest index: five bytes could ask for 32 GB
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and (argument or 0) > length:
            raise pickle.UnpicklingError("it asks for more memory than it could need")
    file.seek(start)
    return _Unpickler(file).load()
