"""A type as somebody named it: what the region offers by that name, or what comes nearest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dlcli.aws.instance_types import RETIRED, GpuType, describe, gpu_types, nearest
from dlcli.aws.prices import dollars, list_prices
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud


def offered_type(
    cloud: Cloud, name: str, wanted: str, accept: Callable[[str, GpuType], bool]
) -> GpuType:
    """A type as it was named, or the nearest one that is offered, if that is accepted.

    Args:
        name: of the box that would be of that type.
        accept: asked whether another type will do: it is given the question, and the type.

    Raises:
        DlError: it isn't offered, and names the nearest.
    """
    found = describe(cloud.ec2, [wanted]).get(wanted)
    if found is not None:
        return found
    near, words = _nearest(cloud, wanted)
    if near is None:
        raise DlError(words, hint=f"`dl aws types{cloud.options}` lists what is.")
    if accept(f"{words}. Start that?", near):
        return near
    raise DlError(
        words,
        hint=f"`dl aws up {near.name}{cloud.named(name).options}` rents that, `--substitute` "
        f"accepts it; `dl aws types{cloud.options}` lists others.",
    )


def require_offered(cloud: Cloud, box: Box, wanted: str) -> None:
    """Refuse a type for a box that is there, where the region doesn't offer it.

    Raises:
        DlError: names the nearest, and what makes the box that.
    """
    if describe(cloud.ec2, [wanted]):
        return
    near, words = _nearest(cloud, wanted)
    others = f"`dl aws types{cloud.options}` lists what is offered."
    options = cloud.named(box.name).options
    become = f"`dl aws resize {near.name}{options}` makes it that; " if near else ""
    raise DlError(words, hint=f"{box.name} is a {box.type}; {become}{others}")


def _nearest(cloud: Cloud, wanted: str) -> tuple[GpuType | None, str]:
    """What comes nearest to a type that isn't offered, and the words for both."""
    gone = RETIRED.get(wanted.lower())
    what = (
        f"{wanted} ({gone.gpu}) is no longer offered"
        if gone
        else f"{wanted} is not offered in {cloud.region}"
    )
    prices = list_prices(cloud)
    near = nearest(wanted, gpu_types(cloud.ec2), prices)
    if near is None:
        return None, what
    words = f"{near.name}, {near.gpu_words}, {dollars(prices.get(near.name))}/h"
    return near, f"{what}. Nearest: {words}"
