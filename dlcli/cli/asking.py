"""Asking before what costs something or can't be taken back; `--yes` answers."""

from __future__ import annotations

import sys

import click

YES = click.option("--yes", "-y", is_flag=True, help="don't ask")


def consent(question: str, yes: bool) -> None:
    """Ask; nothing happens without an answer.

    Args:
        question: what would be done, with a question mark.
        yes: whether it was answered on the command line.

    Raises:
        DlError: there is nobody to ask.
    """
    from dlcli.errors import DlError, ExitCode

    if yes:
        return
    if not sys.stdin.isatty():
        raise DlError(
            "Nothing was done",
            why=f"it asks first, and there is no terminal to answer at: {question}",
            hint="Say `--yes`.",
            exit_code=ExitCode.USAGE,
        )
    click.confirm(question, abort=True, err=True)
