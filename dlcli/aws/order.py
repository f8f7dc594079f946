"""Order a machine from EC2, so that an interrupted call never pays for two.

A machine costs money even if the answer to its order was lost. So the order is written to disk with
a token before it is sent. Sent again with the same token, it gets the same machine. The file is
removed once the box is ready.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.aws import errors
from dlcli.aws.boxes import ENDED, TOKEN, Box, boxes, tags_for
from dlcli.aws.errors import explained, reason_code
from dlcli.aws.instance_types import too_small
from dlcli.aws.keys import import_key, key_name
from dlcli.aws.plan import Wanted
from dlcli.aws.prices import dollars, spot_prices, spot_too_dear
from dlcli.errors import DlError
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.files.locks import held
from dlcli.files.paths import state_home
from dlcli.files.typed import read_as
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


# Pauses between attempts while EC2 is too busy.
DELAYS = (2.0, 4.0, 8.0, 16.0)
# How long EC2 may not list a machine after its launch.
SETTLE_SECONDS = 60.0

# EC2 remembers a token for at least a day; an hour less, because clocks differ.
TOKEN_SECONDS = 23 * 3600


@dataclass(frozen=True)
class Order:
    """One call of RunInstances.

    Args:
        token: the request's ClientToken, and a tag of the box.
        wanted: the spec as one text; another spec needs another order.
        request: the arguments of the call, to send again unchanged.
        sent: when it was first sent, seconds since 1970.
        last_sent: when it was last sent.
    """

    token: str
    wanted: str
    request: Mapping[str, Any]
    sent: float
    last_sent: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether EC2 still knows the token."""
        return 0 <= now - self.sent < TOKEN_SECONDS

    def may_be_unseen(self, now: float) -> bool:
        """Whether EC2 may not list the resulting machine yet."""
        return now - self.last_sent < SETTLE_SECONDS


def alone_with(region: str, name: str) -> AbstractContextManager[None]:
    """Hold a lock on a box, so that no other process of this computer changes it.

    Raises:
        DlError: another process holds the lock; says which.
    """
    file = journal_file(region, name).with_name(f"{region}-{name}.lock")
    return held(file, f"{name} is being changed", make_folder=True)


def journal_file(region: str, name: str) -> Path:
    """The file of a box's order."""
    return state_home() / "aws" / "launches" / f"{region}-{name}.yaml"


def write_order(region: str, name: str, order: Order) -> None:
    """Write an order to disk, before it is sent."""
    file = journal_file(region, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(file, vars(order))


def read_order(region: str, name: str) -> Order | None:
    """The order of an unfinished box; None if there is none that can be sent again."""
    order = _order(region, name)
    return order if order is not None and order.is_fresh(time.time()) else None


def is_unfinished(box: Box) -> bool:
    """Whether this computer ordered a box, however long ago, and has not finished its setup."""
    order = _order(box.region, box.name)
    return order is not None and order.token == box.token


def _order(region: str, name: str) -> Order | None:
    try:
        order: Order = read_as(Order, read_yaml(journal_file(region, name)), "order")
        return order
    except FileNotFoundError:
        return None
    except (DlError, ValueError):  # damaged, perhaps by a full disk: the box's tags remain
        return None


def forget_order(region: str, name: str) -> None:
    """Remove a box's order, once the box is ready or gone."""
    journal_file(region, name).unlink(missing_ok=True)


def order_box(
    cloud: Cloud,
    new: Wanted,
    subnets: Mapping[str, str],
    group: str,
    check: Callable[[], None],
) -> str:
    """Order a box, trying one zone after the other; returns its id.

    Args:
        subnets: zone -> subnet, in the order of trying.
        group: the security group's id.
        check: raises `KeyboardInterrupt` if the user pressed Ctrl-C.

    Raises:
        DlError: no zone has one free, or the account may not rent one.
    """
    refused: dict[str, DlError] = {}
    for zone, order in _orders(cloud, new, subnets, group):
        check()
        try:
            return _sent(cloud, new, order)
        except DlError as error:
            code = reason_code(error)
            if errors.is_final(code):
                forget_order(cloud.region, new.spec.name)
            if code not in errors.NEXT_ZONE | errors.SPOT_PRICE:
                raise _answered(cloud, new, zone, error) from error
            refused[zone] = error
            dear = f"asks more than {dollars(new.spec.max_price)}/h"
            free = f"has no {new.spec.type} free"
            say(f"{zone} {dear if code in errors.SPOT_PRICE else free}")
    for zone, refusal in refused.items():
        if reason_code(refusal) in errors.SPOT_PRICE:  # the cheapest zone comes first
            raise _answered(cloud, new, zone, refusal) from refusal
    limits = {"--az": new.spec.zone, "--spot": new.spec.spot}
    typed = " and ".join(f"`{flag}`" for flag, value in limits.items() if value)
    hint = f"Try again later, or choose another TYPE (`dl aws types{cloud.options}`) or region."
    if typed:
        hint += f" Or leave out {typed}."
    raise DlError(
        f"No zone of {cloud.region} has a {new.spec.type} free"
        if new.spec.zone is None
        else f"{new.spec.zone} has no {new.spec.type} free",
        why="; ".join(dict.fromkeys(refusal.why for refusal in refused.values())),
        hint=hint,
    )


def _orders(
    cloud: Cloud, new: Wanted, subnets: Mapping[str, str], group: str
) -> Iterator[tuple[str, Order]]:
    """An order for each zone. An order that a killed call left comes first, unchanged."""
    spec = new.spec
    wanted = repr((replace(spec, networks=()), new.image.id, group, new.key.fingerprint))
    left = read_order(cloud.region, spec.name)
    zones, tried = {subnet: zone for zone, subnet in subnets.items()}, set[str]()
    if left is not None:
        subnet = left.request["NetworkInterfaces"][0]["SubnetId"]
        if left.wanted == wanted and subnet in zones:
            tried.add(zones[subnet])
            yield zones[subnet], left
        else:
            _settle(cloud, left)
    for zone, subnet in subnets.items():
        if zone in tried:
            continue
        token = uuid.uuid4().hex
        request = _request(new, subnet, group, token)
        yield zone, Order(token, wanted, request, time.time())


def _settle(cloud: Cloud, left: Order) -> None:
    """Wait until EC2 would list a box that an unfinished call may have launched."""
    if seen(cloud, left) is None and left.may_be_unseen(time.time()):
        say("An earlier `up` was interrupted: waiting until EC2 lists what it may have launched")
        while left.may_be_unseen(time.time()) and not seen(cloud, left):
            time.sleep(2)
    found = seen(cloud, left)
    if found is not None:
        options = cloud.named(found.name).options
        raise DlError(
            f"An earlier `up` launched {found.name}, a {found.type} ({found.id})",
            hint=f"Use it with `dl aws up{options}`, or end it with `dl aws down{options}`.",
        )


def seen(cloud: Cloud, order: Order) -> Box | None:
    """The box of an order; None if EC2 does not list it yet, or there is none."""
    found = boxes(cloud.ec2, cloud.region, also={f"tag:{TOKEN}": [order.token]})
    return found[0] if found else None


def _sent(cloud: Cloud, new: Wanted, order: Order) -> str:
    """Write an order to disk and send it; returns the id of the box."""
    delays = iter(DELAYS)
    keyless = renewed = False
    while True:
        order = replace(order, last_sent=time.time())
        write_order(cloud.region, new.spec.name, order)
        try:
            with explained():
                answer = cloud.ec2.run_instances(**order.request)
            box = answer["Instances"][0]
            if box["State"]["Name"] not in ENDED or renewed:
                return str(box["InstanceId"])
            renewed, order = True, _renewed(order)  # the box of this token has ended
        except DlError as error:
            code = reason_code(error)
            if code == "InvalidKeyPair.NotFound" and not keyless:
                keyless = True  # a `down` of another box has just removed it
                import_key(cloud, new.key, new.spec.owner)
                order = _renewed(order)
            elif (
                # a new key or group may not be known everywhere yet
                (code in errors.BACK_OFF or errors.is_gone(code))
                and (delay := next(delays, None)) is not None
            ):
                time.sleep(delay)
            elif code in errors.NEW_TOKEN and not renewed:
                renewed = True
                if found := seen(cloud, order):
                    return found.id
                order = _renewed(order)
            else:
                raise


def _renewed(order: Order) -> Order:
    """The same order with another token."""
    token = uuid.uuid4().hex
    tagged = [
        {
            **each,
            "Tags": [
                {**tag, "Value": token} if tag["Key"] == TOKEN else tag for tag in each["Tags"]
            ],
        }
        for each in order.request["TagSpecifications"]
    ]
    request = {**order.request, "ClientToken": token, "TagSpecifications": tagged}
    return replace(order, token=token, request=request, sent=time.time())


def _request(new: Wanted, subnet: str, group: str, token: str) -> dict[str, Any]:
    """The arguments of RunInstances. One call sets everything that keeps the box safe."""
    spec = new.spec
    until = datetime.now(UTC) + timedelta(hours=spec.max_hours)
    tags = tags_for(spec.name, spec.owner, spec.project, until, token)
    kinds = ["instance", "volume", "network-interface"]
    kinds += ["spot-instances-request"] if spec.spot else []
    request: dict[str, Any] = {
        "ImageId": new.image.id,
        "InstanceType": spec.type,
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": key_name(new.key),
        "ClientToken": token,
        "UserData": new.user_data,
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": subnet,
                "Groups": [group],
                "AssociatePublicIpAddress": True,
                "DeleteOnTermination": True,
            }
        ],
        "BlockDeviceMappings": [
            {
                "DeviceName": new.image.root_device,
                "Ebs": {
                    "VolumeSize": spec.disk_gb,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        # IMDSv2 only: a page that a program on the box fetches cannot read its metadata
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        # `shutdown -h` on the box ends the costs; a one-time spot box cannot stop, so it ends
        "InstanceInitiatedShutdownBehavior": "terminate" if spec.spot else "stop",
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in kinds],
    }
    if spec.spot:
        price = {} if spec.max_price is None else {"MaxPrice": f"{spec.max_price:.4f}"}
        options = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        request["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": options | price}
    return request


def _answered(cloud: Cloud, new: Wanted, zone: str, error: DlError) -> DlError:
    """The error for a refusal that holds in every zone, with a hint."""
    code, spec = reason_code(error), new.spec
    if code in errors.QUOTA:
        return too_small(cloud, new.kind, spec.spot, error.why)
    if code in errors.SPOT_PRICE:
        present = spot_prices(cloud, [spec.type]).get(spec.type, {}).get(zone)
        return spot_too_dear(spec.type, zone, present, spec.max_price)
    return error
