"""`up`, `stop`, `resize` and `down` killed after every single call to AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.aws_account import Account
from support.aws_kills import killed_after, the_one
from support.command_result import Dl, ok

pytestmark = [pytest.mark.forks, pytest.mark.usefixtures("settled"), pytest.mark.slow]


def numbers() -> Iterator[int]:
    yield from range(1, 100)


def test_up_killed_after_any_call_and_run_again_has_one_of_everything(
    dl: Dl, aws: Account, cats: Path
) -> None:
    for number in numbers():
        killed = killed_after(number, "aws", "up", "-y")
        ok(dl("aws", "up", "-y"))
        assert the_one(aws)["State"]["Name"] == "running"
        ok(dl("aws", "down", "-y"))
        assert aws.tagged() == {}
        if not killed:
            assert number > 15
            return


def test_up_killed_after_any_change_leaves_nothing_that_down_does_not_find(
    dl: Dl, aws: Account, cats: Path
) -> None:
    for number in numbers():
        killed = killed_after(number, "aws", "up", "-y", changes=True)
        ok(dl("aws", "down", "-y"))
        assert aws.tagged() == {}
        if not killed:
            return


def test_stop_killed_after_any_call_and_run_again_has_stopped_the_one_box(
    dl: Dl, aws: Account, cats: Path
) -> None:
    for number in numbers():
        ok(dl("aws", "up", "-y"))
        killed = killed_after(number, "aws", "stop", "-y")
        ok(dl("aws", "stop", "-y"))
        assert the_one(aws)["State"]["Name"] == "stopped"
        if not killed:
            return


def test_start_killed_after_any_change_and_run_again_has_started_the_one_box(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ok(dl("aws", "up", "-y"))
    for number in numbers():
        ok(dl("aws", "stop", "-y"))
        killed = killed_after(number, "aws", "up", "-y", changes=True)
        ok(dl("aws", "up", "-y"))
        assert the_one(aws)["State"]["Name"] == "running"
        if not killed:
            return


def test_down_killed_after_any_call_and_run_again_leaves_nothing(
    dl: Dl, aws: Account, cats: Path
) -> None:
    for number in numbers():
        ok(dl("aws", "up", "-y"))
        killed = killed_after(number, "aws", "down", "-y")
        ok(dl("aws", "down", "-y"))
        assert aws.tagged() == {}
        if not killed:
            return


def test_resize_killed_after_any_change_and_run_again_has_one_box_of_the_type(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ok(dl("aws", "up", "-y"))
    types = ("g5.xlarge", "g6.xlarge")
    for number in numbers():
        wanted = types[(number + 1) % 2]
        killed = killed_after(number, "aws", "resize", wanted, "-y", changes=True)
        ok(dl("aws", "resize", wanted, "-y"))
        assert the_one(aws)["InstanceType"] == wanted
        ok(dl("aws", "start", "-y"))
        if not killed:
            return


def test_its_own_network_survives_a_kill_after_any_change(dl: Dl, aws: Account, cats: Path) -> None:
    ec2 = aws.ec2()
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
    for number in numbers():
        killed = killed_after(number, "aws", "up", "-y", "--az", "us-east-1a", changes=True)
        if not killed:
            break
        ok(dl("aws", "up", "-y", "--az", "us-east-1a"))
        assert {kind: len(found) for kind, found in aws.tagged().items()} == {
            "instances": 1,
            "volumes": 1,
            "groups": 1,
            "keys": 1,
            "networks": 1,
        }
        killed_after(number, "aws", "down", "-y", changes=True)
        ok(dl("aws", "down", "-y"))
        assert aws.tagged() == {}
        assert ec2.describe_vpcs()["Vpcs"] == []
        assert ec2.describe_internet_gateways()["InternetGateways"] == []
