"""A run's dataset: where it was, or where it may be now. Runs and datasets move, and are copied."""

from __future__ import annotations

from pathlib import Path

from dlcli.dataset import open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import below
from dlcli.files.paths import is_folder, shown
from dlcli.progress import say
from dlcli.run import Run


def may_be_of(run: Run, root: Path) -> bool:
    """Whether a run was trained on a dataset, or on one of its name that is gone (moved, say).

    Args:
        run: in the folder of the dataset's name.
        root: the dataset's folder.
    """
    recorded = run.dataset_path()
    return recorded is not None and (not is_folder(recorded) or recorded.samefile(root))


def dataset_of(run: Run, data_dir: Path) -> Path | None:
    """Where a run's dataset is: as recorded, else one of that name under the data folder (said).

    Returns:
        its folder; None where there is neither, or the run doesn't say.

    Raises:
        DlError: its `config.yaml` is missing or damaged.
    """
    require_whole(run)
    recorded = run.dataset_path()
    if recorded is None or is_folder(recorded):
        return recorded
    moved = data_dir / run.dataset
    if not is_folder(moved):
        return None
    say_moved(run, moved)
    return moved


def require_whole(run: Run) -> None:
    """Refuse a run that can't say what it is.

    Raises:
        DlError: its `config.yaml` is missing or damaged.
    """
    try:
        run.config()
    except DlError as error:
        hint = "Restore it, or take another run: `dl runs` lists them."
        raise DlError(error.what, why=error.why, hint=hint) from error


def say_moved(run: Run, root: Path) -> None:
    """Say that a folder is taken for the one that a run was trained on, should that be gone."""
    recorded = run.dataset_path()
    if recorded and not is_folder(recorded):
        say(f"{shown(recorded)} is gone; taking {shown(root)}, the dataset of that name.")


def require_own(run: Run, root: Path) -> None:
    """Refuse a dataset that is not the run's; say so where it is taken for one that is gone.

    Raises:
        DlError: the run's own is elsewhere; or it is gone, and this one has another name and
            other images.
    """
    if run.dataset == root.name and may_be_of(run, root):
        say_moved(run, root)
        return
    why, hint = "", "Leave out `-d`, or name a run of that dataset."
    recorded = run.dataset_path()
    if recorded and not is_folder(recorded):
        other = _other_images(run, root)
        if other is None:
            say(f"{shown(recorded)} is gone; taking {shown(root)}, which holds the same images.")
            return
        why = f"{shown(recorded)} is gone, and {shown(root / other)} holds other images"
        hint = "Name a copy of it that keeps the times of files, as `rsync -a` and `cp -a` do."
    raise DlError(
        f"{run.name} is a run of {run.dataset}, not of {shown(root)}",
        why=why,
        hint=hint,
        exit_code=ExitCode.USAGE,
    )


def _other_images(run: Run, root: Path) -> str | None:
    """The split whose images are not those that a run was trained or judged on, if any."""
    recorded, dataset = below(run.record(), "dataset", "fingerprints"), open_dataset(root)
    splits = ("train", "valid")
    return next((s for s in splits if dataset.fingerprint(s) != below(recorded, s)), None)
