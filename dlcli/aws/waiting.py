"""Waiting for a machine: said at times, and what to type where somebody stops it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


@contextmanager
def told_if_stopped(cloud: Cloud, name: str) -> Iterator[None]:
    """Say at Ctrl-C within the block what goes on with a box that costs money, and what ends it."""
    try:
        yield
    except KeyboardInterrupt:
        options = cloud.named(name).options
        say(
            f"Stopped on the way: `dl aws up{options}` goes on, `dl aws down{options}` ends "
            f"{name}, which costs money meanwhile."
        )
        raise
