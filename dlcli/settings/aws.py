"""Settings of rented boxes, the `aws:` block, and their types: durations, networks, patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from dlcli.settings.fields import Refused, setting

# IP version -> the shortest prefix that may reach a box. No organisation was ever given more than
# a /8 of IPv4, and none has a /16 of IPv6.
WIDEST = {4: 8, 6: 16}

OFF = "off"
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_MOST_DAYS = 365


class Patterns(tuple[str, ...]):
    """File name patterns, separated by commas: `*.zip,scratch/`."""

    __slots__ = ()
    expected: ClassVar[str] = "patterns, such as *.zip,scratch/"

    @classmethod
    def parse(cls, text: str) -> Patterns:
        """Read patterns, separated by commas."""
        return cls(part.strip() for part in text.split(",") if part.strip())

    def __str__(self) -> str:
        return ",".join(self)


class Networks(tuple[str, ...]):
    """Networks of addresses, IPv4 or IPv6, separated by commas: `203.0.113.7/32,2001:db8::/64`."""

    __slots__ = ()
    expected: ClassVar[str] = "addresses as CIDR, such as 203.0.113.7/32"

    @classmethod
    def parse(cls, text: str) -> Networks:
        """Read networks; an address alone is a network of its own.

        Raises:
            Refused: one is not a network, or together they are more than an organisation has.
        """
        # imported here: every command declares this block, few read it
        from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

        found = []
        for part in filter(None, map(str.strip, text.split(","))):
            try:
                network = ip_network(part)
            except ValueError as error:
                raise Refused(str(error)) from None
            found.append(network)
        if not found:
            raise Refused("no address is named")
        # joined first, because several networks may cover the whole internet
        four = collapse_addresses(each for each in found if isinstance(each, IPv4Network))
        six = collapse_addresses(each for each in found if isinstance(each, IPv6Network))
        wide: list[IPv4Network | IPv6Network] = [*four, *six]
        for network in wide:
            if network.prefixlen == 0:
                raise Refused("it admits the whole internet")
            if network.prefixlen < (most := WIDEST[network.version]):
                raise Refused(
                    f"{network} admits too many addresses: use /{most} or a longer prefix"
                )
        return cls(map(str, found))

    def __str__(self) -> str:
        return ",".join(self)


class Duration(timedelta):
    """A span of time that is written as `30m`, `4h`, `1h30m`, `2d`.

    Example:
        Duration.parse("1h30m") == timedelta(minutes=90)
    """

    expected: ClassVar[str] = "a time, such as 30m, 4h or 1h30m"

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `[Nd][Nh][Nm][Ns]`; a number needs its unit.

        Raises:
            Refused: says why it can't be read.
        """
        words = text.strip().lower().replace(" ", "")
        if not re.fullmatch(r"(\d{1,9}[dhms])+", words):
            why = f"{text.strip()!r} needs a unit: d, h, m or s" if words.isdecimal() else ""
            raise Refused(why or f"{text.strip()!r} is not a time, such as 30m, 4h or 1h30m")
        parts = re.findall(r"(\d+)([dhms])", words)
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
        if not 0 < seconds <= _MOST_DAYS * 86400:
            raise Refused(f"a time has to be above 0 and at most {_MOST_DAYS}d")
        return cls(seconds=seconds)

    def __str__(self) -> str:
        left, text = round(self.total_seconds()), ""
        for unit, seconds in _SECONDS.items():
            if unit == "d" and left % seconds:
                continue  # 26h says more than 1d2h
            count, left = divmod(left, seconds)
            text += f"{count}{unit}" if count else ""
        return text or "0s"


@dataclass(frozen=True)
class Aws:
    """Settings of `dl aws`: what it rents, where, and for how long."""

    profile: str | None = setting(None, "profile of ~/.aws/config; by default boto3's choice")
    region: str | None = setting(None, "AWS region, such as eu-west-1; by default boto3's choice")
    name: str | None = setting(None, "name of the box; by default the project folder's name")
    type: str = setting("g6.xlarge", "instance type (see `dl aws types`)", metavar="TYPE")
    disk: int = setting(128, "size of the box's disk in GB", at_least=8, below=16385)
    idle: Duration | None = setting(
        Duration(minutes=30),
        "stop the box after being idle for this long",
        unset=OFF,
        metavar="TIME",
    )
    max_hours: int = setting(
        24, "stop the box after this many hours, even if busy", at_least=1, below=8761
    )
    spot: bool = setting(False, "rent spare capacity: cheaper, but AWS may take it back")
    max_price: float | None = setting(
        None, "highest price of the box, in dollars an hour", at_least=0.001
    )
    image: str | None = setting(
        None, "machine image; by default the newest Deep Learning Base image", metavar="AMI"
    )
    vpc: str | None = setting(None, "VPC of the box; by default the region's default VPC")
    subnet: str | None = setting(None, "subnet of the box; by default one in a zone with capacity")
    ingress: Networks | None = setting(
        None,
        "addresses that may reach port 22, in CIDR form; by default only this computer's",
        metavar="CIDR",
    )
    exclude: Patterns | None = setting(
        None, "file patterns not to copy, besides the built-in ones", metavar="PATTERNS"
    )
    ssh_key: Path | None = setting(None, "private key for ssh; by default one that `dl` makes")
    bootstrap: Path | None = setting(None, "script to run on a new box after its setup")
