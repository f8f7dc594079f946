"""What `dl aws up` finds out before anything is changed: the type, the plan, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.aws.boxes import boxes, find_boxes
from dlcli.aws.cloud import role_of
from dlcli.aws.instance_types import GpuType
from dlcli.aws.launching import look
from dlcli.aws.machine_image import find_image
from dlcli.aws.offers import offered_type, require_offered
from dlcli.aws.ordering import Wanted
from dlcli.aws.planning import Existing, Plan, Spec, plan_up
from dlcli.aws.prices import Cost, hourly, spot_prices
from dlcli.aws.provisioning import user_data
from dlcli.aws.quotas import require_quota
from dlcli.aws.spending import require_within, within
from dlcli.errors import DlError
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key


@dataclass(frozen=True)
class Prepared:
    """All that `up` needs to ask the user, and then to do it.

    Args:
        new: what a launch needs; None where there is a box already, or no key yet.
        kind: the type of a box that isn't there yet.
    """

    spec: Spec
    existing: Existing
    plan: Plan
    cost: Cost
    new: Wanted | None = None
    kind: GpuType | None = None


def prepare(
    cloud: Cloud, spec: Spec, key: Key | None, accept: Callable[[str, GpuType], bool]
) -> Prepared:
    """Find out what to do and what it costs; nothing is changed.

    Args:
        key: None where it isn't made yet; then it can be planned alone.
        accept: asked whether another type will do where the wanted one isn't offered: it is given
            the question, and the type.

    Raises:
        DlError: it can't be done, or costs more than `max_price`.
    """
    from dataclasses import replace

    found = find_boxes(cloud, spec.name)
    if found:
        box = found[0]
        if spec.type_named and box.type != spec.type:
            require_offered(cloud, box, spec.type)
        existing = look(cloud, spec, key, ())
        plan = plan_up(spec, existing, cloud.options)
        cost = hourly(cloud, box.type, box.disk_gb, box.spot, box.zone)
        try:
            require_within(box.type, cost, spec.max_price, cloud.options)
        except DlError as error:
            if plan.rents:
                raise
            say(f"Warning: {error.what}, and {error.why}.")  # it costs that already
        return Prepared(spec, existing, plan, cost)
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
    zones = _spot_zones(cloud, spec, kind) if spec.spot else kind.zones
    existing = look(cloud, spec, key, zones)
    plan = plan_up(spec, existing, cloud.options)
    cost = hourly(cloud, spec.type, spec.disk_gb, spec.spot, plan.zones[0])
    if not spec.spot:  # EC2 sees to that itself
        require_within(spec.type, cost, spec.max_price, cloud.options)
    if key is None:
        return Prepared(spec, existing, plan, cost, kind=kind)
    script = user_data(spec.idle, spec.max_hours)
    new = Wanted(spec, kind, image, key, script)
    return Prepared(spec, existing, plan, cost, new, kind)


def _spot_zones(cloud: Cloud, spec: Spec, kind: GpuType) -> tuple[str, ...]:
    """The zones of a type that cost no more than one pays, the cheapest first.

    Last are those whose price is not known.
    """
    prices = spot_prices(cloud, [kind.name]).get(kind.name, {})
    zones = sorted(kind.zones, key=lambda zone: (prices.get(zone, float("inf")), zone))
    if spec.zone in zones:
        zones = [str(spec.zone)]
    return within(kind.name, zones, prices, spec.max_price)


def _warn_of_namesakes(cloud: Cloud, spec: Spec) -> None:
    """Say which boxes of that name one may have rented under another session of the same role."""
    role = role_of(spec.owner)
    if not role:
        return
    for box in boxes(cloud.ec2, cloud.region, name=spec.name):
        if box.owner != spec.owner and role_of(box.owner) == role:
            say(f"Warning: {box.name} ({box.id}) is {box.state} already, of {box.owner}.")
