"""Find photos anywhere, and predict their classes with a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from dlcli.config import Config
from dlcli.data.photos.folders import walk
from dlcli.errors import DlError
from dlcli.files.formats import damaged
from dlcli.files.paths import expanded, shown
from dlcli.images.formats import left_out
from dlcli.images.pixels import MOST_NAMED
from dlcli.inference.members import members_of
from dlcli.inference.predictions import Predictions, aligned, mean_of
from dlcli.inference.serving import predict_images, start_serving
from dlcli.progress import say
from dlcli.runs.run import Run
from dlcli.words import first_of

ROOT = Path("/")


def find_photos(named: Iterable[str]) -> list[str]:
    """The named photos, each once, in the order in which they are found.

    Missing files are kept if any other file exists: they are later reported, or left out, together
    with those that can't be read. Files in folders that are not images are left out, which is said.

    Args:
        named: files of any suffix, and folders: all visible images in them and below.

    Raises:
        DlError: none of the files exists; a folder can't be read; there is no image in any.
    """
    found: dict[Path, str] = {}
    missing: dict[Path, str] = {}
    others: dict[Path, Path] = {}
    names = list(named)
    for name in names:
        path = expanded(name)
        if name and path.is_dir():
            each = []
            for inner, listing in walk(path):
                each += [path / inner / image for image in listing.images]
                below = (path / inner / other for other in listing.others)
                others |= {_place(other): other for other in below}
        elif name and path.exists():
            each = [path]
        elif name:
            each = [path]
            missing[_place(path)] = name
        else:
            raise DlError("No such photo: the name is empty", hint="Check the path.")
        for photo in each:
            found.setdefault(_place(photo), str(photo))
    if missing and len(missing) == len(found):
        which = first_of([*map(shown, missing.values())], MOST_NAMED)
        raise DlError(f"No such photo: {which}", hint="Check the path.")
    if not found:
        where = ", ".join(map(shown, names)) or "the list"
        raise DlError(
            f"No photos in {where}",
            why=left_out(others.values()).removesuffix("."),
            hint="Name image files, or folders with images.",
        )
    if left := left_out(other for place, other in others.items() if place not in found):
        say(left)
    return list(found.values())


def _place(photo: Path) -> Path:
    """A photo's path, the same however it was named; a link counts as a photo of its own."""
    return photo.parent.resolve() / photo.name


def predict_photos(run: Run, photos: Sequence[str], config: Config) -> Predictions:
    """A run's probabilities for photos from anywhere; writes nothing.

    Args:
        run: a finished run; an ensemble answers with the mean of its members.
        config: workers, what to do about unreadable photos, weights.

    Returns:
        predictions of the readable photos, named and ordered as given.

    Raises:
        DlError: a run of another kind; unreadable photos, with `on_error` "stop"; all are
            unreadable; the model is gone.
    """
    run.require_kind("photos")
    if run.is_ensemble:
        each = [predict_photos(member, photos, config) for member in members_of(run)]
        return _as_named(mean_of(aligned(each, run.classes)), photos)
    # not `abspath`: it resolves `link/..` to the folder that holds the link
    names = {str(Path(photo).absolute()): photo for photo in photos}
    serving = start_serving(run, config, len(photos))
    paths, y_prob = predict_images(ROOT, tuple(names), serving, config.settings(), "the photos")
    if y_prob.shape[1] != len(run.classes):
        why = f"it names {len(run.classes)} classes, the model has {y_prob.shape[1]}"
        raise damaged(run.classes_file, why)
    named = tuple(names[path] for path in paths)
    return Predictions(named, run.classes, y_prob, ("",) * len(named))


def _as_named(mean: Predictions, photos: Sequence[str]) -> Predictions:
    """The same rows, in the order in which the photos were named."""
    place = {photo: number for number, photo in enumerate(photos)}
    order = sorted(range(len(mean.paths)), key=lambda row: place[mean.paths[row]])
    paths = tuple(mean.paths[row] for row in order)
    return replace(mean, paths=paths, y_prob=mean.y_prob[order])
