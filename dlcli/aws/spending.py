"""`max_price`: the most that one pays for a machine, held before it begins to cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dlcli.aws.prices import dollars
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.prices import Cost


def require_within(name: str, cost: Cost, most: float | None, options: str) -> None:
    """Refuse a type that costs more than one wants to pay, or nobody knows how much.

    Args:
        most: dollars an hour; None for any.
        options: what follows a command that means the account and region.

    Raises:
        DlError: says what it costs, as far as that is known.
    """
    if most is None:
        return
    if cost.compute is None:
        raise DlError(
            f"What a {name} costs is not known, so `max_price` can't be kept",
            why=f"it is {dollars(most)}/h, and the price list doesn't say",
            hint="`--max-price none` goes on whatever it costs.",
        )
    if cost.compute > most:
        raise DlError(
            f"{name} costs {dollars(cost.compute)}/h",
            why=f"`max_price` is {dollars(most)}/h",
            hint=f"`dl aws types --max-price {most:g}{options}` lists what costs less; "
            "`--spot` often does.",
        )


def within(
    name: str, zones: Sequence[str], prices: Mapping[str, float], most: float | None
) -> tuple[str, ...]:
    """The zones whose spot price is not known to be above the most; EC2 sees to the others.

    Raises:
        DlError: all are above it; names the cheapest.
    """
    found = tuple(zone for zone in zones if most is None or prices.get(zone, 0.0) <= most)
    if zones and not found and most is not None:
        zone = min(zones, key=lambda each: prices[each])
        raise spot_too_dear(name, zone, prices[zone], most)
    return found


def spot_too_dear(name: str, zone: str, price: float | None, most: float | None) -> DlError:
    """The error of spare capacity that costs more than one offers."""
    return DlError(
        f"A spot {name} costs {dollars(price)}/h in {zone} now",
        why=f"`max_price` is {dollars(most)}/h",
        hint="Offer more, `--max-price`, or rent on demand: leave out `--spot`.",
    )
