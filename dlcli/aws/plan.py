"""What `dl aws up` will do: what is wanted and what there is, turned into steps.

Planning asks nothing and changes nothing. What it rests on is found out before: the type, the
network, the machine that is there already, the price.
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
        type_named: whether the type was typed, so that another one is a contradiction.
        zone: the only one to try; None for all that offer the type.
        networks: who may reach port 22, as CIDR; `prepare` puts this machine's address for none.
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
    """What there is already.

    Args:
        boxes: one's own of that name that live, the oldest first.
        zones: where the type is offered.
        key_here, key_there: whether there is a key, and EC2 has its public half.
        vpc, subnets: the network it would be in, and zone -> subnet of it; empty where none is.
        group: the security group's id; None where there is none.
        allowed: who may reach its port 22 now, as CIDR.
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
    """One thing to do, and the words for it."""

    action: Action
    words: str


@dataclass(frozen=True)
class Plan:
    """What to do, in order.

    Args:
        box: the one that is there already; None where one is launched.
        zones: where to launch, in the order in which they are tried.
    """

    box: Box | None
    steps: tuple[Step, ...]
    zones: tuple[str, ...] = ()

    @property
    def rents(self) -> bool:
        """Whether it costs more from now on."""
        return any(step.action in ("start", "launch") for step in self.steps)


@dataclass(frozen=True)
class Wanted:
    """All that a launch needs to know.

    Args:
        user_data: the script of its first boot; holds no secret.
    """

    spec: Spec
    kind: GpuType
    image: Image
    key: Key
    user_data: str


def plan_up(spec: Spec, existing: Existing, options: str = "") -> Plan:
    """Reconcile: a running box is left alone, a stopped one started, none launched.

    Args:
        options: what follows a command that means this account and region.

    Raises:
        DlError: the box that is there is of another type or in another zone, or no zone can have
            a new one.
    """
    box = existing.boxes[0] if existing.boxes else None
    if box is not None:
        _require_same(spec, box, options)
        steps = _door(spec, existing)
        if not box.running:
            waits = ", once it has stopped" if box.state == "stopping" else ""
            steps.append(Step("start", f"start {box.name} ({box.type}, {box.id}){waits}"))
        return Plan(box, tuple(steps))
    zones = _zones(spec, existing, options)
    steps = []
    if not existing.key_there:
        words = (
            "give EC2 the public half of this machine's ssh key"
            if existing.key_here
            else "make an ssh key of this machine's own, and give EC2 its public half"
        )
        steps.append(Step("key", words))
    if not existing.subnets:
        steps.append(Step("network", "make a network, for there is no default one"))
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
            hint=f"`dl aws resize {spec.type} -n {box.name}{options}` makes it one; "
            f"`dl aws up {spec.type} -n OTHER{options}` rents a second box.",
        )
    if spec.zone not in (None, box.zone):
        raise DlError(
            f"{box.name} is in {box.zone}, not in {spec.zone}",
            why="a box stays where its disk is",
            hint=f"Leave out `--az`; `dl aws up -n OTHER{options}` rents a second box.",
        )


def _door(spec: Spec, existing: Existing) -> list[Step]:
    """What makes port 22 reachable from here, and from nowhere else."""
    steps = []
    if existing.group is None:
        steps.append(Step("group", "make a security group that lets nobody in"))
    if existing.allowed != frozenset(spec.networks):
        steps.append(Step("ingress", f"open port 22 to {', '.join(spec.networks)} alone"))
    return steps


def _zones(spec: Spec, existing: Existing, options: str) -> tuple[str, ...]:
    """Where to try: zones that offer the type and have a subnet."""
    zones = [each for each in existing.zones if not existing.subnets or each in existing.subnets]
    if spec.zone is not None:
        if spec.zone not in zones:
            raise DlError(
                f"{spec.zone} can't have a {spec.type}",
                why=f"zones that can: {', '.join(zones) or 'none'}",
                hint="Leave out `--az`, or name one of those.",
            )
        zones = [spec.zone]
    if not zones:
        raise DlError(
            f"No zone of the network can have a {spec.type}",
            why=f"it is offered in {', '.join(existing.zones) or 'no zone'}, and subnets are in "
            f"{', '.join(existing.subnets) or 'no zone'}",
            hint="Name another `aws.subnet` or `aws.vpc`, or take another TYPE: "
            f"`dl aws types{options}`.",
        )
    return tuple(zones)


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


def look(cloud: Cloud, spec: Spec, key: Key | None, zones: tuple[str, ...]) -> Existing:
    """See what there is; nothing is changed.

    Args:
        zones: where the type is offered.
    """
    found = find_boxes(cloud, spec.name)
    vpc, subnets = (
        (found[0].vpc, {}) if found else find_subnets(cloud.ec2, spec.owner, spec.vpc, spec.subnet)
    )
    if not found and set(zones) - set(subnets) and own_vpc(cloud.ec2, spec.owner) == vpc:
        subnets = {}  # of one's own network what is missing is made
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
        key: None where it isn't made yet; then it can be planned alone.
        accept: asked whether another type will do where the wanted one isn't offered: it is given
            the question, and the type.

    Raises:
        DlError: it can't be done, or costs more than `max_price`.
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
    spec = replace(spec, networks=callers(spec.networks))  # asked last: it may not be known
    plan = plan_up(spec, existing, cloud.options)
    cost = hourly(cloud, spec.type, spec.disk_gb, spec.spot, plan.zones[0])
    if not spec.spot:  # EC2 sees to that itself
        require_within(spec.type, cost, spec.max_price, cloud.options)
    if key is None:
        return Prepared(spec, existing, plan, cost, kind=kind)
    script = user_data(spec.idle, spec.max_hours)
    new = Wanted(spec, kind, image, key, script)
    return Prepared(spec, existing, plan, cost, new=new, kind=kind)


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
