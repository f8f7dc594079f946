"""`up`, `stop` and `down` killed after every single call to AWS, and two `up` at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from children import fork, forked, wait
from simulator import Account
from typed import Dl, ok, refused

from dlcli.cli import main

pytestmark = pytest.mark.forks


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for EC2's slowness doesn't wait: the simulator is at once up to date."""
    monkeypatch.setattr("dlcli.aws.ordering.SETTLE_SECONDS", 0.0)


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

    code = forked(lambda: _typed(*words), called(count))
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _typed(*words: str) -> None:
    code = main(list(words))
    assert code == 0, f"{words} ended with {code}"


def numbers() -> Iterator[int]:
    yield from range(1, 100)


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


def test_two_at_once_from_two_laptops_leave_one_box(
    dl: Dl, aws: Account, cats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, go, met = os.pipe(), os.pipe(), []

    def meet(operation: str) -> None:
        # before it orders, when both have seen that there is no box; and before it looks again,
        # when both have ordered, as a machine takes longer to run than another order to be made
        if operation == "RunInstances" or len(met) == 1:
            met.append(operation)
            os.write(ready[1], b".")
            os.read(go[0], 1)

    children = []
    for laptop in ("one", "two"):
        folder = tmp_path / laptop / "cats"
        (folder / ".git").mkdir(parents=True)
        monkeypatch.setenv("HOME", str(tmp_path / laptop))
        monkeypatch.chdir(folder)
        children.append(fork(lambda: _typed("aws", "up", "-y"), called(meet, after=False)))
    for _ in range(2):
        for _ in children:
            os.read(ready[0], 1)
        os.write(go[1], b"..")
    assert [wait(child) for child in children] == [0, 0]
    (stays,) = aws.instances()
    everything = aws.instances("us-east-1", "running", "terminated", "shutting-down")
    assert len(everything) == 2
    first = min(everything, key=lambda each: (each["LaunchTime"], each["InstanceId"]))
    assert stays["InstanceId"] == first["InstanceId"]
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}


def test_a_twin_of_a_call_that_was_killed_before_the_election_ends_with_the_next(
    dl: Dl, aws: Account, cats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("aws", "up", "-y"))
    (first,) = aws.instances()
    time.sleep(1.1)  # EC2 counts launches in seconds
    with monkeypatch.context() as second:
        second.setenv("HOME", str(tmp_path / "second"))
        aws.unseen = 2  # it looks for a box twice
        killed_when_ordered("aws", "up", "-y")
        assert len(aws.instances()) == 2
    (twin,) = [each for each in aws.instances() if each["InstanceId"] != first["InstanceId"]]
    said = ok(dl("aws", "up", "-y")).stderr  # whoever didn't order it ends nothing
    assert f"Warning: {twin['InstanceId']} is another box of that name" in said
    assert len(aws.instances()) == 2
    monkeypatch.setenv("HOME", str(tmp_path / "second"))
    said = ok(dl("aws", "up", "-y")).stderr
    assert f"{twin['InstanceId']} ends, and {first['InstanceId']} is the box" in said
    assert [each["InstanceId"] for each in aws.instances()] == [first["InstanceId"]]


def test_ctrl_c_while_the_order_is_out_waits_for_its_answer(
    dl: Dl, aws: Account, cats: Path
) -> None:
    def interrupt(operation: str) -> None:
        if operation == "RunInstances":
            os.kill(os.getpid(), signal.SIGINT)

    for after in (False, True):
        code = forked(lambda: os._exit(main(["aws", "up", "-y"])), called(interrupt, after=after))
        assert code == 130
        (instance,) = aws.instances()
        ok(dl("aws", "up", "-y"))
        assert the_one(aws)["InstanceId"] == instance["InstanceId"]
        ok(dl("aws", "down", "-y"))


def killed_when_ordered(*words: str) -> None:
    """Run `dl` in a child that dies as soon as a machine was ordered."""

    def die(operation: str) -> None:
        if operation == "RunInstances":
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked(lambda: _typed(*words), called(die)) == -signal.SIGKILL


def test_a_box_that_ec2_does_not_list_yet_is_not_ordered_twice(
    dl: Dl, aws: Account, cats: Path
) -> None:
    killed_when_ordered("aws", "up", "-y")
    aws.unseen = 3
    ok(dl("aws", "up", "-y"))
    assert aws.unseen == 0
    assert aws.calls.count("RunInstances") == 2
    the_one(aws)


def test_another_box_is_not_ordered_before_it_is_clear_what_became_of_the_first(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.aws.ordering.SETTLE_SECONDS", 60.0)
    killed_when_ordered("aws", "up", "-y")
    aws.unseen = 3
    refused(dl("aws", "up", "g5.xlarge", "-y"), "An earlier `up` launched cats, a g6.xlarge")
    the_one(aws)


def test_down_waits_for_a_box_that_ec2_does_not_list_yet(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.aws.ordering.SETTLE_SECONDS", 60.0)
    monkeypatch.setattr("dlcli.aws.removal.POLL_SECONDS", 0.01)
    killed_when_ordered("aws", "up", "-y")
    aws.unseen = 5
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}


def test_a_second_up_from_the_same_laptop_is_told_of_the_first(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ready, go = os.pipe(), os.pipe()

    def meet(operation: str) -> None:
        if operation == "RunInstances":
            os.write(ready[1], b".")
            os.read(go[0], 1)

    child = fork(lambda: _typed("aws", "up", "-y"), called(meet))
    os.read(ready[0], 1)
    for command in ("up", "down"):
        refused(dl("aws", command, "-y"), "cats is being changed", f"by process {child}")
    os.write(go[1], b".")
    assert wait(child) == 0
    the_one(aws)
