"""Settings of rented machines, the `aws:` block, and durations as people write them: `1h30m`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from dlcli.settings.fields import Refused, setting

# IP version -> the shortest prefix that may reach a box. A /8 is the most that any organisation was
# ever given of IPv4, and none has a /16 of IPv6.
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
            Refused: one is no network; or together they let in more than an organisation has.
        """
        # every command declares this block, few read it
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
        # the whole internet in pieces is the whole internet
        four = collapse_addresses(each for each in found if isinstance(each, IPv4Network))
        six = collapse_addresses(each for each in found if isinstance(each, IPv6Network))
        wide: list[IPv4Network | IPv6Network] = [*four, *six]
        for network in wide:
            if network.prefixlen == 0:
                raise Refused("it lets the whole internet in")
            if network.prefixlen < (most := WIDEST[network.version]):
                raise Refused(f"{network} lets too many in: a /{most} is the most")
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


def read_duration(text: str) -> Duration | None:
    """A duration as typed; None for `off`.

    Raises:
        Refused: it is neither.
    """
    return None if text.strip().lower() == OFF else Duration.parse(text)


@dataclass(frozen=True)
class Aws:
    """What `dl aws` rents, where, and for how long."""

    profile: str | None = setting(None, "profile of ~/.aws/config; as boto3 finds it by default")
    region: str | None = setting(None, "AWS region, such as eu-west-1; as boto3 finds it")
    name: str | None = setting(None, "the box's name; the project folder's by default")
    type: str = setting("g6.xlarge", "instance type (see `dl aws types`)", metavar="TYPE")
    disk: int = setting(128, "GB of the box's disk", at_least=8, below=16385)
    idle: Duration | None = setting(
        Duration(minutes=30),
        "stop the box after so long with nothing to do",
        unset=OFF,
        metavar="TIME",
    )
    max_hours: int = setting(
        24, "stop the box after so many hours whatever it does", at_least=1, below=8761
    )
    spot: bool = setting(False, "rent spare capacity: cheaper, and it may be taken away")
    max_price: float | None = setting(
        None, "most to pay for the machine, in dollars an hour", at_least=0.001
    )
    image: str | None = setting(
        None, "machine image; the newest Deep Learning Base image by default", metavar="AMI"
    )
    vpc: str | None = setting(None, "network to be in; the region's default by default")
    subnet: str | None = setting(None, "subnet to be in; one of the zone that has room")
    ingress: Networks | None = setting(
        None, "who may reach port 22, as CIDR; this machine's address alone", metavar="CIDR"
    )
    exclude: Patterns | None = setting(
        None, "file name patterns that stay here, beside those built in", metavar="PATTERNS"
    )
    ssh_key: Path | None = setting(None, "private key for ssh; one of dl's own by default")
    bootstrap: Path | None = setting(None, "script to run on a new box, once it is set up")
