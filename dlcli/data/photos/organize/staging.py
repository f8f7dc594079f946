"""The folder that is organised: the download itself, or one with its archives unpacked.

Archives are unpacked and CSVs of pixels drawn into a hidden folder beside the dataset, on the same
disk, such as `.pets-0123456789ab.unpacked`. Its files then move into the dataset, and `dl data
undo` moves them back. A file in it tells that this program made it, see `files.own`; only such a
folder is ever used or removed. Another file tells that the folder is complete: one without was left
by a process that was killed, and is made again.

The download itself is never changed.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from dlcli.data.dataset import SETTINGS
from dlcli.data.journal import JournalError, Operation, unfinished
from dlcli.data.leftovers import COPIED, how_to_remove, name_left
from dlcli.data.photos.folders import walk
from dlcli.data.photos.organize.foreign import require_files
from dlcli.data.photos.organize.layout import read_layout, split_of
from dlcli.data.photos.organize.pixel_csv import draw, pixel_table
from dlcli.errors import DlError
from dlcli.files.archive_members import MOST_NESTED, Budget, refusal
from dlcli.files.archives import can_unpack, is_archive, open_archive, without_suffix
from dlcli.files.atomic import atomic_write, require_room, sync_disk, sync_folder
from dlcli.files.formats import read_text
from dlcli.files.own import MARKER, NotOwnError, is_begun, is_copy, mark, marked, remark, unmark
from dlcli.files.paths import quoted, shown
from dlcli.files.transfer import copy_file
from dlcli.images.formats import has_usual_suffix, is_image, kind_of
from dlcli.words import first_of

_UNPACKED = ".unpacked"
# Up to 0.1.0, an incomplete folder.
_PARTIAL = ".partial"
_STAMP_DIGITS = 12
_STAMP = rf"-[0-9a-f]{{{_STAMP_DIGITS}}}"
# Which command made such a folder. After an undo it may hold the only copies.
_UNPACK, _UNDO = "organize", "undo"
# The file in such a folder that says that it is complete.
_WHOLE = ".whole"
# The file in such a folder that lists what was drawn.
_DRAWN = ".drawn"


@dataclass(frozen=True)
class Download:
    """A download that must first be unpacked or drawn.

    Args:
        source: an archive, or a folder that holds archives or CSVs of pixels.
        packed: the files that are unpacked or drawn.
    """

    source: Path
    packed: tuple[Path, ...]

    @property
    def stamp(self) -> str:
        """Twelve hex digits that change when the download is moved or changed."""
        digest = sha256(os.fsencode(self.source))
        for file in self.packed:
            status = file.stat()
            digest.update(os.fsencode(file) + f"\0{status.st_size}\0{status.st_mtime_ns}".encode())
        return digest.hexdigest()[:_STAMP_DIGITS]


def download_of(source: Path) -> Download | None:
    """What has to be unpacked or drawn in a download; None where nothing has to.

    A folder's archives are left packed if they were unpacked beside themselves. If the folder has
    training images, only a train.zip or test.zip is unpacked.

    Raises:
        DlError: no such file or folder.
    """
    if source.is_file():
        return Download(source, (source,)) if is_archive(source.name) else None
    layout = read_layout(source)
    archives = [source / name for name in layout.archives if can_unpack(name)]
    packed = [file for file in archives if not _is_unpacked(file)]
    if layout.images["train"]:
        there = {split for split, images in layout.images.items() if images}
        packed = [file for file in packed if _split(file) not in (None, *there)]
    else:
        packed += [file for name in layout.tables if pixel_table(file := source / name)]
    return Download(source, tuple(packed)) if packed else None


def left_packed(source: Path, download: Download | None) -> str:
    """A sentence on the archives of a folder that stay packed; "" where there are none.

    Args:
        source: the download.
        download: what of it is unpacked.
    """
    if source.is_file():
        return ""
    packed = set(download.packed) if download else set()
    archives = [source / name for name in read_layout(source).archives]
    left = [shown(f.name) for f in archives if f not in packed and not _is_unpacked(f)]
    if not left:
        return ""
    return f"Left packed: {first_of(left)}. First unpack what belongs to the dataset."


def staging_folder(download: Download, target: Path) -> Path:
    """The folder beside a dataset that a download is unpacked into."""
    return target.with_name(f".{target.name}{_end_of(download)}")


def _end_of(download: Download) -> str:
    return f"-{download.stamp}{_UNPACKED}"


def _is_staging(operation: Operation) -> bool:
    """Whether an operation's files come from a staging folder; the dataset may be renamed since."""
    is_named = re.fullmatch(rf"\..+{_STAMP}{re.escape(_UNPACKED)}", operation.source.name)
    return bool(is_named) and "source" in operation.details


def is_staged_in(folder: Path) -> bool:
    """Whether a staging folder is there, and complete."""
    if not _is_ours(folder) or not (folder / _WHOLE).is_file():
        return False
    return any(not path.name.startswith(".") for path in folder.iterdir())


def stage(download: Download, target: Path) -> bool:
    """Make the staging folder, whole and durably; False where it exists already.

    Raises:
        DlError: an archive can't be unpacked, or is unsafe; no room; something is in its place.
    """
    folder = staging_folder(download, target)
    sweep_staged(target, but=folder)
    if is_staged_in(folder):
        require_whole(folder, target)
        return False
    _claim(folder, _UNPACK)
    try:
        _build(download, folder, hollow=False)
        sync_disk(folder)
        _complete(folder)
    except BaseException:
        discard(folder)
        raise
    return True


def require_whole(folder: Path, target: Path) -> None:
    """Refuse a staging folder of which a part is in another dataset: one that was renamed.

    Raises:
        DlError: names that dataset.
    """
    for beside in sorted(target.parent.iterdir()):
        with suppress(JournalError, NotOwnError, OSError):
            journal = unfinished(beside) if beside != target else None
            if journal and journal.read_header().source == folder:
                raise DlError(
                    f"Some of the files that were unpacked are in {shown(beside)}",
                    why=f"`{journal.name}` or its undo was stopped there",
                    hint=f"Take it back: `dl data undo {quoted(beside)}`. Then run the same "
                    "command again.",
                )


def await_back(operation: Operation) -> None:
    """Make the staging folder that an undo of an operation moves files back to.

    It is complete from its beginning: the files in it may be the only copies.
    """
    folder = operation.source
    if not _is_staging(operation):
        return
    if marked(folder, _UNPACK) and (folder / _WHOLE).is_file():
        remark(folder, _UNDO)  # part of it may be in the dataset, and comes back now
    elif not marked(folder, _UNDO):
        discard(folder)
        if not os.path.lexists(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            _claim(folder, _UNDO)
            _complete(folder)


@contextmanager
def hollow(download: Download) -> Iterator[Path]:
    """A temporary folder with the names of all files and the contents of CSVs alone."""
    with TemporaryDirectory(prefix="dl-") as name:
        folder = Path(name, "hollow")
        folder.mkdir()
        _build(download, folder, hollow=True)
        yield folder


def drawn_in(folder: Path) -> list[str]:
    """A sentence on what was drawn in a staging folder, as a list; [] where nothing was."""
    try:
        return [read_text(folder / _DRAWN)]
    except FileNotFoundError:
        return []


def discard(folder: Path) -> None:
    """Remove a staging folder that this program made; any other stays, unless nothing is in it."""
    if folder.is_symlink():
        return
    if _is_ours(folder):
        (folder / _WHOLE).unlink(missing_ok=True)
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != MARKER:
                path.unlink()
        unmark(folder)  # last, so that the next call goes on where this one is killed
    with suppress(OSError, DlError):
        if any(is_begun(folder, purpose) for purpose in (_UNPACK, _UNDO)):
            unmark(folder)
        folder.rmdir()


def clear_after(operation: Operation) -> None:
    """Remove what an operation left in the staging folder.

    The unchanged download still has all of it.
    """
    if not _is_staging(operation):
        return
    folder, source = operation.source, Path(operation.details["source"])
    with suppress(DlError, OSError):
        download = download_of(source)
        if download and folder.name.endswith(_end_of(download)):
            discard(folder)
            name_left([folder])


def sweep_staged(target: Path, but: Path | None = None) -> None:
    """Remove the staging folders that killed processes left beside a dataset, and name others'.

    Args:
        but: the one in use; it stays if it is complete.
    """
    there = [*target.parent.glob(f".{glob.escape(target.name)}-*")]
    for folder in _beside(target, _UNPACKED, there):
        is_used = folder == but or marked(folder, _UNDO)
        if not (is_used and is_staged_in(folder)):
            discard(folder)
    beside = [*_beside(target, _UNPACKED, there), *_beside(target, _PARTIAL, there)]
    name_left(folder for folder in beside if folder != but and not _is_ours(folder))


def _beside(target: Path, end: str, folders: Iterable[Path]) -> list[Path]:
    """Those of some folders that are named like staging folders of a dataset."""
    name = re.compile(rf"\.{re.escape(target.name)}{_STAMP}{re.escape(end)}")
    return [
        folder
        for folder in folders
        if folder.parent == target.parent and name.fullmatch(folder.name)
    ]


def _is_ours(folder: Path) -> bool:
    return any(marked(folder, purpose) for purpose in (_UNPACK, _UNDO))


def _claim(folder: Path, purpose: str) -> None:
    """Make a folder and mark it as ours.

    Raises:
        DlError: something is there.
    """
    discard(folder)
    try:
        folder.mkdir()
    except FileExistsError as error:
        why = "the download is unpacked there, and this version of `dl` did not make it"
        hint = f"If you do not need it: `{how_to_remove(folder)}`."
        if is_copy(folder):
            why = f"the download is unpacked there, and {COPIED}"
            hint = "Move it elsewhere, then run the same command again."
        raise DlError(
            f"{shown(folder)} is in the way", why=why, hint=f"Nothing was changed. {hint}"
        ) from error
    mark(folder, purpose)


def _complete(folder: Path) -> None:
    (folder / _WHOLE).touch()
    sync_folder(folder)
    sync_folder(folder.parent)


def _build(download: Download, into: Path, *, hollow: bool) -> None:
    """Unpack, copy and draw."""
    source = download.source
    budget = Budget(sum(file.stat().st_size for file in download.packed))
    is_wanted = _is_read if hollow else None
    if source.is_file():
        with open_archive(source, budget) as archive:
            archive.unpack(into, is_wanted)
    else:
        _copy(download, into, hollow)
        for file in filter(_can_unpack, download.packed):
            _unpack_beside(file, into / file.relative_to(source), budget, shown(file), is_wanted)
    for _ in range(MOST_NESTED):
        for file in filter(_can_unpack, [*_files(into)]):
            if not _is_unpacked(file):
                called = f"{shown(str(file.relative_to(into)))} in {shown(source)}"
                _unpack_beside(file, file, budget, called, is_wanted)
            file.unlink()
    if deeper := next(filter(_can_unpack, _files(into)), None):
        raise refusal(
            shown(source),
            f"{shown(str(deeper.relative_to(into)))} is nested in more than {MOST_NESTED} archives",
        )
    files = [*_files(into)]
    if not any(map(is_image, files)):
        _draw([file for file in files if _is_csv(file)], into, hollow)


def _draw(tables: list[Path], into: Path, hollow: bool) -> None:
    """Draw the images of the CSVs of pixels in the first folder that has some; remove the CSVs."""
    pixels = [table for file in tables if (table := pixel_table(file))]
    if pixels:
        folder = pixels[0].file.parent
        said = draw([t for t in pixels if t.file.parent == folder], folder, hollow=hollow)
        atomic_write(into / _DRAWN, said)
    for table in pixels:
        table.file.unlink()


def _copy(download: Download, into: Path, hollow: bool) -> None:
    """Copy what is used besides archives: images, CSVs, settings."""
    source = download.source
    files = [
        file for file in _files(source) if _is_csv(file) or file.name == SETTINGS or is_image(file)
    ]
    require_files(source, (str(file.relative_to(source)) for file in files))
    if not hollow:
        require_room(into, (file.stat().st_size for file in files), f"to copy {shown(source)}")
    for file in files:
        copy = into / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if hollow and has_usual_suffix(file.name):
            copy.touch()
        else:
            copy_file(str(file), str(copy))


def _unpack_beside(
    archive: Path,
    place: Path,
    budget: Budget,
    called: str,
    is_wanted: Callable[[str], bool] | None,
) -> None:
    """Unpack an archive into a folder of its name, never into two nested ones of that name.

    An archive of a single file, such as Kaggle's labels.csv.zip, becomes that file.

    Args:
        archive: where it is.
        place: where it would be in the staging folder.
    """
    stem = without_suffix(place.name)
    with open_archive(archive, budget, called) as opened:
        tops = {path.partition("/")[0] for path in opened.files}
        is_file = tops == {*opened.files} and len(tops) == 1
        is_table = is_file and not any(map(has_usual_suffix, tops))
        into = place.parent if is_table or tops == {stem} else place.with_name(stem)
        opened.unpack(into, is_wanted)


def _is_unpacked(archive: Path) -> bool:
    return archive.with_name(without_suffix(archive.name)).exists()


def _split(file: Path) -> str | None:
    return split_of(without_suffix(file.name))


def _can_unpack(file: Path) -> bool:
    return can_unpack(file.name)


def _is_csv(file: Path) -> bool:
    return file.name.lower().endswith(".csv")


def _is_read(path: str) -> bool:
    """Whether a plan reads a file's content, not its name alone."""
    by_name = has_usual_suffix(path) or kind_of(path)
    return path.lower().endswith(".csv") or can_unpack(path) or not by_name


def _files(folder: Path) -> Iterator[Path]:
    """All visible files, in a fixed order."""
    for inner, listing in walk(folder):
        for name in (*listing.images, *listing.others):
            yield folder / inner / name
