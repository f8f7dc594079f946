"""What `dl aws up` finds out before anything is changed: the type, the plan, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.aws.boxes import boxes, find_boxes
from dlcli.aws.cloud import role_of
from dlcli.aws.instance_types import RETIRED, GpuType, describe, gpu_types, nearest
from dlcli.aws.launching import look
from dlcli.aws.machine_image import find_image
from dlcli.aws.ordering import Wanted
from dlcli.aws.planning import Existing, Plan, Spec, plan_up
from dlcli.aws.prices import Cost, dollars, hourly, list_prices, spot_prices
from dlcli.aws.provisioning import user_data
from dlcli.aws.quotas import require_quota
from dlcli.errors import DlError
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key


@dataclass(frozen=True)
class Prepared:
    """All that `up` needs to ask the user, and then to do it.

    Args:
        new: what a launch needs; None where there is a box already.
    """

    spec: Spec
    existing: Existing
    plan: Plan
    cost: Cost
    new: Wanted | None


def prepare(cloud: Cloud, spec: Spec, key: Key, accept: Callable[[str, GpuType], bool]) -> Prepared:
    """Find out what to do and what it costs; nothing is changed.

    Args:
        accept: asked whether another type will do where the wanted one isn't offered: it is given
            the question, and the type.

    Raises:
        DlError: it can't be done, or costs more than `max_price`.
    """
    from dataclasses import replace

    found = find_boxes(cloud, spec.name)
    if found:
        box = found[0]
        existing = look(cloud, spec, key, ())
        plan = plan_up(spec, existing, cloud.options)
        return Prepared(
            spec,
            existing,
            plan,
            hourly(cloud, box.type, box.disk_gb, box.spot, box.zone),
            None,
        )
    _warn_of_namesakes(cloud, spec)
    kind = offered_type(cloud, spec.name, spec.type, accept)
    spec = replace(spec, type=kind.name)
    image = find_image(cloud, kind.arch, spec.image)
    if spec.disk_gb < image.snapshot_gb:
        raise DlError(
            f"A disk of {spec.disk_gb} GB is too small",
            why=f"the image {image.name} takes {image.snapshot_gb} GB",
            hint=f"`--disk {image.snapshot_gb + 30}` leaves room for work.",
        )
    require_quota(cloud, kind, spec.spot)
    zones = _by_spot_price(cloud, kind) if spec.spot else kind.zones
    existing = look(cloud, spec, key, zones)
    plan = plan_up(spec, existing, cloud.options)
    cost = hourly(cloud, spec.type, spec.disk_gb, spec.spot, plan.zones[0])
    _require_within(spec, cost)
    script = user_data(spec.idle, spec.max_hours)
    return Prepared(spec, existing, plan, cost, Wanted(spec, kind, image, key, script))


def offered_type(
    cloud: Cloud, name: str, wanted: str, accept: Callable[[str, GpuType], bool]
) -> GpuType:
    """A type as it was named, or the nearest one that is offered, if that is accepted.

    Args:
        name: of the box that would be of that type.
        accept: as `prepare` has it.

    Raises:
        DlError: it isn't offered, and names the nearest.
    """
    found = describe(cloud.ec2, [wanted]).get(wanted)
    if found is not None:
        return found
    gone = RETIRED.get(wanted)
    what = (
        f"{wanted} ({gone.gpu}) is no longer offered"
        if gone
        else f"{wanted} is not offered in {cloud.region}"
    )
    present, prices = gpu_types(cloud.ec2), list_prices(cloud)
    near = nearest(wanted, present, prices)
    if near is None:
        raise DlError(what, hint=f"`dl aws types{cloud.options}` lists what is.")
    words = f"{near.name}, {near.gpu_words}, {dollars(prices.get(near.name))}/h"
    if accept(f"{what}. Nearest: {words}. Start that?", near):
        return near
    raise DlError(
        f"{what}. Nearest: {words}",
        hint=f"`dl aws up {near.name}{cloud.named(name).options}` rents that, `--substitute` "
        f"accepts it; `dl aws types{cloud.options}` lists others.",
    )


def _by_spot_price(cloud: Cloud, kind: GpuType) -> tuple[str, ...]:
    """The zones of a type, the cheapest first; last those whose price is not known."""
    prices = spot_prices(cloud.ec2, [kind.name]).get(kind.name, {})
    return tuple(sorted(kind.zones, key=lambda zone: (prices.get(zone, float("inf")), zone)))


def _warn_of_namesakes(cloud: Cloud, spec: Spec) -> None:
    """Say which boxes of that name one may have rented under another session of the same role."""
    role = role_of(spec.owner)
    if not role:
        return
    for box in boxes(cloud.ec2, cloud.region, name=spec.name):
        if box.owner != spec.owner and role_of(box.owner) == role:
            say(f"Warning: {box.name} ({box.id}) is {box.state} already, of {box.owner}.")


def _require_within(spec: Spec, cost: Cost) -> None:
    """Refuse what costs more than one wants to pay; for spot EC2 sees to that itself."""
    if spec.spot or spec.max_price is None or cost.compute is None:
        return
    if cost.compute > spec.max_price:
        raise DlError(
            f"{spec.type} costs {dollars(cost.compute)}/h",
            why=f"`max_price` is {dollars(spec.max_price)}/h",
            hint="`dl aws types --max-price X` lists what costs less; `--spot` often does.",
        )
