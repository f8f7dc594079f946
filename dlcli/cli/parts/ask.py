"""Asking before what costs something or can't be taken back; `--yes` answers."""

from __future__ import annotations

import sys

import click

from dlcli.errors import DlError, ExitCode

YES = click.option("--yes", "-y", is_flag=True, help="don't ask")


def consent(question: str, yes: bool, otherwise: str = "Nothing was done") -> None:
    """Ask; nothing happens without an answer.

    Args:
        question: what would be done, with a question mark.
        yes: whether it was answered on the command line.
        otherwise: what is said where the answer is no.

    Raises:
        DlError: there is nobody to ask.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise DlError(
            otherwise,
            why=f"it asks first, and there is no terminal to answer at: {question}",
            hint="Say `--yes`.",
            exit_code=ExitCode.USAGE,
        )
    if not click.confirm(question, err=True):
        raise click.Abort(f"{otherwise}.")
