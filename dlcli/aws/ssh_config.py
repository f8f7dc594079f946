"""`ssh dl-NAME`, rsync, scp and editors: machines as entries of an ssh configuration of our own.

The user's `~/.ssh/config` gets one line, which includes it; the rest is never touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlcli.aws.boxes import Box, by_age
from dlcli.aws.system_ssh import Host, option_lines
from dlcli.files.atomic import atomic
from dlcli.files.formats import read_text
from dlcli.files.locks import alone_in
from dlcli.files.paths import config_home

HEADER = "# Written by `dl aws ssh-config`, which writes it anew each time.\n"


def our_file() -> Path:
    """The file of ours that is included: `~/.config/dl/ssh/config`."""
    return config_home() / "ssh" / "config"


def users_file() -> Path:
    """The user's own ssh configuration."""
    return Path.home() / ".ssh" / "config"


def entry_name(name: str) -> str:
    """What one types after `ssh` to reach a box: `dl-` keeps it apart from hosts of one's own."""
    # `*`, `?` and `!` would stand for other hosts
    return "dl-" + re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)


def names_for(boxes: Sequence[Box], usual_region: str) -> dict[str, Box]:
    """What each box is called here, so that no name comes to mean another box when one is added.

    Args:
        boxes: of any region.
        usual_region: where a box goes by its name alone; elsewhere it is its name and region.
    """
    found: dict[str, Box] = {}
    for box in sorted(boxes, key=by_age):
        name = box.name if box.region == usual_region else f"{box.name}-{box.region}"
        found[f"{name}-{box.id}" if name in found else name] = box
    return dict(sorted(found.items()))


def write_entries(hosts: Mapping[str, Host]) -> list[str]:
    """Write our file anew, and include it in the user's where it isn't yet.

    Args:
        hosts: a box's name -> how it is reached.

    Returns:
        what one types after `ssh`, in the order of the boxes.
    """
    blocks = [HEADER]
    for name, host in hosts.items():
        lines = [f"  {key} {value}\n" for key, value in option_lines(host).items()]
        blocks.append("".join([f"\nHost {entry_name(name)}\n", *lines]))
    _write_private(our_file(), "".join(blocks))
    include()
    return [entry_name(name) for name in hosts]


def include() -> bool:
    """Put the one line at the top of the user's file; whether it had to be.

    At the top, for a line after a `Host` would belong to that host alone.
    """
    file = users_file().resolve()  # a link, from somebody's dotfiles, stays one
    _make_private(file.parent)
    with alone_in(file.parent):
        text = read_text(file) if file.exists() else ""
        line = f'Include "{our_file()}"\n'
        if text.startswith(line) or f"\n{line}" in text.partition("\nHost ")[0]:
            return False
        _write_private(file, line + text)
    return True


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write_private(file: Path, text: str) -> None:
    """Write a file whole or not at all; a new one is its owner's alone."""
    _make_private(file.parent)
    with atomic(file) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, 0o600)
            opened.write(text.encode("utf-8", "surrogateescape"))
