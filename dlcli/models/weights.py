"""Where a backbone's weights are, and how they get into it.

Three places: a file that the user names, the package of an embedded network, Keras' own cache
(`~/.keras/models`, or `$KERAS_HOME/models`), which is filled by a download where it lacks the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.files.download import NotFetched, fetch
from dlcli.files.paths import shown
from dlcli.models.backbones import Embedded

if TYPE_CHECKING:
    import h5py
    import keras

    from dlcli.models.backbones import Backbone


Shapes = Counter[tuple[int, ...]]


def weights_file(backbone: Backbone, weights: Path | None = None) -> Path:
    """The file whose weights a backbone takes; `fetch_weights` makes sure that it is there.

    Args:
        backbone: a row of the table.
        weights: a file in place of the backbone's own.
    """
    return weights or backbone.source.path


def weights_hash(path: Path) -> str:
    """The first 16 hex digits of the file's sha256: which weights a result came from."""
    from hashlib import file_digest

    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()[:16]


def fetch_weights(backbone: Backbone, weights: Path | None = None) -> Path:
    """Find the file of weights, downloading it into Keras' cache where that lacks it.

    Args:
        backbone: a row of the table.
        weights: a file in place of the backbone's own.

    Returns:
        an existing file.

    Raises:
        DlError: there is none, and no download either; says where to put one.
    """
    path = weights_file(backbone, weights)
    if path.is_file():
        return path
    if weights is not None:
        raise DlError(
            f"No file of weights at {shown(path)}",
            why="it is a folder" if path.is_dir() else "nothing is there",
            hint="Check the path given by `--weights`.",
        )
    if isinstance(backbone.source, Embedded):
        raise DlError(
            f"The embedded weights of {backbone.name} are missing",
            why=f"the package {backbone.source.package} isn't installed, or not whole",
            hint=backbone.source.remedy,
        )
    url, what = backbone.source.url, f"the weights of {backbone.name}"
    try:
        fetch(lambda: url, path, what=what, digest=backbone.source.digest, has_other_way=True)
    except (NotFetched, OSError) as error:
        if isinstance(error, NotFetched):
            why, again = error.why, error.hint
        else:
            why, again = str(error), "Mend that, then run the same command again."
        raise DlError(
            f"The weights of {backbone.name} are not on this machine, nor can they be downloaded",
            why=why,
            hint=f"{again}\n"
            "Or train on the embedded network: `dl train finetune`.\n"
            "Or name a file that has them: `--weights FILE`.\n"
            f"Or fetch {url} ({backbone.weights_mb} MB) on a connected machine, "
            f"once, and put it at {shown(path)}.",
        ) from error
    return path


def load_weights(path: Path, backbone: Backbone, parts: Sequence[keras.Model]) -> None:
    """Put a file's weights into a network, or into the part of it that the file holds.

    Args:
        path: `.weights.h5`, `.h5` or `.keras` of Keras, or `.pth` of PyTorch's old format.
        backbone: names the network in errors.
        parts: the whole network, then ever smaller parts of it, down to what is needed.

    Raises:
        DlError: the file can't be read, or holds other weights, or not all that are needed.
    """
    import warnings
    from textwrap import shorten

    if path.suffix == ".pth":
        from dlcli.models.efficientnet_lite import load_torch_weights

        return load_torch_weights(parts[0], path)
    found, whole = _shapes_in(path), _shapes_of(parts[0])
    model = next((part for part in parts if _shapes_of(part) == found), None)
    if model is None and found < whole:
        raise DlError(
            f"{shown(path)} holds only a part of {backbone.name}'s weights",
            why=f"{whole.total() - found.total()} of {whole.total()} arrays are missing, as in a "
            "file saved without the network's top",
            hint=f"Give the full weights, of about {backbone.weights_mb} MB; for "
            "`dl features --layer conv` a file without the top will do.",
        )
    if model is None:
        raise DlError(
            f"{shown(path)} does not hold {backbone.name}'s weights",
            why=_first_difference(whole, found),
            hint="Give the weights of this network, for 1000 classes, or name the right backbone.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say, the error says as well
            model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise DlError(
            f"{shown(path)} can't be loaded into {backbone.name}",
            why=shorten(str(error), 200),  # Keras prints whole arrays
            hint="Save the weights again with Keras, as `NAME.weights.h5`.",
        ) from error


def _shapes_of(model: keras.Model) -> Shapes:
    return Counter(tuple(weight.shape) for weight in model.weights)


def _shapes_in(path: Path) -> Shapes:
    """How often each shape of array stands in a file, whichever of Keras' formats it has.

    Compared before loading: Keras itself would warn hundreds of times, then fail half-way.
    """
    from zipfile import BadZipFile, ZipFile

    import h5py

    try:
        if path.suffix == ".keras":
            with (
                ZipFile(path) as archive,
                archive.open("model.weights.h5") as member,
                h5py.File(member, "r") as file,
            ):
                return _weights_within(file)
        with h5py.File(path, "r") as file:
            return _weights_within(file)
    except (OSError, BadZipFile, KeyError, RuntimeError) as error:
        raise DlError(
            f"{shown(path)} can't be read as weights",
            why="it is not a file of Keras' (`.weights.h5`, `.h5`, `.keras`), or it is damaged",
            hint="Fetch or save it again.",
        ) from error


def _weights_within(file: h5py.File) -> Shapes:
    import h5py

    beside = {"optimizer", "optimizer_weights", "metrics", "seed_generator"}
    shapes: Shapes = Counter()

    def count(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and beside.isdisjoint(name.split("/")):
            shapes[item.shape] += 1

    file.visititems(count)
    return shapes


def _first_difference(expected: Shapes, found: Shapes) -> str:
    more, less = found - expected, expected - found
    parts = []
    if less:
        parts.append(f"expected an array of shape {next(iter(less))}")
    if more:
        parts.append(f"found one of shape {next(iter(more))}")
    return ", ".join(parts)
