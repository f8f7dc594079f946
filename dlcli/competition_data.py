"""A competition's data: from Kaggle, as one archive, to a dataset that knows its competition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlcli.competitions import DataFile
from dlcli.config import save_setting
from dlcli.dataset import SETTINGS, dataset_settings
from dlcli.downloads import AS_FOUND
from dlcli.errors import DlError
from dlcli.fetching import fetch
from dlcli.folders import typed
from dlcli.journal import journals
from dlcli.kaggle import Kaggle
from dlcli.labels import Naming
from dlcli.moves import Outcome
from dlcli.organizing import made_of, organize
from dlcli.progress import say
from dlcli.room import require_room

DOWNLOADS = ".downloads"


def archive_of(slug: str, data_dir: Path) -> Path:
    """Where a competition's archive is kept."""
    return data_dir / DOWNLOADS / f"{slug}.zip"


def is_there(archive: Path, root: Path) -> bool:
    """Whether a dataset was made of an archive, which may be gone by now."""
    return any(
        journal.name == "organize"
        and journal.state == "done"
        and made_of(journal.read()) == archive
        for journal in journals(root)
    )


def get(
    kaggle: Kaggle, slug: str, archive: Path, root: Path, naming: Naming = AS_FOUND
) -> Outcome | None:
    """Fetch a competition's data and make a dataset of it.

    Stopped at any moment, the next call goes on from there.

    Args:
        kaggle: the account.
        slug: the competition's name.
        archive: where its archive is kept; see `archive_of`.
        root: the dataset's folder to be.
        naming: where the labels are, as far as somebody says it.

    Returns:
        what was organised; None where it was before.

    Raises:
        DlError: the rules were not accepted, no room, or what came is no dataset.
    """
    files = kaggle.files(slug)
    size = sum(each.bytes for each in files)
    say(f"{slug}: {_in_words(files)}")
    archive.parent.mkdir(parents=True, exist_ok=True)
    # once as it comes, once unpacked
    sizes = [size] if archive.exists() else [size, size]
    require_room(archive.parent, sizes, "for the archive and what is in it")
    if not fetch(lambda: kaggle.download_url(slug), archive, what=f"the data of {slug}"):
        say(f"The archive is there already, {archive.stat().st_size / 1e6:,.1f} MB.")
    try:
        outcome = organize(archive, root, naming=naming)
    except DlError as error:
        anew = f"What was fetched is kept; to fetch it anew: `rm {typed(archive)}`, then the same."
        hint = " ".join(filter(None, [error.hint, anew]))
        raise DlError(error.what, why=error.why, hint=hint) from error
    name_competition(root, slug)
    return outcome


def name_competition(root: Path, slug: str) -> None:
    """Write into a dataset's settings which competition it is of, if they name none."""
    if "competition" not in (dataset_settings(root).get("kaggle") or {}):
        save_setting(root / SETTINGS, "kaggle.competition", slug)


def _in_words(files: Sequence[DataFile]) -> str:
    """How much it is, and the largest of it."""
    size = sum(each.bytes for each in files)
    largest = sorted(files, key=lambda each: -each.bytes)[:3]
    names = ", ".join(each.name for each in largest) + (", ..." if len(files) > 3 else "")
    return f"{len(files):,} files, {size / 1e6:,.1f} MB ({names})"
