"""The dataset of a run: at its recorded path, or moved.

Runs and datasets may move or be copied. A dataset is looked up at its recorded path, then by name.
"""

from __future__ import annotations

from pathlib import Path

from dlcli.data.kinds import open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import below
from dlcli.files.paths import is_folder, shown
from dlcli.progress import say
from dlcli.runs.run import Run


def may_be_of(run: Run, root: Path) -> bool:
    """Whether a run was trained on a dataset, or on one of its name that no longer exists.

    Args:
        run: a run in the folder of the dataset's name.
        root: the dataset's folder.
    """
    return run.dataset_path is not None and not is_of_another(run, root)


def is_of_another(run: Run, root: Path) -> bool:
    """Whether a run was trained on another dataset of a name, which still exists.

    Args:
        run: a run in the folder of the dataset's name.
        root: the dataset's folder.
    """
    recorded = run.dataset_path
    return recorded is not None and is_folder(recorded) and not recorded.samefile(root)


def dataset_of(run: Run, data_dir: Path) -> Path | None:
    """A run's dataset: at its recorded path, else by name in the data folder, with a message.

    Returns:
        its folder; None if there is neither, or the run does not record it.

    Raises:
        DlError: its `config.yaml` is missing or damaged.
    """
    run.require_whole()
    recorded = run.dataset_path
    if recorded is None or is_folder(recorded):
        return recorded
    moved = data_dir / run.dataset
    if not is_folder(moved):
        return None
    say_moved(run, moved)
    return moved


def say_moved(run: Run, root: Path) -> None:
    """Say which folder replaces a run's dataset that no longer exists."""
    recorded = run.dataset_path
    if recorded and not is_folder(recorded):
        say(f"{shown(recorded)} is gone. Using {shown(root)}, the dataset of that name.")


def require_own(run: Run, root: Path) -> None:
    """Refuse a dataset that is not the run's; say so if it replaces one that is gone.

    Raises:
        DlError: the run's dataset is elsewhere; or it is gone, and this one has another name and
            other images.
    """
    if run.dataset == root.name and may_be_of(run, root):
        say_moved(run, root)
        return
    why, hint = "", ""
    recorded = run.dataset_path
    if recorded and not is_folder(recorded):
        other = _other_images(run, root)
        if other is None:
            say(f"{shown(recorded)} is gone. Using {shown(root)}, which holds the same images.")
            return
        why = f"{shown(recorded)} is gone, and {shown(root / other)} holds other images"
        hint = (
            "Name a copy of the run's dataset. Make copies with `cp -a` or `rsync -a`: these keep "
            "the times of files, by which `dl` recognises images."
        )
    raise not_of(run, root, why, hint)


def not_of(run: Run, dataset: str | Path, why: str = "", hint: str = "") -> DlError:
    """The error of a run that is not one of the dataset of `-d`."""
    own: str | Path = run.dataset
    if isinstance(dataset, Path) and dataset.name == own:
        own = run.dataset_path or own
    return DlError(
        f"{run.name} is a run of {shown(own)}, not of {shown(dataset)}",
        why=why,
        hint=hint or "Leave out `-d`, or name a run of that dataset.",
        exit_code=ExitCode.USAGE,
    )


def _other_images(run: Run, root: Path) -> str | None:
    """The split whose images differ from those of a run's training or validation, if any."""
    recorded, dataset = below(run.config, "run", "dataset", "fingerprints"), open_dataset(root)
    splits = ("train", "valid")
    return next((s for s in splits if dataset.fingerprint(s) != below(recorded, s)), None)
