"""What `dl aws up` will do: what is wanted and what there is, turned into steps. Nothing is asked
or changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dlcli.errors import DlError

if TYPE_CHECKING:
    from datetime import timedelta

    from dlcli.aws.boxes import Box

Action = Literal["key", "network", "group", "ingress", "start", "launch"]


@dataclass(frozen=True)
class Spec:
    """The box that is wanted.

    Args:
        type_named: whether the type was typed, so that another one is a contradiction.
        zone: the only one to try; None for all that offer the type.
        networks: who may reach port 22, as CIDR.
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
