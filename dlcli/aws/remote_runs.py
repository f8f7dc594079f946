"""Runs on a box, by the names that one types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcli.aws.connecting import run
from dlcli.errors import DlError
from dlcli.progress import say

if TYPE_CHECKING:
    from paramiko import SSHClient


def dataset_of(client: SSHClient, there: str, named: str) -> str:
    """The dataset of a run that was named without one; empty where the name is a dataset's.

    Args:
        there: where the dataset of that name would be, `runs/NAME`, relative to the home folder.
        named: a dataset's name, or a run's.

    Raises:
        DlError: the box has neither; or runs of that name of several datasets.
    """
    script = (
        'cd; if [ -d "$1" ]; then echo; fi; '
        'for each in "${1%/*}"/*/"$2"; do if [ -d "$each" ]; then echo "$each"; fi; done'
    )
    _, out, _ = run(client, ["sh", "-c", script, "sh", there, named])
    found = out.splitlines()
    if "" in found or "/" in named:
        return ""
    datasets = sorted(path.split("/")[-2] for path in found)
    if not datasets:
        raise DlError(
            f"There is no dataset and no run {named!r} on the box",
            hint="Name `DATASET` or `DATASET/RUN`, as `dl runs --all` lists them there.",
        )
    if len(datasets) > 1:
        names = ", ".join(f"`{each}/{named}`" for each in datasets)
        raise DlError(
            f"{named} is a run of {len(datasets)} datasets on the box", hint=f"Name one: {names}."
        )
    say(f"{named} is {datasets[0]}/{named} on the box")
    return datasets[0]
