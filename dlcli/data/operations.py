"""Operations on a folder: finish one that was killed, undo the last one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlcli.data.dataset import SAMPLE
from dlcli.data.journal import Held, hold, journals, unfinished
from dlcli.data.moves import Outcome, finish, last
from dlcli.data.moves import undo as take_back
from dlcli.data.organize.staging import clear_after
from dlcli.files.paths import shown
from dlcli.progress import say


def touched_last(root: Path) -> Path:
    """Of a dataset and its sample, the folder that `dl data` worked on last."""
    beside = root.with_name(root.name + SAMPLE)
    theirs, ours = journals(beside), journals(root)
    if not theirs or theirs[-1].name != "sample" or theirs[-1].read().origin != root:
        return root
    later = not ours or theirs[-1].path.stat().st_mtime_ns > ours[-1].path.stat().st_mtime_ns
    return beside if later else root


def undo(root: Path) -> Outcome:
    """Take back the last operation on a folder, finished or not.

    Raises:
        DlError: there is none, or new files are where old ones would go.
    """
    last(root)
    with hold(root) as held:
        return take_back(held)


def settle(root: Path) -> None:
    """Finish an operation that was killed in a folder, and say so.

    Raises:
        DlError: it is still running, or what stopped it still does.
    """
    if unfinished(root):
        with working_in(root, "ls"):
            pass


@contextmanager
def working_in(root: Path, name: str) -> Iterator[tuple[Held, Outcome | None]]:
    """Lock a folder, and finish an operation that was killed there.

    Yields:
        the folder, and the outcome of an earlier call of this same command that was killed.
    """
    with hold(root) as held:
        outcome = finish(held)
        if outcome:
            what = (
                f"undoing `{outcome.operation.name}`"
                if outcome.undone
                else f"`{outcome.operation.name}`"
            )
            say(f"Finished {what} in {shown(root)}, which had been stopped.")
            if not outcome.undone:
                clear_after(outcome.operation)
        same = outcome and not outcome.undone and outcome.operation.name == name
        yield held, outcome if same else None
