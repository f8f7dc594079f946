"""Find, download and load a backbone's weights.

They come from a file that the user names, from an embedded network's package, or from Keras' cache
(`~/.keras/models`, or `$KERAS_HOME/models`), to which missing files are downloaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.files.download import NotFetched, fetch
from dlcli.files.paths import shown
from dlcli.models.backbones import BACKBONES, Embedded
from dlcli.models.bounds import UnsafeModel, arrays_in

if TYPE_CHECKING:
    import keras

    from dlcli.models.backbones import Backbone


Shapes = Counter[tuple[int, ...]]
# The backbone whose weights come with `dl`.
EMBEDDED = next(
    row.name
    for row in BACKBONES.values()
    if isinstance(row.source, Embedded) and not row.source.extra
)


def weights_file(backbone: Backbone, weights: Path | None = None) -> Path:
    """The file of a backbone's weights, which may not exist yet; see `fetch_weights`.

    Args:
        backbone: a row of the table.
        weights: a file to use in place of the backbone's own.
    """
    return weights or backbone.source.path


def weights_hash(path: Path) -> str:
    """The first 16 hex digits of the file's sha256, which identify the weights."""
    from hashlib import file_digest

    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()[:16]


def fetch_weights(backbone: Backbone, weights: Path | None = None) -> Path:
    """Find a backbone's weights; download them to Keras' cache if they are missing.

    If another process downloads them, wait for it.

    Args:
        backbone: a row of the table.
        weights: a file to use in place of the backbone's own.

    Returns:
        an existing file.

    Raises:
        DlError: the file is missing and can't be downloaded; says where to put it.
    """
    path = weights_file(backbone, weights)
    if path.is_file():
        return path
    if weights is not None:
        raise DlError(
            f"{shown(path)} is not a file of weights",
            why=_no_file(path),
            hint="Check the path of `--weights`.",
        )
    if isinstance(backbone.source, Embedded):
        raise DlError(
            f"The embedded weights of {backbone.name} are missing",
            why=f"the package {backbone.source.package} is not installed, or is incomplete",
            hint=backbone.source.remedy,
        )
    url, what = backbone.source.url, f"the weights of {backbone.name}"
    try:
        fetch(
            lambda: url,
            path,
            what=what,
            digest=backbone.source.digest,
            has_other_way=True,
            wait=True,  # jobs that start at the same time on a fresh machine
        )
    except (NotFetched, OSError) as error:
        if isinstance(error, NotFetched):
            why, again = error.why, error.hint
        else:
            why, again = str(error), "Fix that, then run the same command again."
        raise DlError(
            f"The weights of {backbone.name} are not on this computer and can't be downloaded",
            why=why,
            hint=f"{again}\n"
            f"Or train on the embedded network: `dl train finetune --backbone {EMBEDDED}`.\n"
            "Or give a file that has them: `--weights FILE`.\n"
            f"Or download {url} ({backbone.weights_mb} MB) on another computer, and copy it to "
            f"{shown(path)}.",
        ) from error
    return path


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "it is a folder"
    return "it is not a regular file" if path.exists() else "it does not exist"


def load_weights(path: Path, backbone: Backbone, parts: Sequence[keras.Model]) -> None:
    """Load a file's weights into a network, or into the part of it that the file covers.

    Args:
        path: `.weights.h5`, `.h5` or `.keras` of Keras, or `.pth` of PyTorch's old format.
        backbone: names the network in errors.
        parts: the whole network, then smaller and smaller parts, down to the needed one.

    Raises:
        DlError: the file can't be read, has other weights, or lacks some of the needed ones.
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
            f"{shown(path)} has only a part of {backbone.name}'s weights",
            why=f"{whole.total() - found.total()} of {whole.total()} arrays are missing, as in a "
            "file without the network's top",
            hint=f"Give the full weights, about {backbone.weights_mb} MB. A file without the top "
            "is enough for `dl features --layer conv`.",
        )
    if model is None:
        raise DlError(
            f"{shown(path)} does not hold {backbone.name}'s weights",
            why=_first_difference(whole, found),
            hint="Give this network's weights for 1000 classes, or the right `--backbone`.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error says the same
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
    """The shapes of the arrays in a file of any of Keras' formats, with their counts.

    They are compared before loading, because Keras would warn hundreds of times, then fail midway.
    """
    from zipfile import BadZipFile

    beside = {"optimizer", "optimizer_weights", "metrics", "seed_generator"}
    try:
        arrays = arrays_in(path)
    except (OSError, BadZipFile, KeyError, RuntimeError, ValueError) as error:
        why = "it is not a Keras file (`.weights.h5`, `.h5`, `.keras`), or it is damaged"
        raise DlError(
            f"{shown(path)} can't be read as weights",
            why=str(error) if isinstance(error, UnsafeModel) else why,
            hint="Download or save it again.",
        ) from error
    return Counter(each.shape for each in arrays if beside.isdisjoint(each.name.split("/")))


def _first_difference(expected: Shapes, found: Shapes) -> str:
    more, less = found - expected, expected - found
    parts = []
    if less:
        parts.append(f"expected an array of shape {next(iter(less))}")
    if more:
        parts.append(f"found one of shape {next(iter(more))}")
    return ", ".join(parts)
