"""The network and the security group of a box: port 22, open to one address only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from dlcli.aws.boxes import NAME, POLL_SECONDS, filters_for, tags_for
from dlcli.aws.errors import code_of, explained, is_there_already
from dlcli.errors import DlError
from dlcli.progress import say
from dlcli.settings.aws import WIDEST

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud


# AWS's own service, so that no third party learns of it.
CHECK_IP = "https://checkip.amazonaws.com"
CHECK_SECONDS = 5
SSH_PORT = 22
# The description of the rules that dl makes.
OUR_RULE = "dl: ssh from here"
OWN_NETWORK = "172.31.0.0/16"
SUBNET_BITS = 20
TABLE_SECONDS = 60.0


def my_address() -> str:
    """This computer's public address, asked of AWS.

    Raises:
        DlError: there is no answer, or it is not an address.
    """
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(CHECK_IP, timeout=CHECK_SECONDS) as answer:
            return str(ip_address(answer.read(100).decode("ascii", "replace").strip()))
    except (URLError, OSError, ValueError) as error:
        raise DlError(
            "The public address of this computer is not known",
            why=f"{CHECK_IP} did not give it: {_reason(error)}",
            hint="Check the network. Or set this computer's address yourself: "
            "`dl config set aws.ingress ADDRESS`.",
        ) from error


def _reason(error: Exception) -> str:
    """The text of a network error, without its type and number."""
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or "no address").rstrip(".")


def callers(ingress: Iterable[str] | None) -> tuple[str, ...]:
    """The networks that may reach port 22, as CIDR: as set, or this computer's address."""
    return tuple(ingress) if ingress else (str(ip_network(my_address())),)


def find_subnets(
    ec2: Any, owner: str, vpc: str | None, subnet: str | None
) -> tuple[str | None, dict[str, str]]:
    """The network for a new box: the named one, the region's default, or one that dl made.

    Returns:
        its id, or None if there is none; zone -> subnet.
    """
    if subnet is None and vpc is None:
        vpc = _default_vpc(ec2) or own_vpc(ec2, owner)
        if vpc is None:
            return None, {}
    asked = {"SubnetIds": [subnet]} if subnet else {}
    filters = [{"Name": "vpc-id", "Values": [vpc]}] if vpc else []
    with explained():
        found = ec2.describe_subnets(Filters=filters, **asked)["Subnets"]
    if not found and (vpc is None or own_vpc(ec2, owner) != vpc):
        raise DlError(
            f"{subnet or vpc} has no subnet",
            hint="Set `aws.subnet` or `aws.vpc` to another, or unset both.",
        )
    # one per zone: the default one, else one that gives its machines public addresses
    found.sort(
        key=lambda each: (
            not each.get("DefaultForAz"),
            not each.get("MapPublicIpOnLaunch"),
            each["SubnetId"],
        )
    )
    zones: dict[str, str] = {}
    for each in found:
        zones.setdefault(each["AvailabilityZone"], each["SubnetId"])
    return (found[0]["VpcId"] if found else vpc), dict(sorted(zones.items()))


def _default_vpc(ec2: Any) -> str | None:
    with explained():
        found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    return found[0]["VpcId"] if found else None


def own_vpc(ec2: Any, owner: str) -> str | None:
    """The network that an earlier call made, because the region has no default one."""
    with explained():
        found = ec2.describe_vpcs(Filters=filters_for(owner))["Vpcs"]
    return min((each["VpcId"] for each in found), default=None)


def make_network(ec2: Any, owner: str, zones: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Make a network with an internet gateway and a subnet per zone, or what is missing of it.

    Returns:
        its id; zone -> subnet.
    """
    from itertools import islice

    with explained():
        vpc = own_vpc(ec2, owner)
        if vpc is None:
            made = ec2.create_vpc(CidrBlock=OWN_NETWORK, **_tagged("vpc", owner))
            vpc = str(made["Vpc"]["VpcId"])
            ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
        ours = filters_for(owner)
        gateways = ec2.describe_internet_gateways(Filters=ours)["InternetGateways"]
        gateway = (
            gateways[0]
            if gateways
            else ec2.create_internet_gateway(**_tagged("internet-gateway", owner))[
                "InternetGateway"
            ]
        )
        if not gateway.get("Attachments"):
            ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc)
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        table = _main_table(ec2, of_vpc)
        if not any(route.get("GatewayId", "").startswith("igw-") for route in table["Routes"]):
            ec2.create_route(
                RouteTableId=table["RouteTableId"],
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=gateway["InternetGatewayId"],
            )
        there = ec2.describe_subnets(Filters=of_vpc)["Subnets"]
        subnets = {each["AvailabilityZone"]: each["SubnetId"] for each in there}
        used = {each["CidrBlock"] for each in there}
        free = (
            str(each)
            for each in ip_network(OWN_NETWORK).subnets(new_prefix=SUBNET_BITS)
            if str(each) not in used
        )
        missing = [zone for zone in zones if zone not in subnets]
        for zone, block in zip(missing, islice(free, len(missing)), strict=True):
            made = ec2.create_subnet(
                VpcId=vpc, AvailabilityZone=zone, CidrBlock=block, **_tagged("subnet", owner)
            )
            subnets[zone] = made["Subnet"]["SubnetId"]
        if missing:
            made_ids = [subnets[zone] for zone in missing if zone in subnets]
            ec2.get_waiter("subnet_available").wait(SubnetIds=made_ids)
    return vpc, dict(sorted(subnets.items()))


def _main_table(ec2: Any, of_vpc: list[dict[str, Any]]) -> Mapping[str, Any]:
    """The main route table of a network. EC2 may list it some seconds after the network."""
    import time

    end = time.monotonic() + TABLE_SECONDS
    while True:
        found = ec2.describe_route_tables(
            Filters=[*of_vpc, {"Name": "association.main", "Values": ["true"]}]
        )["RouteTables"]
        if found:
            table: Mapping[str, Any] = found[0]
            return table
        if time.monotonic() > end:
            raise DlError(
                "EC2 does not list the routes of the new network yet",
                hint="Run the same command again in a minute: it continues.",
            )
        time.sleep(POLL_SECONDS)


def _tagged(kind: str, owner: str) -> dict[str, Any]:
    tags = [tag for tag in tags_for("dl", owner, "") if tag["Key"] != NAME and tag["Value"]]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]}


def find_group(ec2: Any, vpc: str, owner: str, name: str) -> Mapping[str, Any] | None:
    """The security group of a box; None if there is none."""
    with explained():
        found = ec2.describe_security_groups(Filters=filters_for(owner, name, {"vpc-id": [vpc]}))
    return min(found["SecurityGroups"], key=lambda group: group["GroupId"], default=None)


def make_group(ec2: Any, vpc: str, name: str, tags: list[dict[str, str]], owner: str) -> str:
    """Make a box's security group, without rules; returns the id, also of an existing one."""
    from hashlib import sha256

    from botocore.exceptions import ClientError

    # one name per box and owner, so that two calls at once cannot make two groups
    digest = sha256(owner.encode()).hexdigest()[:8]
    with explained():
        try:
            made = ec2.create_security_group(
                GroupName=f"dl-{name}-{digest}",
                Description="A box of dl: ssh from the address of its owner only",
                VpcId=vpc,
                TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
            )
            ec2.get_waiter("security_group_exists").wait(GroupIds=[made["GroupId"]])
            return str(made["GroupId"])
        except ClientError as error:
            if not is_there_already(code_of(error)):
                raise
            found = find_group(ec2, vpc, owner, name)
            if found is None:
                raise
            return str(found["GroupId"])


def allowed(group: Mapping[str, Any]) -> dict[str, str]:
    """The networks that may reach a group's port 22: CIDR -> the rule's description."""
    found = {}
    for rule in group.get("IpPermissions", []):
        protocol, first, last = rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort")
        if protocol == "-1" or (protocol == "tcp" and first <= SSH_PORT <= last):
            for kind, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
                for each in rule.get(kind, []):
                    found[each[key]] = each.get("Description", "")
    return found


def reconcile_ingress(ec2: Any, group_id: str, networks: Iterable[str]) -> None:
    """Open a group's port 22 to these networks only: add missing rules, remove dl's old ones.

    Rules that dl did not make stay, with a warning.

    Raises:
        DlError: the group is gone, or may not be changed.
    """
    from botocore.exceptions import ClientError

    with explained():
        group = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
        now, wanted = allowed(group), set(networks)
        missing = sorted(wanted - set(now))
        stale = sorted(net for net in now if net not in wanted and now[net].startswith(OUR_RULE))
        if missing:  # add before removing, so that a connection from here is never shut out
            try:
                ec2.authorize_security_group_ingress(
                    GroupId=group_id, IpPermissions=[_rule(net) for net in missing]
                )
            except ClientError as error:
                if not is_there_already(code_of(error)):
                    raise
        if stale:
            try:
                ec2.revoke_security_group_ingress(
                    GroupId=group_id, IpPermissions=[_rule(net) for net in stale]
                )
            except ClientError as error:  # another call may have removed it
                if code_of(error) != "InvalidPermission.NotFound":
                    raise
    for net in sorted(set(now) - wanted - set(stale)):
        say(f"Warning: {group_id} also lets {net} in, by a rule that dl did not make.")


def open_door(cloud: Cloud, box: Box, ingress: Iterable[str] | None) -> None:
    """Open a box's port 22 to this computer only; its address may have changed."""
    with explained():
        found = cloud.ec2.describe_security_groups(Filters=filters_for(box.owner, box.name))
    ours = {group["GroupId"] for group in found["SecurityGroups"]} & set(box.groups)
    networks = callers(ingress) if ours else ()
    for group in sorted(ours):
        reconcile_ingress(cloud.ec2, group, networks)


def _rule(network: str) -> dict[str, Any]:
    kind, key = ("Ipv6Ranges", "CidrIpv6") if ":" in network else ("IpRanges", "CidrIp")
    span = {"IpProtocol": "tcp", "FromPort": SSH_PORT, "ToPort": SSH_PORT}
    return {**span, kind: [{key: network, "Description": OUR_RULE}]}


@dataclass(frozen=True)
class Rule:
    """An inbound rule of a security group.

    Args:
        who: a network as CIDR, or the id of a security group or of a list of networks.
        protocol: "tcp", "udp", "icmp", a number; "-1" for all.
        first, last: ports; -1 for all.
    """

    id: str
    who: str
    protocol: str
    first: int
    last: int
    description: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether it lets in more addresses than any one organisation has."""
        try:
            network = ip_network(self.who)
        except ValueError:  # a group, or a list of networks
            return False
        return network.prefixlen < WIDEST[network.version]

    @property
    def is_ours(self) -> bool:
        """Whether dl made it."""
        ssh = (self.protocol, self.first, self.last) == ("tcp", SSH_PORT, SSH_PORT)
        return ssh and self.description.startswith(OUR_RULE)

    def __str__(self) -> str:
        return f"lets {self.who} in to {self._ports}"

    @property
    def _ports(self) -> str:
        if self.protocol == "-1":
            return "all ports"
        kind = "" if self.protocol == "tcp" else f"{self.protocol} "
        if self.first == -1 or self.protocol.startswith("icmp"):
            return f"{kind or 'tcp '}".strip()
        if self.first == self.last:
            return f"{kind}port {self.first}"
        return f"{kind}ports {self.first}-{self.last}"


def rules_of(listed: Iterable[Mapping[str, Any]]) -> dict[str, list[Rule]]:
    """Group id -> its inbound rules."""
    found: dict[str, list[Rule]] = {}
    for each in listed:
        if each["IsEgress"]:
            continue
        who = (
            each.get("CidrIpv4")
            or each.get("CidrIpv6")
            or each.get("ReferencedGroupInfo", {}).get("GroupId")
            or each.get("PrefixListId", "")
        )
        found.setdefault(each["GroupId"], []).append(
            Rule(
                id=each["SecurityGroupRuleId"],
                who=who,
                protocol=each["IpProtocol"],
                first=each.get("FromPort", -1),
                last=each.get("ToPort", -1),
                description=each.get("Description", ""),
            )
        )
    return found
