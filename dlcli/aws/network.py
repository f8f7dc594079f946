"""The network that a box is in, and who may reach it: port 22, from one address alone."""

from __future__ import annotations

from ipaddress import ip_address

from dlcli.errors import DlError

# AWS's own: nobody else learns who rents.
CHECK_IP = "https://checkip.amazonaws.com"
CHECK_SECONDS = 10


def my_address() -> str:
    """The address from which the internet sees this machine, asked of AWS.

    Raises:
        DlError: there is no answer, or none that is an address.
    """
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(CHECK_IP, timeout=CHECK_SECONDS) as answer:
            return str(ip_address(answer.read(100).decode("ascii", "replace").strip()))
    except (URLError, OSError, ValueError) as error:
        raise DlError(
            "This machine's address is not known",
            why=f"{CHECK_IP} didn't say: {error}",
            hint="Check the network, or say who may reach the box: `dl config set aws.ingress "
            "203.0.113.7/32`.",
        ) from error
