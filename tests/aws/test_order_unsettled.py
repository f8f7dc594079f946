"""Orders whose answer is not seen yet: of two `up` at once, of one killed or interrupted."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from support.aws_account import Account
from support.aws_kills import called, killed_when_ordered, run_dl, the_one
from support.children import fork, forked, wait
from support.command_result import Dl, ok, refused

from dlcli.cli import main

pytestmark = [pytest.mark.forks, pytest.mark.usefixtures("settled"), pytest.mark.slow]


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
        children.append(fork(lambda: run_dl("aws", "up", "-y"), called(meet, after=False)))
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


def test_a_second_up_from_the_same_laptop_is_told_of_the_first(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ready, go = os.pipe(), os.pipe()

    def meet(operation: str) -> None:
        if operation == "RunInstances":
            os.write(ready[1], b".")
            os.read(go[0], 1)

    child = fork(lambda: run_dl("aws", "up", "-y"), called(meet))
    os.read(ready[0], 1)
    for command in ("up", "down"):
        refused(dl("aws", command, "-y"), "cats is being changed", f"by process {child}")
    os.write(go[1], b".")
    assert wait(child) == 0
    the_one(aws)


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
    assert f"Warning: {twin['InstanceId']} has the same name" in said
    assert len(aws.instances()) == 2
    monkeypatch.setenv("HOME", str(tmp_path / "second"))
    said = ok(dl("aws", "up", "-y")).stderr
    assert f"launched {first['InstanceId']} first. Ending {twin['InstanceId']}" in said
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
    monkeypatch.setattr("dlcli.aws.order.SETTLE_SECONDS", 60.0)
    killed_when_ordered("aws", "up", "-y")
    aws.unseen = 3
    refused(dl("aws", "up", "g5.xlarge", "-y"), "An earlier `up` launched cats, a g6.xlarge")
    the_one(aws)


def test_down_waits_for_a_box_that_ec2_does_not_list_yet(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.aws.order.SETTLE_SECONDS", 60.0)
    monkeypatch.setattr("dlcli.aws.removal.POLL_SECONDS", 0.01)
    killed_when_ordered("aws", "up", "-y")
    aws.unseen = 5
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}
