"""One command's work on a folder.

What was killed is finished first; what was done last can be taken back.
"""

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
    """Take back the last thing that was done to a folder, finished or not.

    Raises:
        DlError: there is nothing, or new files stand where old ones would go.
    """
    last(root)
    with hold(root) as held:
        return take_back(held)


def settle(root: Path) -> None:
    """Finish, and say, what was killed on its way in a folder.

    Raises:
        DlError: it isn't dead but at work, or what stopped it is not mended.
    """
    if unfinished(root):
        with working_in(root, "ls"):
            pass


@contextmanager
def working_in(root: Path, name: str) -> Iterator[tuple[Held, Outcome | None]]:
    """Hold a folder, with what was left unfinished there done.

    Yields:
        the folder, and what came of an earlier call of this very command that was killed.
    """
    with hold(root) as held:
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
