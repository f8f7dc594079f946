"""No way beyond this machine while a test runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import pytest

REAL_CONNECT = socket.socket.connect


class Outside(BaseException):
    """A test reached beyond this machine; no `except Exception` may swallow it."""


@contextmanager
def loopback_only() -> Iterator[list[str]]:
    """Fail every connection to anything but this machine, and the test that made it.

    Yields:
        the addresses that were tried.
    """
    tried: list[str] = []

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            tried.append(str(address))
            raise Outside(f"a test connects to {address}")
        return REAL_CONNECT(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket.socket, "connect_ex", connect)
        yield tried
    assert tried == [], "a test connected beyond this machine"


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:  # a name: it would have to be looked up first
        return False
