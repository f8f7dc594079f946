"""Ask before an interrupted operation is finished, or taken back, in folders it may not know."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from dlcli.cli.parts.ask import consent
from dlcli.files.paths import quoted, shown
from dlcli.progress import say

if TYPE_CHECKING:
    from pathlib import Path

Result = TypeVar("Result")


def asking(act: Callable[[], Result], *, yes: bool = False) -> Result:
    """Do what may first finish an operation, or take it back, and ask if that is doubtful.

    Args:
        act: what changes a dataset.
        yes: don't ask, if the operation moves files within the dataset alone.

    Raises:
        DoubtfulError: there is no terminal to ask at.
        click.Abort: the answer is no.
    """
    from dlcli.data import operations
    from dlcli.data.pending import DoubtfulError, is_within, to_move

    try:
        return act()
    except DoubtfulError as doubtful:
        operation, back = doubtful.journal.read(), doubtful.back
        if not (yes and is_within(operation)):
            lines = list(to_move(operation, back=back))
            if not sys.stdin.isatty():
                say("\n".join(lines))
                raise
            goal = "taken back" if back else "finished"
            here = shown(operation.root)
            say(f"`{operation.name}` in {here} is not {goal} without a question: {doubtful.why}.")
            say("\n".join(lines))
            otherwise = "Nothing was moved"
            if doubtful.journal.state != "done":
                command = f"dl data undo {quoted(operation.root)} --drop"
                otherwise += f". `{command}` forgets it: all files stay where they are"
            consent("Take it back?" if back else "Finish it?", False, otherwise)
        operations.agree(doubtful, operation)
    return act()


def forget(root: Path, *, yes: bool, dry_run: bool) -> str:
    """Remove the journal of an interrupted operation, or a damaged one; ask first.

    Returns:
        the operation's name.
    """
    from dlcli.data import operations

    journal = operations.droppable(root)
    say(operations.standing(journal))
    if dry_run:
        say(f"Would remove {shown(journal.path)}.")
        return journal.name
    consent(
        f"Forget `{journal.name}` in {shown(root)}? All files stay where they are.",
        yes,
        "Nothing was dropped",
        answer="--drop --yes",
    )
    operations.drop(journal)
    say(f"Removed {shown(journal.path)}. All files stay where they are.")
    return journal.name
