"""Arranging a dataset's folder, as `dl data` does: split, sample, undo; how each begins.

Each first finishes what was killed on its way, and works under the folder's lock. Each `to_...`
is the plan alone, for `--dry-run`.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlcli.dataset import SAMPLE, SETTINGS, open_dataset, require_trainable
from dlcli.errors import DlError
from dlcli.files.atomic import sync_folder
from dlcli.files.paths import shown, typed
from dlcli.journal import FOLDER, Held, Move, Operation, hold, journals, unfinished
from dlcli.moves import Outcome, carry_out, finish, last
from dlcli.moves import undo as take_back
from dlcli.plans import plan_sample, plan_split
from dlcli.progress import say
from dlcli.staging import clear_after


def split(root: Path, size: float | None, seed: int) -> Outcome:
    """Move a random part of train to valid; see `plan_split`.

    Raises:
        DlError: valid has images already, or more are asked for than can be spared.
    """
    with at_work(root, "split") as (held, finished):
        if finished:
            return finished
        return carry_out(held, to_split(root, size, seed))


def to_split(root: Path, size: float | None, seed: int) -> Operation:
    """The operation that `split` would carry out."""
    dataset = open_dataset(root)
    if dataset.splits["valid"]:
        undoable = any(journal.name == "split" for journal in journals(root))
        raise DlError(
            f"{shown(root / 'valid')} already holds images",
            why="a dataset is split once",
            hint=f"`dl data undo {typed(root)}` takes the split back."
            if undoable
            else "Move them back to train/ to split anew.",
        )
    moves = plan_split(dataset, size, seed)
    return Operation("split", "move", root, tuple(moves), details={"valid": size, "seed": seed})


def sample(
    root: Path, train: int, valid: int, seed: int, *, replace: bool = False
) -> tuple[Path, Outcome | None]:
    """Copy a random part of a dataset to a folder beside it, `<dataset>-sample`.

    It is built aside and renamed into place, so that there is a whole sample or none.

    Args:
        train: images to take from train, all where they are fewer; see `plan_sample`.
        valid: likewise from valid.
        seed: of the random choice.
        replace: make it anew where there is another one.

    Returns:
        the sample's folder, and what was done; None where the same sample was there already.

    Raises:
        DlError: there is another sample, or too little to take one from.
    """
    settle(root)
    operation = to_sample(root, train, valid, seed)
    target = operation.root
    built = root.with_name(f".{target.name}.partial")
    replaced = root.with_name(f".{target.name}.replaced")
    with hold(built, "dl data sample") as held:
        held.is_ours = True
        for stale in (replaced, *_built_so_far(built)):
            _remove(stale)
        if target.exists():
            settle(target)
        if target.exists() and _is_sample(target, operation, replace):
            return target, None
        outcome = carry_out(held, dataclasses.replace(operation, root=built))
        if outcome.missing:
            raise DlError(
                f"{len(outcome.missing):,} images left {shown(root)} while they were copied",
                why=f"as {shown(outcome.missing[0])}",
                hint="Run `dl data sample` again once nothing else works there.",
            )
        if target.exists():
            target.rename(replaced)
        built.rename(target)
        sync_folder(root.parent)
        _remove(replaced)
    return target, outcome


def to_sample(root: Path, train: int, valid: int, seed: int) -> Operation:
    """The operation that `sample` would carry out."""
    dataset = open_dataset(root)
    require_trainable(dataset)
    moves = plan_sample(dataset, train, valid, seed)
    if missing := [move.source for move in moves if not (root / move.source).exists()]:
        raise DlError(
            f"{shown(root / missing[0])} is not there",
            why="it was removed a moment ago, or is a link to nowhere",
            hint="Remove the link, or put the file back.",
        )
    if (root / SETTINGS).exists():
        moves.append(Move(SETTINGS, SETTINGS))
    sources = [dataset.fingerprint("train"), dataset.fingerprint("valid")]
    details = {"train": train, "valid": valid, "seed": seed, "fingerprints": sources}
    target = root.with_name(root.name + SAMPLE)
    return Operation("sample", "copy", target, tuple(moves), origin=root, details=details)


def touched_last(root: Path) -> Path:
    """Of a dataset and its sample, the folder that `dl data` worked on last."""
    sample = root.with_name(root.name + SAMPLE)
    theirs, ours = journals(sample), journals(root)
    if not theirs or theirs[-1].name != "sample" or theirs[-1].read().origin != root:
        return root
    later = not ours or theirs[-1].path.stat().st_mtime_ns > ours[-1].path.stat().st_mtime_ns
    return sample if later else root


def undo(root: Path) -> Outcome:
    """Take back the last thing that was done to a folder, finished or not.

    Raises:
        DlError: there is nothing, or new files stand where old ones would go.
    """
    last(root)
    with hold(root, "dl data undo") as held:
        return take_back(held)


def settle(root: Path) -> None:
    """Finish, and say, what was killed on its way in a folder.

    Raises:
        DlError: it isn't dead but at work, or what stopped it is not mended.
    """
    if unfinished(root):
        with at_work(root, "ls"):
            pass


@contextmanager
def at_work(root: Path, name: str) -> Iterator[tuple[Held, Outcome | None]]:
    """Hold a folder, with what was left unfinished there done.

    Yields:
        the folder, and what came of an earlier call of this very command that was killed.
    """
    with hold(root, f"dl data {name}") as held:
        outcome = finish(held)
        if outcome:
            what = (
                f"undoing `{outcome.operation.name}`"
                if outcome.undone
                else f"`{outcome.operation.name}`"
            )
            say(f"Finished {what} in {shown(root)}, which had been stopped on its way.")
            if not outcome.undone:
                clear_after(outcome.operation)
        same = outcome and not outcome.undone and outcome.operation.name == name
        yield held, outcome if same else None


def _is_sample(target: Path, operation: Operation, replace: bool) -> bool:
    """Whether a folder is the sample that an operation would make; refuse to lose another."""
    samples = [journal.read() for journal in journals(target) if journal.name == "sample"]
    if not samples:
        raise DlError(
            f"{shown(target)} was not made by `dl data sample`",
            why="it is not replaced, for there may be no other copy of it",
            hint="Rename it or move it away.",
        )
    made = samples[-1].details
    if made == operation.details:
        return True
    if not replace:
        options = " ".join(f"--{name} {made[name]}" for name in ("train", "valid", "seed"))
        same_files = made["fingerprints"] == operation.details["fingerprints"]
        raise DlError(
            f"{shown(target)} is another sample",
            why=f"it was made with {options}" + ("" if same_files else ", of other images"),
            hint="`--replace` makes it anew.",
        )
    return False


def _built_so_far(partial: Path) -> list[Path]:
    """What a killed `sample` left in the folder where it builds: nothing but copies."""
    copies = [path for path in partial.iterdir() if path.name != FOLDER]
    return copies + [journal.path for journal in journals(partial)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
