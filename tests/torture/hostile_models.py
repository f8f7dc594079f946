"""Models that nobody should load: each a small real one with something bad in it.

`try_one` makes one at random and loads it. It must load, or be refused in words.
"""

from __future__ import annotations

import copy
import io
import json
import random
import stat
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlError

if TYPE_CHECKING:
    import h5py

SMALL_MODEL = next(Path(__file__).parents[1].glob("data/0.1.0/home/runs/pets/*-dense-*/models"))
MOST_SECONDS = 20.0
MOST_CHARACTERS = 1000
HUGE = 10**12


class Parts:
    """The parts of a `.keras` file, to be spoilt and written.

    Args:
        path: a real model.
    """

    def __init__(self, path: Path = SMALL_MODEL / "best.keras") -> None:
        with zipfile.ZipFile(path) as archive:
            self.metadata = archive.read("metadata.json")
            self.config = json.loads(archive.read("config.json"))
            self.weights = archive.read("model.weights.h5")
        self.more: list[tuple[str | zipfile.ZipInfo, bytes]] = []
        self.packing = zipfile.ZIP_STORED

    def write(self, path: Path) -> Path:
        config = self.config
        text = config if isinstance(config, bytes) else json.dumps(config).encode()
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", self.packing) as archive:
            warnings.simplefilter("ignore")  # about a name that stands twice
            archive.writestr("metadata.json", self.metadata)
            archive.writestr("config.json", text)
            archive.writestr("model.weights.h5", self.weights)
            for name, content in self.more:
                archive.writestr(name, content)
        return path

    def layers(self, name: str = "") -> list[dict[str, Any]]:
        """The configs of all layers of a class, in nested models too."""
        found, waiting = [], [self.config]
        while waiting:
            held = waiting.pop()
            waiting += held.values() if isinstance(held, dict) else held
            waiting = [each for each in waiting if isinstance(each, dict | list)]
            if isinstance(held, dict) and held.get("module") == "keras.layers":
                found += [held] if name in ("", held["class_name"]) else []
        return found

    def hdf5(self, change: Callable[[h5py.File], Any]) -> None:
        """Change the file of weights."""
        import h5py

        content = io.BytesIO(self.weights)
        with h5py.File(content, "r+") as file:
            change(file)
        self.weights = content.getvalue()


def lambda_layer(parts: Parts) -> None:
    layer = parts.layers("Dense")[0]
    layer["class_name"] = "Lambda"
    layer["config"] = {"function": {"class_name": "__lambda__", "config": {"value": "eA=="}}}


def custom_class(parts: Parts) -> None:
    layer = parts.layers("Dense")[0]
    layer |= {"module": "os", "class_name": "system", "registered_name": "os>system"}


def downloader(parts: Parts) -> None:
    parts.layers("Dense")[0] |= {"module": "keras.utils", "class_name": "get_file"}


def reader_of_files(parts: Parts) -> None:
    layer = parts.layers("Dense")[0]
    layer["class_name"], layer["config"] = "StringLookup", {"vocabulary": "/etc/passwd"}


def name_that_clears_the_screen(parts: Parts) -> None:
    parts.layers("Dense")[0]["config"]["name"] = "\x1b[2Jx"


def long_name(parts: Parts) -> None:
    parts.layers("Dense")[0]["config"]["name"] = "x" * 201


def absurd_units(parts: Parts) -> None:
    for layer in parts.layers("Dense"):
        layer["config"]["units"] = HUGE


def many_units(parts: Parts) -> None:
    """As many as memory might just hold."""
    for layer in parts.layers("Dense"):
        layer["config"]["units"] = 10**7


def huge_outputs(parts: Parts) -> None:
    """Without a weight, an image becomes more than memory holds."""
    import keras

    image = keras.Input((16, 16, 3), name="image")
    large = keras.layers.UpSampling2D(10**5)(image)
    mean = keras.layers.GlobalAveragePooling2D()(large)
    model = keras.Model(image, keras.layers.Dense(2)(mean))
    with TemporaryDirectory() as folder:
        model.save(Path(folder, "large.keras"))
        parts.__init__(Path(folder, "large.keras"))  # type: ignore[misc]


def eager_operation(parts: Parts) -> None:
    """An operation that would compute while it is read."""
    layers = _graph(parts)["layers"]
    eager = {"module": "keras.src.ops.numpy", "class_name": "Arange", "config": {"name": "a"}}
    layers.append(eager | {"name": "a", "registered_name": "Arange"})
    layers[-1]["inbound_nodes"] = [{"args": [0, HUGE], "kwargs": {}}]


def circle(parts: Parts) -> None:
    """A layer that is its own input."""
    layer = next(each for each in _graph(parts)["layers"] if each["inbound_nodes"])
    text = json.dumps(layer["inbound_nodes"])
    (history,) = {json.dumps(each) for each in _histories(layer["inbound_nodes"])}
    layer["inbound_nodes"] = json.loads(text.replace(history, json.dumps([layer["name"], 0, 0])))


def nested(parts: Parts) -> None:
    parts.config = b"[" * 200_000


def many_objects(parts: Parts) -> None:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}
    parts.layers("Dense")[0]["config"]["dtype"] = [policy] * 150_000


def config_bomb(parts: Parts) -> None:
    parts.packing = zipfile.ZIP_DEFLATED
    parts.config = json.dumps(parts.config).encode() + b" " * 25_000_000


def weights_bomb(parts: Parts) -> None:
    parts.packing, parts.weights = zipfile.ZIP_DEFLATED, bytes(120_000_000)


def link_member(parts: Parts) -> None:
    info = zipfile.ZipInfo("assets")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    parts.more.append((info, b"/etc/passwd"))


def absolute_member(parts: Parts) -> None:
    parts.more.append(("/tmp/hostile-model", b"x"))


def member_above(parts: Parts) -> None:
    parts.more.append(("assets/../../hostile-model", b"x"))


def second_config(parts: Parts) -> None:
    parts.more.append(("config.json", json.dumps(parts.config).encode()))


def external_link(parts: Parts) -> None:
    import h5py

    def change(file: h5py.File) -> None:
        file["layers/stolen"] = h5py.ExternalLink("/etc/passwd", "/")

    parts.hdf5(change)


def soft_link(parts: Parts) -> None:
    import h5py

    def change(file: h5py.File) -> None:
        file["layers/stolen"] = h5py.SoftLink("/layers/stolen")

    parts.hdf5(change)


def external_array(parts: Parts) -> None:
    def change(file: h5py.File) -> None:
        file.create_dataset("layers/s", (8,), "u1", external=[("/etc/passwd", 0, 8)])

    parts.hdf5(change)


def virtual_array(parts: Parts) -> None:
    import h5py

    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((8,), "u1")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
        file.create_virtual_dataset("layers/v", layout)

    parts.hdf5(change)


def array_bomb(parts: Parts) -> None:
    """A gigabyte that is not stored."""

    def change(file: h5py.File) -> None:
        file.create_dataset("layers/b", (2**28,), "f4", chunks=(2**20,), compression="gzip")

    parts.hdf5(change)


def deep_groups(parts: Parts) -> None:
    """Deep enough for the library's own walk to end the process."""

    import h5py

    def change(file: h5py.File) -> None:
        group = file.id
        for _ in range(3000):
            group = h5py.h5g.create(group, b"a")

    parts.hdf5(change)


def circular_groups(parts: Parts) -> None:
    def change(file: h5py.File) -> None:
        file["layers/again"] = file["/"]

    parts.hdf5(change)


def flipped_bits(parts: Parts, rng: random.Random) -> None:
    data = bytearray(parts.weights)
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    parts.weights = bytes(data)


def cut_weights(parts: Parts, rng: random.Random) -> None:
    parts.weights = parts.weights[: rng.randrange(len(parts.weights))]


def wrong_values(parts: Parts, rng: random.Random) -> None:
    """Some values of the config become others."""
    places = _places(parts.config)
    others = (None, True, -1, 0, HUGE, 1e308, float("nan"), "", "x" * 1000, [], {}, [[]], "../x")
    for _ in range(rng.randint(1, 4)):
        held, key = rng.choice(places)
        held[key] = copy.deepcopy(rng.choice((*others, rng.choice(places)[0])))


def lost_keys(parts: Parts, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        held, key = rng.choice(_places(parts.config))
        if isinstance(held, dict):
            held.pop(key, None)


# Each must be refused.
REFUSED: dict[str, tuple[Callable[[Parts], None], str]] = {
    "lambda": (lambda_layer, "Lambda|__lambda__"),
    "custom class": (custom_class, "`os.system`"),
    "downloader": (downloader, "`keras.utils.get_file`"),
    "reader of files": (reader_of_files, "StringLookup"),
    "name that clears the screen": (
        name_that_clears_the_screen,
        r"its layer '\\x1b\[2Jx' has a name with",
    ),
    "long name": (long_name, "its layer 'xxx"),
    "absurd units": (absurd_units, "more weights than it holds"),
    "many units": (many_units, "more weights than it holds"),
    "huge outputs": (huge_outputs, "makes an array of shape"),
    "eager operation": (eager_operation, "called without an input"),
    "circle": (circle, "loops"),
    "nested": (nested, "recursion"),
    "many objects": (many_objects, "more than 100,000 objects"),
    "config bomb": (config_bomb, "more than the 20.0 MB"),
    "weights bomb": (weights_bomb, "unpacks to 120.0 MB, more than the 100.0 MB"),
    "link": (link_member, "holds `assets`"),
    "absolute name": (absolute_member, "holds `/tmp/hostile-model`"),
    "name above": (member_above, "holds `assets/"),
    "second config": (second_config, "`config.json` twice"),
    "external link": (external_link, "`/layers/stolen` in it is a link"),
    "soft link": (soft_link, "`/layers/stolen` in it is a link"),
    "external array": (external_array, "stored in another file"),
    "virtual array": (virtual_array, "stored in another file"),
    "array bomb": (array_bomb, "far larger than what it stores"),
    "deep groups": (deep_groups, "nested more than 50 deep"),
}
RANDOM: tuple[Callable[[Parts, random.Random], None], ...] = (
    flipped_bits,
    cut_weights,
    wrong_values,
    lost_keys,
)


def try_one(rng: random.Random, folder: Path) -> None:
    """Load one hostile model.

    Raises:
        AssertionError: it took too long, or the refusal is too long or no refusal.
    """
    from dlcli.models.saved import load_model

    parts = Parts()
    if rng.random() < 0.2:
        name = rng.choice(
            [each for each in REFUSED if "bomb" not in each and each != "many objects"]
        )
        REFUSED[name][0](parts)
    else:
        rng.choice(RANDOM)(parts, rng)
    path = parts.write(folder / "hostile.keras")
    before = time.monotonic()
    try:
        load_model(path)
    except DlError as error:
        assert len(str(error)) < MOST_CHARACTERS + len(str(path))
    assert time.monotonic() - before < MOST_SECONDS
    path.unlink()
    assert not [*folder.iterdir()]


def _graph(parts: Parts) -> dict[str, Any]:
    """The config of the model, which is a functional one."""
    config: dict[str, Any] = parts.config["config"]
    assert "input_layers" in config
    return config


def _histories(node: Any) -> list[Any]:
    if isinstance(node, dict):
        if "keras_history" in node:
            return [node["keras_history"]]
        node = list(node.values())
    return [each for held in node for each in _histories(held)] if isinstance(node, list) else []


def _places(held: Any) -> list[tuple[Any, Any]]:
    """Every place in a tree: what holds it, and its key."""
    places: list[tuple[Any, Any]] = []
    waiting = [held]
    while waiting:
        node = waiting.pop()
        keys = node.keys() if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        waiting += [node[key] for key in keys if isinstance(node[key], dict | list)]
    return places
