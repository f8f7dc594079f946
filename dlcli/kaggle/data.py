"""A competition's data: from Kaggle, as one archive, to a dataset that knows its competition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dlcli import words
from dlcli.config import save_setting
from dlcli.data.dataset import SETTINGS, dataset_settings
from dlcli.data.journal import journals
from dlcli.data.moves import Outcome
from dlcli.data.organize.labels import Naming
from dlcli.data.organize.organize import made_of, organize, require_target, settle_made
from dlcli.data.organize.plan import AS_FOUND
from dlcli.data.organize.staging import Download, staging_folder
from dlcli.files.archive_members import AGAIN, ArchiveError
from dlcli.files.archives import can_unpack
from dlcli.files.atomic import existing, remove_leftovers, require_room
from dlcli.files.download import PartialFile, fetch
from dlcli.files.formats import below
from dlcli.files.paths import quoted, shown
from dlcli.kaggle.account import Kaggle
from dlcli.kaggle.competitions import DataFile
from dlcli.progress import say

DOWNLOADS = ".downloads"


def archive_of(slug: str, data_dir: Path) -> Path:
    """Where a competition's archive is kept."""
    return data_dir / DOWNLOADS / f"{slug}.zip"


def get(
    connect: Callable[[], Kaggle], slug: str, archive: Path, root: Path, naming: Naming = AS_FOUND
) -> Outcome | None:
    """Fetch a competition's data and make a dataset of it, which knows its competition.

    Stopped at any moment, the next call goes on from there. Made once, nothing is asked of Kaggle.

    Args:
        connect: gives the account.
        archive: where its archive is kept; see `archive_of`.
        root: the dataset's folder to be.
        naming: where the labels are, as far as somebody says it.

    Returns:
        what was organised; None where it was before.

    Raises:
        DlError: the folder is taken, the rules were not accepted, no room, or what came is no
            dataset.
    """
    outcome = None
    if _is_made(archive, root):
        settle_made(root)
    else:
        require_target(archive, root, "Name another: `--dataset NAME`.")
        _fetch(connect(), slug, archive, root)
        try:
            outcome = organize(archive, root, naming=naming)
        except ArchiveError as error:
            anew = f"To fetch it anew: `rm {quoted(archive)}`, then the same command."
            hint = f"{error.hint.removesuffix(AGAIN).rstrip()} {anew}".lstrip()
            raise ArchiveError(error.what, why=error.why, hint=hint) from error
    _name_competition(root, slug)
    return outcome


def _is_made(archive: Path, root: Path) -> bool:
    """Whether a dataset was made of an archive, which may be gone by now."""
    return any(
        journal.name == "organize"
        and journal.state == "done"
        and made_of(journal.read()) == archive
        for journal in journals(root)
    )


def _fetch(kaggle: Kaggle, slug: str, archive: Path, root: Path) -> None:
    """Fetch the archive, where it is not there yet."""
    files = kaggle.files(slug)
    say(f"{slug}: {_in_words(files)}")
    _require_room(files, archive, root)
    if not fetch(lambda: kaggle.download_url(slug), archive, what=f"the data of {slug}"):
        say(f"The archive is there already, {words.size(archive.stat().st_size)}.")


def _require_room(files: Sequence[DataFile], archive: Path, root: Path) -> None:
    """Refuse what the disks can't hold: the archive as it comes, and all that is in it.

    Of the archives in it the largest is there once more, while it is unpacked.
    """
    sizes = [each.bytes for each in files]
    packed = [each.bytes for each in files if can_unpack(each.name)]
    unpacked = [*sizes, max(packed, default=0)]
    coming = [max(sum(sizes) - PartialFile(archive).size(), 0)]
    if archive.exists():
        coming = []
        if staging_folder(Download(archive, (archive,)), root).exists():
            return  # it was unpacked before
    disks = {existing(folder).stat().st_dev for folder in (archive.parent, root.parent)}
    if len(disks) == 1:
        require_room(archive.parent, coming + unpacked, "for the archive and what is in it")
        return
    hint = "Free some space, or name another disk with"
    where = f"for the archive in {shown(archive.parent)}"
    require_room(archive.parent, coming, where, f"{hint} `--data-dir`.")
    where = f"for what is in the archive, in {shown(root.parent)}"
    require_room(root.parent, unpacked, where, f"{hint} `--dataset`.")


def _name_competition(root: Path, slug: str) -> None:
    """Write into a dataset's settings which competition it is of, whatever else they said."""
    file = root / SETTINGS
    named = below(dataset_settings(root), "kaggle", "competition")
    if named == slug:
        return
    remove_leftovers(root)  # of a call that was killed while it wrote them
    save_setting(file, "kaggle.competition", slug)
    if named is not None:
        say(f"{shown(file)} named the competition `{named}`; now it names `{slug}`, as typed.")


def _in_words(files: Sequence[DataFile]) -> str:
    """How much it is, and the largest of it."""
    size = sum(each.bytes for each in files)
    largest = sorted(files, key=lambda each: -each.bytes)[:3]
    names = ", ".join(each.name for each in largest) + (", ..." if len(files) > 3 else "")
    return f"{words.count(len(files), 'file')}, {words.size(size)} ({names})"
