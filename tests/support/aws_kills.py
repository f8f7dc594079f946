"""Calls of `dl` in children that are killed, or held, at one of their calls to AWS."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from support.aws_account import Account
from support.children import forked

from dlcli.cli import main


def called(act: Callable[[str], None], *, after: bool = True) -> Callable[[], None]:
    """Prepares a child: `act` is told each operation, right after it or before it."""

    def prepare() -> None:
        from botocore.client import BaseClient

        real = BaseClient._make_api_call

        def call(self: Any, operation: str, params: Any) -> Any:
            if not after:
                act(operation)
            answer = real(self, operation, params)
            if after:
                act(operation)
            return answer

        BaseClient._make_api_call = call

    return prepare


def killed_after(number: int, *words: str, changes: bool = False) -> bool:
    """Run `dl` in a child that dies after its n-th call to AWS; False where it made fewer.

    Args:
        changes: count those alone that change something.
    """
    left = [number]

    def count(operation: str) -> None:
        left[0] -= not (changes and operation.startswith(("Describe", "Get")))
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    code = forked(lambda: run_dl(*words), called(count))
    assert code in (0, -signal.SIGKILL)
    return code != 0


def killed_when_ordered(*words: str) -> None:
    """Run `dl` in a child that dies as soon as a machine was ordered."""

    def die(operation: str) -> None:
        if operation == "RunInstances":
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked(lambda: run_dl(*words), called(die)) == -signal.SIGKILL


def run_dl(*words: str) -> None:
    """Run `dl` in a child, where it has to end well."""
    code = main(list(words))
    assert code == 0, f"{words} ended with {code}"


def the_one(aws: Account) -> dict[str, Any]:
    """The only instance, which has the only group, key and disk."""
    (instance,) = aws.instances()
    tagged = aws.tagged()
    assert {kind: len(found) for kind, found in tagged.items()} == {
        "instances": 1,
        "volumes": 1,
        "groups": 1,
        "keys": 1,
    }
    group = aws.ec2().describe_security_groups(GroupIds=tagged["groups"])["SecurityGroups"][0]
    (rule,) = group["IpPermissions"]
    assert [each["CidrIp"] for each in rule["IpRanges"]] == [f"{aws.address}/32"]
    found: dict[str, Any] = instance
    return found
