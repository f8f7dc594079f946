"""Download a competition's data and make a dataset of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dlcli import words
from dlcli.data.dataset import SETTINGS, dataset_settings
from dlcli.data.journal import journals, made_of
from dlcli.data.moves import Outcome
from dlcli.data.photos.organize.labels import NOTHING_NAMED, Naming
from dlcli.data.photos.organize.organize import (
    OrganizeOptions,
    organize,
    require_target,
    settle_made,
)
from dlcli.data.photos.organize.staging import Download, is_staged_in, staging_folder
from dlcli.files.archive_members import AGAIN, ArchiveError
from dlcli.files.archives import can_unpack
from dlcli.files.atomic import existing, remove_leftovers, require_room
from dlcli.files.download import fetch
from dlcli.files.formats import below
from dlcli.files.own import require_own
from dlcli.files.partial_file import PartialFile
from dlcli.files.paths import quoted, shown
from dlcli.kaggle.account import Kaggle
from dlcli.kaggle.competitions import DataFile
from dlcli.kaggle.destination import remember
from dlcli.progress import say
from dlcli.settings_file import save_setting

DOWNLOADS = ".downloads"


def archive_of(slug: str, data_dir: Path) -> Path:
    """The file of a competition's archive."""
    return data_dir / DOWNLOADS / f"{slug}.zip"


def get(
    connect: Callable[[], Kaggle],
    slug: str,
    archive: Path,
    root: Path,
    naming: Naming = NOTHING_NAMED,
) -> Outcome | None:
    """Download a competition's data, make a dataset of it, and note the competition in it.

    If it is interrupted, the next call continues. If the dataset is made already, Kaggle is not
    asked.

    Args:
        connect: opens the account.
        archive: the file of its archive; see `archive_of`.
        root: the folder of the new dataset.
        naming: where the labels are, if the user says so.

    Returns:
        what was organised; None if the dataset was made before.

    Raises:
        DlError: the folder is taken, the rules were not accepted, there is no room, or the data is
            not a dataset.
    """
    outcome = None
    if _is_made(archive, root):
        settle_made(root)
    else:
        require_target(archive, root, "Choose another name: `--dataset NAME`.")
        _fetch(connect(), slug, archive, root)
        try:
            outcome = organize(archive, root, OrganizeOptions(naming=naming))
        except ArchiveError as error:
            anew = f"To download it again: `rm {quoted(archive)}`, then the same command."
            hint = f"{error.hint.removesuffix(AGAIN).rstrip()} {anew}".lstrip()
            raise ArchiveError(error.what, why=error.why, hint=hint) from error
    _name_competition(root, slug)
    return outcome


def _is_made(archive: Path, root: Path) -> bool:
    """Whether a dataset was made from an archive, which may have been removed since."""
    return any(
        journal.name == "organize"
        and journal.state == "done"
        and made_of(journal.read_header()) == archive
        for journal in journals(root)
    )


def _fetch(kaggle: Kaggle, slug: str, archive: Path, root: Path) -> None:
    """Download the archive, unless it is there."""
    files = kaggle.files(slug)
    say(f"{slug}: {_in_words(files)}")
    _require_room(files, archive, root)
    if not fetch(lambda: kaggle.download_url(slug), archive, what=f"the data of {slug}"):
        say(f"The archive was downloaded before, {words.size(archive.stat().st_size)}.")


def _require_room(files: Sequence[DataFile], archive: Path, root: Path) -> None:
    """Refuse data that is larger than the free space: the archive plus its content.

    The largest archive inside it counts twice, because it exists twice while it is unpacked.
    """
    sizes = [each.bytes for each in files]
    packed = [each.bytes for each in files if can_unpack(each.name)]
    unpacked = [*sizes, max(packed, default=0)]
    coming = [max(sum(sizes) - PartialFile(archive).size(), 0)]
    if archive.exists():
        coming = []
        if is_staged_in(staging_folder(Download(archive, (archive,)), root)):
            return  # it was unpacked before
    disks = {existing(folder).stat().st_dev for folder in (archive.parent, root.parent)}
    if len(disks) == 1:
        require_room(archive.parent, coming + unpacked, "for the archive and its content")
        return
    hint = "Free some space, or choose another disk with"
    where = f"for the archive in {shown(archive.parent)}"
    require_room(archive.parent, coming, where, f"{hint} `--data-dir`.")
    where = f"for the archive's content in {shown(root.parent)}"
    require_room(root.parent, unpacked, where, f"{hint} `--dataset`.")


def _name_competition(root: Path, slug: str) -> None:
    """Write the competition into a dataset's settings, in place of another one."""
    file = root / SETTINGS
    remove_leftovers(root)  # of a killed call
    named = below(dataset_settings(root), "kaggle", "competition")
    if named != slug:
        require_own(file, root)
        save_setting(file, "kaggle.competition", slug)
    remember(root, slug)
    if named not in (None, slug):
        say(f"{shown(file)} now has the competition `{slug}` in place of `{named}`.")


def _in_words(files: Sequence[DataFile]) -> str:
    """The number and size of files, and the names of the largest."""
    size = sum(each.bytes for each in files)
    largest = sorted(files, key=lambda each: -each.bytes)[:3]
    names = ", ".join(each.name for each in largest) + (", ..." if len(files) > 3 else "")
    return f"{words.count(len(files), 'file')}, {words.size(size)} ({names})"
