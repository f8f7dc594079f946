"""Photos from anywhere, and what a run says about each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.folders import absolute, read_folder
from dlcli.members import aligned, is_ensemble, mean_of, members_of
from dlcli.places import expanded, shown
from dlcli.predictions import Predictions
from dlcli.run import Run
from dlcli.serving import predict_images, start_serving

ROOT = Path("/")


def find_photos(named: Iterable[str]) -> list[str]:
    """The photos that are named, each once, in the order in which they are met.

    Args:
        named: files, whatever their names end in, and folders: all images in them and below,
            hidden ones left out.

    Raises:
        DlError: there is no such file; a folder can't be read; no image in any of them.
    """
    found: dict[Path, str] = {}
    names = list(named)
    for name in names:
        path = expanded(name)
        if name and path.is_dir():
            each = list(_below(path))
        elif name and path.exists():
            each = [path]
        else:
            raise DlError(f"No such photo: {shown(name)}", hint="Check the path.")
        for photo in each:
            found.setdefault(absolute(photo), str(photo))
    if not found:
        where = ", ".join(map(shown, names)) or "the list"
        raise DlError(f"No photos in {where}", hint="Name image files, or folders that hold some.")
    return list(found.values())


def _below(folder: Path) -> Iterator[Path]:
    listing = read_folder(folder)
    yield from (folder / name for name in listing.images)
    for name in listing.folders:
        yield from _below(folder / name)


def predict_photos(run: Run, photos: Sequence[str], config: Config) -> Predictions:
    """A run's probabilities for photos from anywhere; nothing is written.

    Args:
        run: a finished run; an ensemble answers with the mean of its members.
        photos: their files.
        config: workers, what to do about unreadable photos, weights.

    Returns:
        the photos that can be read, as they were named.

    Raises:
        DlError: photos that can't be read, with `on_error` "stop"; none can; the model is gone.
    """
    if is_ensemble(run):
        each = [predict_photos(member, photos, config) for member in members_of(run)]
        return mean_of(aligned(each, run.classes()))
    names = {str(absolute(Path(photo))): photo for photo in photos}
    serving = start_serving(run, config, len(photos))
    paths, y_prob = predict_images(ROOT, tuple(names), serving, config.settings(), "those named")
    named = tuple(names[path] for path in paths)
    return Predictions(named, run.classes(), y_prob, ("",) * len(named))
