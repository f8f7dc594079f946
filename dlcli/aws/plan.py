"""The plan of `dl aws up`: the steps from what exists to what is wanted.

Planning changes nothing. First it looks up the type, the network, the existing box and the price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from dlcli.aws.boxes import boxes, find_boxes
from dlcli.aws.cloud import role_of
from dlcli.aws.instance_types import GpuType, offered_type, require_offered, require_quota
from dlcli.aws.keys import has_key
from dlcli.aws.machine_image import find_image
from dlcli.aws.prices import Cost, hourly, require_within, spot_prices, within
from dlcli.aws.setup import user_data
from dlcli.aws.vpc import allowed, callers, find_group, find_subnets, own_vpc
from dlcli.errors import DlError
from dlcli.progress import say

if TYPE_CHECKING:
    from datetime import timedelta

    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key
    from dlcli.aws.machine_image import Image


Action = Literal["key", "network", "group", "ingress", "start", "launch"]


@dataclass(frozen=True)
class Spec:
    """The box that is wanted.

    Args:
        type_named: whether the user gave the type, so that an existing box must have it.
        zone: the only zone to try; None for all that offer the type.
        networks: what may reach port 22, as CIDR; if empty, `prepare` adds this computer's address.
        idle: time without use after which it stops; None for never.
    """

    name: str
    owner: str
    project: str
    type: str
    type_named: bool = False
    disk_gb: int = 128
    spot: bool = False
    max_price: float | None = None
    zone: str | None = None
    idle: timedelta | None = None
    max_hours: int = 24
    image: str | None = None
    vpc: str | None = None
    subnet: str | None = None
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Existing:
    """What exists already.

    Args:
        boxes: the caller's live boxes of that name, oldest first.
        zones: where the type is offered.
        key_here, key_there: whether this computer has a key, and EC2 its public half.
        vpc, subnets: the network, and its zone -> subnet; empty if there is none.
        group: the security group's id; None if there is none.
        allowed: the networks that may reach its port 22 now, as CIDR.
    """

    boxes: tuple[Box, ...] = ()
    zones: tuple[str, ...] = ()
    key_here: bool = True
    key_there: bool = False
    vpc: str | None = None
    subnets: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """One step of a plan, and its description."""

    action: Action
    words: str


@dataclass(frozen=True)
class Plan:
    """What to do, in order.

    Args:
        box: the existing one; None if one is launched.
        zones: where to launch, in the order of trying.
    """

    box: Box | None
    steps: tuple[Step, ...]
    zones: tuple[str, ...] = ()

    @property
    def rents(self) -> bool:
        """Whether the plan starts something that costs money."""
        return any(step.action in ("start", "launch") for step in self.steps)


@dataclass(frozen=True)
class Wanted:
    """The data for a launch.

    Args:
        user_data: the script of its first boot; contains no secret.
    """

    spec: Spec
    kind: GpuType
    image: Image
    key: Key
    user_data: str


def plan_up(spec: Spec, existing: Existing, options: str = "") -> Plan:
    """Plan: leave a running box as it is, start a stopped one, launch a missing one.

    Args:
        options: options for this account and region, for the hints.

    Raises:
        DlError: the existing box has another type or zone, or no zone can have a new one.
    """
    box = existing.boxes[0] if existing.boxes else None
    if box is not None:
        _require_same(spec, box, options)
        steps = _door(spec, existing)
        if not box.running:
            waits = ", as soon as it has stopped" if box.state == "stopping" else ""
            steps.append(Step("start", f"start {box.name} ({box.type}, {box.id}){waits}"))
        return Plan(box, tuple(steps))
    zones = _zones(spec, existing, options)
    steps = []
    if not existing.key_there:
        words = (
            "upload the public half of this computer's ssh key to EC2"
            if existing.key_here
            else "make an ssh key for this computer, and upload its public half to EC2"
        )
        steps.append(Step("key", words))
    if not existing.subnets:
        steps.append(Step("network", "make a network, because there is no default one"))
    steps += _door(spec, existing)
    kind = "spot, one-time" if spec.spot else "on demand"
    steps.append(
        Step(
            "launch",
            f"launch {spec.name}: {spec.type}, {kind}, {spec.disk_gb} GB encrypted gp3, in "
            + zones[0]
            + (f", else in {', '.join(zones[1:])}" if zones[1:] else ""),
        )
    )
    return Plan(None, tuple(steps), zones)


def _require_same(spec: Spec, box: Box, options: str) -> None:
    if spec.type_named and box.type != spec.type:
        raise DlError(
            f"{box.name} is a {box.type}, not a {spec.type}",
            hint=f"Change it with `dl aws resize {spec.type} -n {box.name}{options}`, or rent a "
            f"second box with `dl aws up {spec.type} -n OTHER{options}`.",
        )
    if spec.zone not in (None, box.zone):
        raise DlError(
            f"{box.name} is in {box.zone}, not in {spec.zone}",
            why="a box stays in the zone of its disk",
            hint=f"Leave out `--az`, or rent a second box with `dl aws up -n OTHER{options}`.",
        )


def _door(spec: Spec, existing: Existing) -> list[Step]:
    """The steps that open port 22 to the wanted networks only."""
    steps = []
    if existing.group is None:
        steps.append(Step("group", "make a security group"))
    if existing.allowed != frozenset(spec.networks):
        steps.append(Step("ingress", f"open port 22 to {', '.join(spec.networks)} only"))
    return steps


def _zones(spec: Spec, existing: Existing, options: str) -> tuple[str, ...]:
    """The zones to try: those that offer the type and have a subnet."""
    zones = [each for each in existing.zones if not existing.subnets or each in existing.subnets]
    if spec.zone is not None:
        if spec.zone not in zones:
            raise DlError(
                f"A {spec.type} cannot be rented in {spec.zone}",
                why=f"possible zones: {', '.join(zones) or 'none'}",
                hint="Leave out `--az`, or give one of those.",
            )
        zones = [spec.zone]
    if not zones:
        raise DlError(
            f"A {spec.type} cannot be rented in any zone of the network",
            why=f"it is offered in {', '.join(existing.zones) or 'no zone'}, and subnets are in "
            f"{', '.join(existing.subnets) or 'no zone'}",
            hint="Set `aws.subnet` or `aws.vpc` to another, or choose another TYPE: "
            f"`dl aws types{options}`.",
        )
    return tuple(zones)


@dataclass(frozen=True)
class Prepared:
    """A plan with its cost, and the data to carry it out.

    Args:
        new: the data for a launch; None if a box exists, or there is no key yet.
        kind: the type of a new box.
    """

    spec: Spec
    existing: Existing
    plan: Plan
    cost: Cost
    new: Wanted | None = None
    kind: GpuType | None = None


def look(cloud: Cloud, spec: Spec, key: Key | None, zones: tuple[str, ...]) -> Existing:
    """Find out what exists; nothing is changed.

    Args:
        zones: where the type is offered.
    """
    found = find_boxes(cloud, spec.name)
    vpc, subnets = (
        (found[0].vpc, {}) if found else find_subnets(cloud.ec2, spec.owner, spec.vpc, spec.subnet)
    )
    if not found and set(zones) - set(subnets) and own_vpc(cloud.ec2, spec.owner) == vpc:
        subnets = {}  # dl's own network: the missing subnets will be made
    group = find_group(cloud.ec2, vpc, spec.owner, spec.name) if vpc else None
    return Existing(
        boxes=tuple(found),
        zones=zones,
        key_here=key is not None,
        key_there=key is not None and has_key(cloud, key),
        vpc=vpc,
        subnets=subnets,
        group=group["GroupId"] if group else None,
        allowed=frozenset(allowed(group)) if group else frozenset(),
    )


def prepare(
    cloud: Cloud, spec: Spec, key: Key | None, accept: Callable[[str, GpuType], bool]
) -> Prepared:
    """Find out what to do and what it costs; nothing is changed.

    Args:
        key: None if it is not made yet; the result can then not be carried out.
        accept: asked whether another type will do if the wanted one is not offered; it gets the
            question and the type.

    Raises:
        DlError: it cannot be done, or costs more than `max_price`.
    """
    found = find_boxes(cloud, spec.name)
    if found:
        box = found[0]
        if spec.type_named and box.type != spec.type:
            require_offered(cloud, box, spec.type)
        existing = look(cloud, spec, key, ())
        spec = replace(spec, networks=callers(spec.networks))
        plan = plan_up(spec, existing, cloud.options)
        cost = hourly(cloud, box.type, box.disk_gb, box.spot, box.zone)
        try:
            require_within(box.type, cost, spec.max_price, cloud.options)
        except DlError as error:
            if plan.rents:
                raise
            say(f"Warning: {error.what}, and {error.why}.")  # the box costs that already
        return Prepared(spec, existing, plan, cost)
    _warn_of_namesakes(cloud, spec)
    kind = offered_type(cloud, spec.name, spec.type, accept)
    spec = replace(spec, type=kind.name)
    image = find_image(cloud, kind.arch, spec.image)
    if spec.disk_gb < image.snapshot_gb:
        raise DlError(
            f"A disk of {spec.disk_gb} GB is too small",
            why=f"the image {image.name} needs {image.snapshot_gb} GB",
            hint=f"Use `--disk {image.snapshot_gb + 30}`, which leaves room for work.",
        )
    require_quota(cloud, kind, spec.spot)
    zones = _spot_zones(cloud, spec, kind) if spec.spot else kind.zones
    existing = look(cloud, spec, key, zones)
    spec = replace(spec, networks=callers(spec.networks))  # asked last: it may not be known
    plan = plan_up(spec, existing, cloud.options)
    cost = hourly(cloud, spec.type, spec.disk_gb, spec.spot, plan.zones[0])
    if not spec.spot:  # for spot boxes EC2 enforces the price
        require_within(spec.type, cost, spec.max_price, cloud.options, is_new=True)
    if key is None:
        return Prepared(spec, existing, plan, cost, kind=kind)
    script = user_data(spec.idle, spec.max_hours)
    new = Wanted(spec, kind, image, key, script)
    return Prepared(spec, existing, plan, cost, new=new, kind=kind)


def _spot_zones(cloud: Cloud, spec: Spec, kind: GpuType) -> tuple[str, ...]:
    """The zones of a type within `max_price`, cheapest first, those of unknown price last."""
    prices = spot_prices(cloud, [kind.name]).get(kind.name, {})
    zones = sorted(kind.zones, key=lambda zone: (prices.get(zone, float("inf")), zone))
    if spec.zone in zones:
        zones = [str(spec.zone)]
    return within(kind.name, zones, prices, spec.max_price)


def _warn_of_namesakes(cloud: Cloud, spec: Spec) -> None:
    """Warn of boxes of the same name from another session of the same role."""
    role = role_of(spec.owner)
    if not role:
        return
    for box in boxes(cloud.ec2, cloud.region, name=spec.name):
        if box.owner != spec.owner and role_of(box.owner) == role:
            say(
                f"Warning: {box.name} ({box.id}) already exists, owned by {box.owner}, and is "
                f"{box.state}."
            )
