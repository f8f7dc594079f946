"""What was asked of EC2 last, written before it is asked.

A machine that was ordered costs money whether its order's answer arrived or not. So the order, with
a token of our own, is on disk before it goes out; sent again with that token, EC2 answers with the
same machine instead of a second one. It is removed once the box is ready for use.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlError
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.files.paths import state_home

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box

# EC2 remembers a token for a day at least; an hour less, for clocks that differ.
TOKEN_SECONDS = 23 * 3600


@dataclass(frozen=True)
class Order:
    """One call of RunInstances.

    Args:
        token: ours, which is the request's ClientToken and the box's tag too.
        wanted: what it was made for, in one text: another spec is another order.
        request: the call's arguments, to be sent again as they were.
        sent: when first, seconds since 1970.
        last_sent: when last.
    """

    token: str
    wanted: str
    request: Mapping[str, Any]
    sent: float
    last_sent: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether EC2 still knows the token."""
        return 0 <= now - self.sent < TOKEN_SECONDS


@contextmanager
def alone_with(region: str, name: str) -> Iterator[None]:
    """Change a box alone, as far as this computer goes; others see only what EC2 tells.

    Raises:
        DlError: another process is at it, and which.
    """
    from datetime import UTC, datetime

    from dlcli.files.locks import held
    from dlcli.process import in_words, this_owner

    def refusal(owner: Mapping[str, Any]) -> DlError:
        why = in_words(owner)
        return DlError(f"{name} is being changed", why=why, hint="Wait until that has ended.")

    file = journal_file(region, name).with_name(f"{region}-{name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    with held(file, this_owner(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")), refusal):
        yield


def journal_file(region: str, name: str) -> Path:
    """Where the order of a box is kept."""
    return state_home() / "aws" / "launches" / f"{region}-{name}.yaml"


def write_order(region: str, name: str, order: Order) -> None:
    """Put an order on disk, before it goes out."""
    file = journal_file(region, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(file, vars(order))


def read_order(region: str, name: str) -> Order | None:
    """The order of a box that isn't ready yet; None where there is none that can be sent again."""
    order = _order(region, name)
    return order if order is not None and order.is_fresh(time.time()) else None


def is_unfinished(box: Box) -> bool:
    """Whether this computer ordered a box, however long ago, and hasn't made it ready for use."""
    order = _order(box.region, box.name)
    return order is not None and order.token == box.token


def _order(region: str, name: str) -> Order | None:
    try:
        return Order(**read_yaml(journal_file(region, name)))
    except FileNotFoundError:
        return None
    except (DlError, TypeError):  # torn by a full disk: the box's own tags are left
        return None


def forget_order(region: str, name: str) -> None:
    """The box is ready, or gone."""
    journal_file(region, name).unlink(missing_ok=True)
