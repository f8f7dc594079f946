"""Ask for confirmation before what costs money or can't be undone; `--yes` answers."""

from __future__ import annotations

import sys

import click

from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.trust import VARIABLE, UntrustedError

# What waits until a project is trusted, after its name.
WITHHELD = (
    "`dl` runs none of its recipes, uses neither its `weights` nor its settings of `aws`, and "
    "sends nothing to its `kaggle.competition`"
)
YES = click.option("--yes", "-y", is_flag=True, help="don't ask")


def consent(
    question: str, yes: bool, otherwise: str = "Nothing was done", *, answer: str = "--yes"
) -> None:
    """Ask for confirmation.

    Args:
        question: what would be done, with a question mark.
        yes: whether `--yes` was given.
        otherwise: what to say if the answer is no.
        answer: the options that answer yes.

    Raises:
        DlError: there is no terminal to ask at.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise DlError(
            otherwise,
            why=f"this asks for confirmation, and there is no terminal: {question}",
            hint=f"Add `{answer}`.",
            exit_code=ExitCode.USAGE,
        )
    if not click.confirm(question, err=True):
        raise click.Abort(f"{otherwise}.")


def consent_to_trust(error: UntrustedError) -> None:
    """Ask whether to trust a project whose recipe or setting a command needs.

    Raises:
        UntrustedError: there is no terminal to ask at.
        click.Abort: the answer is no.
    """
    if not sys.stdin.isatty():
        error.hint += f" In CI, set `{VARIABLE}` instead."
        raise error
    say(f"{error.what}: {error.why}.")
    say(
        "`dl` asks once for each project, because it may be somebody else's. Before you trust it, "
        f"{WITHHELD}."
    )
    consent(f"Trust {shown(error.folder)}?", False)
