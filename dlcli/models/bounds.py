"""What a model's file may hold, checked before Keras reads it.

A model may come from somebody else. Keras refuses code in it (`safe_mode`). What is refused here
leads to other files, calls what is not a layer, or takes memory without bound: a config or weights
that unpack to far more than the file, layers with more weights than it holds, arrays that are
larger than what is stored of them.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import ZipFile

from dlcli import words

if TYPE_CHECKING:
    import h5py
    import keras

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {CONFIG, WEIGHTS, "metadata.json"}
# EfficientNet-B7, of 813 layers, has a config of 1.1 MB with 9,000 objects.
MOST_CONFIG_BYTES = 20_000_000
MOST_OBJECTS = 100_000
# A member may unpack to this much, or to so many times its packed size: trained weights hardly
# shrink.
ALWAYS_ALLOWED_BYTES = 100_000_000
MOST_RATIO = 10
# Layers without a file's weights, such as seeds, have few numbers.
OTHER_NUMBERS = 10_000
# Numbers in one layer's output for one image: 64 channels of 4096x4096 pixels.
MOST_OUTPUTS = 2**30
# The name of a layer, an operation or a model. Errors of a backend show it.
MOST_NAME_CHARACTERS = 200
_TENSORFLOW_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
# Keras nests a group for each model, layer and list of layers.
MOST_NESTED = 50

# Where a model's layers, and what they are made of, come from. Keras would import any other class
# of its own by name, those that download or read files included.
_MODULES = {
    "builtins",
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.losses",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.regularizers",
}
_CLASSES = {
    ("keras", "DTypePolicy"),
    ("keras", "Model"),
    ("keras", "Sequential"),
    ("keras.models", "Model"),
    ("keras.models", "Sequential"),
    ("keras.src.applications.convnext", "LayerScale"),
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"),
    ("keras.src.models.functional", "Functional"),
    ("keras.src.models.sequential", "Sequential"),
}
_FUNCTIONS = {"builtins", "keras.activations", "keras.losses"}
_OPERATIONS = "keras.src.ops."
# Values that Keras writes into a config; `__lambda__` and `__typespec__` are not among these.
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
# These hold code, or read files that the config names.
_REFUSED_LAYERS = {
    "FlaxLayer",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
}


class UnsafeModel(ValueError):
    """Why a file is not read as a model or weights."""


class StoredArray(NamedTuple):
    """An array in a file of weights.

    Args:
        name: its path in the file.
        shape: its shape.
    """

    name: str
    shape: tuple[int, ...]


def require_file(path: Path) -> None:
    """Refuse what is not a regular file: to open a pipe would wait.

    Raises:
        UnsafeModel: it is a pipe, a device or a folder.
        OSError: it is missing, or there is no permission.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnsafeModel("it is not a regular file")


def most_weights(path: Path) -> int:
    """Check a `.keras` file; how many numbers its layers' weights may have.

    Raises:
        UnsafeModel: says what it holds and should not.
        BadZipFile, OSError, KeyError, RuntimeError, ValueError, RecursionError: it is damaged.
    """
    require_file(path)
    with ZipFile(path) as archive:
        sizes = _members(archive)
        _require_known_objects(json.loads(archive.read(CONFIG)))
        for _ in stored_arrays(_opened(BytesIO(archive.read(WEIGHTS))), sizes[WEIGHTS]):
            pass
    return sizes[WEIGHTS] + OTHER_NUMBERS


def _members(archive: ZipFile) -> dict[str, int]:
    """The unpacked size of each member."""
    sizes: dict[str, int] = {}
    for info in archive.infolist():
        if info.filename not in MEMBERS:
            raise UnsafeModel(f"it holds `{info.filename[:60]}`, which is not part of a model")
        if info.filename in sizes:
            raise UnsafeModel(f"it holds `{info.filename}` twice")
        most = max(ALWAYS_ALLOWED_BYTES, MOST_RATIO * info.compress_size)
        most = most if info.filename == WEIGHTS else MOST_CONFIG_BYTES
        if info.file_size > most:
            raise UnsafeModel(
                f"`{info.filename}` in it unpacks to {words.size(info.file_size)}, more than the "
                f"{words.size(most)} that `dl` allows"
            )
        sizes[info.filename] = info.file_size
    if missing := MEMBERS - sizes.keys():
        raise UnsafeModel(f"it lacks `{min(missing)}`")
    return sizes


def _require_known_objects(config: Any) -> None:
    """Refuse a config that names what is not a layer or a part of one, or too many of them."""
    waiting, objects, characters = [config], 0, 0
    while waiting:
        held = waiting.pop()
        if isinstance(held, list):
            waiting += held
        if not isinstance(held, dict):
            continue
        waiting += held.values()
        if "class_name" in held:
            objects += 1
            _require_known(held)
            _require_plain_names(held)
        for node in held.get("inbound_nodes") or ():
            text = json.dumps(node)
            characters += len(text)
            # an operation without a symbolic input would compute at once, as much as it likes
            if not isinstance(node, dict) or "__keras_tensor__" not in text:
                raise UnsafeModel("a layer in it is called without an input")
        # nodes hold no others
        if objects > MOST_OBJECTS or characters > MOST_CONFIG_BYTES:
            raise UnsafeModel(f"its config describes more than {MOST_OBJECTS:,} objects")


def _require_known(held: dict[str, Any]) -> None:
    import keras

    module, name = held.get("module"), held["class_name"]
    if not isinstance(name, str) or not isinstance(module, str | None):
        raise UnsafeModel("its config is damaged")
    if name in _VALUES or (module, name) in _CLASSES:
        return
    if module in (_FUNCTIONS if name == "function" else _MODULES) and name not in _REFUSED_LAYERS:
        return
    if module is not None and module.startswith(_OPERATIONS) and name.isidentifier():
        return
    # a layer of a project's own, which its recipe has registered
    registered = held.get("registered_name")
    if isinstance(registered, str) and keras.saving.get_registered_object(registered):
        return
    what = f"{module}.{name}" if module else name
    raise UnsafeModel(f"it holds `{what[:80]}`, which `dl` does not load from a file")


def _require_plain_names(held: dict[str, Any]) -> None:
    import keras

    config = held.get("config")
    for name in (held.get("name"), config.get("name") if isinstance(config, dict) else None):
        if not isinstance(name, str):
            continue
        what = f"its layer {name[:60]!a} has a name"
        if len(name) > MOST_NAME_CHARACTERS:
            raise UnsafeModel(f"{what} of more than {MOST_NAME_CHARACTERS} characters")
        if not name.isprintable():
            raise UnsafeModel(f"{what} with control characters")
        # to load it is possible, but not to predict
        if keras.backend.backend() == "tensorflow" and not _TENSORFLOW_NAME.fullmatch(name):
            raise UnsafeModel(f"{what} that TensorFlow refuses; `KERAS_BACKEND=jax` takes it")


@contextmanager
def weights_bounded(most: int) -> Iterator[None]:
    """Limit the weights of the layers that are made inside.

    Keras makes them as it reads a config. Only here can a size be refused before its memory is
    taken.

    Args:
        most: numbers in all weights together.
    """
    import keras

    plain, left = keras.Layer.add_weight, most

    def counted(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        shape = args[0] if args else kwargs.get("shape")
        if isinstance(shape, list | tuple):
            left -= math.prod(size for size in shape if isinstance(size, int))
        elif isinstance(shape, int):
            left -= shape
        if left < 0:
            raise UnsafeModel("its layers have more weights than it holds")
        return plain(layer, *args, **kwargs)

    keras.Layer.add_weight = counted
    try:
        yield
    finally:
        keras.Layer.add_weight = plain


def require_bounded_outputs(model: keras.Model) -> None:
    """Refuse a model that makes more numbers of one image than any network has.

    Raises:
        UnsafeModel: names the layer.
    """
    import keras

    waiting = [model]
    while waiting:
        operation = waiting.pop()
        waiting += getattr(operation, "operations", ()) or getattr(operation, "layers", ())
        for node in operation._inbound_nodes:
            for tensor in keras.tree.flatten(node.output_tensors):
                if math.prod(size for size in tensor.shape if size) > MOST_OUTPUTS:
                    raise UnsafeModel(
                        f"its layer `{operation.name[:60]}` makes an array of shape "
                        f"{tuple(tensor.shape)}, of more than {MOST_OUTPUTS:,} numbers"
                    )


def arrays_in(path: Path) -> list[StoredArray]:
    """The arrays in a file of weights of any of Keras' formats.

    Raises:
        UnsafeModel: it leads to other files, or declares more than it stores.
        BadZipFile, OSError, KeyError, RuntimeError: it is damaged, or not such a file.
    """
    require_file(path)
    if path.suffix == ".keras":
        with ZipFile(path) as archive:
            size = _members(archive)[WEIGHTS]
            return list(stored_arrays(_opened(BytesIO(archive.read(WEIGHTS))), size))
    return list(stored_arrays(_opened(path), path.stat().st_size))


def _opened(file: Path | BytesIO) -> h5py.File:
    import h5py

    return h5py.File(file, "r")


def stored_arrays(file: h5py.File, size: int) -> Iterator[StoredArray]:
    """The arrays in an HDF5 file, which it closes.

    Its groups are walked here: the library's own walk follows them as deep as they go, and ends the
    process.

    Args:
        size: of the file in bytes.

    Raises:
        UnsafeModel: it has links, arrays outside the file, or larger ones than it stores.
    """
    from h5py import h5d, h5g, h5l, h5o

    left = max(ALWAYS_ALLOWED_BYTES, MOST_RATIO * size)
    with file:
        waiting: list[tuple[Any, str, int]] = [(file.id, "", 0)]
        seen: set[int] = set()
        while waiting:
            group, path, depth = waiting.pop()
            if depth > MOST_NESTED:
                raise UnsafeModel(f"its groups are nested more than {MOST_NESTED} deep")
            for raw in group:
                name = f"{path}/{raw.decode('utf-8', 'replace')}"
                if group.links.get_info(raw).type != h5l.TYPE_HARD:
                    raise UnsafeModel(f"`{name[:80]}` in it is a link")
                item = h5o.open(group, raw)
                if (place := h5o.get_info(item).addr) in seen:
                    continue
                seen.add(place)
                if len(seen) > MOST_OBJECTS:
                    raise UnsafeModel(f"it holds more than {MOST_OBJECTS:,} arrays and groups")
                if isinstance(item, h5g.GroupID):
                    waiting.append((item, name, depth + 1))
                elif isinstance(item, h5d.DatasetID):
                    left -= _stored_bytes(item, name)
                    if left < 0:
                        raise UnsafeModel("its arrays are far larger than what it stores of them")
                    yield StoredArray(name, tuple(item.shape))


def _stored_bytes(array: h5py.h5d.DatasetID, name: str) -> int:
    """The size of an array in memory.

    Raises:
        UnsafeModel: it lies in other files.
    """
    from h5py import h5d

    how = array.get_create_plist()
    if how.get_external_count() or how.get_layout() == h5d.VIRTUAL:
        raise UnsafeModel(f"`{name[:80]}` in it is stored in another file")
    size: int = math.prod(array.shape) * array.dtype.itemsize
    return size
