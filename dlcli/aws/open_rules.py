"""Who is let in by the rules of security groups, as EC2 lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.aws.network import RULE, SSH_PORT
from dlcli.settings.aws import WIDEST


@dataclass(frozen=True)
class Rule:
    """One way in.

    Args:
        who: a network as CIDR, or the id of a security group or of a list of networks.
        protocol: EC2's word: "tcp", "udp", "icmp", a number; "-1" for all.
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
        """Whether it lets in more of the internet than any one organisation has."""
        from ipaddress import ip_network

        try:
            network = ip_network(self.who)
        except ValueError:  # a group, or a list of networks
            return False
        return network.prefixlen < WIDEST[network.version]

    @property
    def is_ours(self) -> bool:
        """Whether it is as dl makes its own."""
        ssh = (self.protocol, self.first, self.last) == ("tcp", SSH_PORT, SSH_PORT)
        return ssh and self.description.startswith(RULE)

    def __str__(self) -> str:
        return f"lets {self.who} in to {self._ports}"

    @property
    def _ports(self) -> str:
        if self.protocol == "-1":
            return "all ports"
        kind = "" if self.protocol == "tcp" else f"{self.protocol} "
        if self.first == -1 or self.protocol.startswith("icmp"):
            return f"{kind or 'tcp '}".strip()
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{kind}port{'s' * (self.first != self.last)} {ports}"


def rules_of(listed: Iterable[Mapping[str, Any]]) -> dict[str, list[Rule]]:
    """Group -> its ways in."""
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
                each["SecurityGroupRuleId"],
                who,
                each["IpProtocol"],
                each.get("FromPort", -1),
                each.get("ToPort", -1),
                each.get("Description", ""),
            )
        )
    return found
