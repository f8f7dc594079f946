"""`dl aws ls` and `dl aws audit`."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.aws_account import Account
from support.aws_simulator import REGIONS
from support.command_result import Dl, ok, refused
from support.terminal import at_terminal

from dlcli.aws.boxes import tags_for
from dlcli.aws.cloud import Cloud

pytestmark = pytest.mark.slow


def make_boxes(aws: Account, region: str, count: int, **more: object) -> list[str]:
    owner = Cloud(None, region).owner
    made = []
    for number in range(count):
        tags = tags_for(
            f"box{number}", owner, "cats", datetime.now(UTC) + timedelta(hours=5), f"t{number}"
        )
        kinds = ("instance", "volume")
        made += aws.ec2(region).run_instances(
            ImageId="ami-1",
            InstanceType="g6.xlarge",
            MinCount=1,
            MaxCount=1,
            ClientToken=f"{region}-{number}",
            TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in kinds],
        )["Instances"]
    return [each["InstanceId"] for each in made]


def test_twenty_boxes_in_three_regions_are_listed_within_three_seconds(
    dl: Dl, aws: Account
) -> None:
    for region, count in zip(REGIONS, (8, 7, 5), strict=True):
        make_boxes(aws, region, count)
    aws.delay = 0.1  # a call to another continent
    begun = time.monotonic()
    said = ok(dl("aws", "ls", "--all-regions"))
    assert time.monotonic() - begun < 10  # 3 s of AWS' time; a busy machine's seconds prove nothing
    assert len(said.stdout.splitlines()) == 21
    assert "20 boxes in all regions" in said.stderr
    # all regions at once: no more waits in a row than one region has calls
    assert aws.calls.count("DescribeInstances") >= 3


def test_a_list_says_what_each_costs_and_when_it_stops(dl: Dl, aws: Account) -> None:
    ids = make_boxes(aws, "us-east-1", 2)
    aws.ec2().stop_instances(InstanceIds=[ids[1]])
    said = ok(dl("aws", "ls"))
    header, *lines = said.stdout.splitlines()
    first, second = sorted(lines, key=lambda line: "stopped" in line)
    assert " ".join(header.split()) == "name type state up $/h so far 24 h idle stops in"
    assert "$0.811" in first  # with moto's own disk of 8 GB
    assert "5 h at most" in first
    assert "stopped" in second
    assert "2 boxes in us-east-1" in said.stderr
    listed = json.loads(ok(dl("aws", "ls", "--json")).stdout)
    listed.sort(key=lambda each: each["state"])
    assert [each["state"] for each in listed] == ["running", "stopped"]
    assert listed[0]["usd_per_hour"] == pytest.approx(0.8107, abs=1e-3)
    assert listed[1]["usd_per_hour"] == listed[1]["usd_per_hour_stopped"]


def test_an_empty_list_is_json_too(dl: Dl, aws: Account) -> None:
    assert json.loads(ok(dl("aws", "ls", "--json")).stdout) == []
    assert "No boxes in us-east-1" in ok(dl("aws", "ls")).stderr


def test_a_region_that_does_not_answer_is_said(dl: Dl, aws: Account) -> None:
    make_boxes(aws, "us-east-1", 1)
    aws.refuse("DescribeInstances", "UnauthorizedOperation")
    said = ok(dl("aws", "ls", "--all-regions"))
    assert "did not answer" in said.stderr


def test_a_region_that_does_not_answer_fails_an_audit_and_hides_no_other(
    dl: Dl, aws: Account
) -> None:
    aws.refuse("DescribeInstances", "UnauthorizedOperation")
    refused(dl("aws", "audit", "--all-regions"), "did not answer", "1 region")
    make_boxes(aws, "us-east-1", 1)
    aws.refuse("DescribeAddresses", "UnauthorizedOperation", times=2)
    assert "did not answer" in dl("aws", "audit", "--all-regions").stderr


def test_the_list_holds_ones_own_boxes_alone(dl: Dl, aws: Account) -> None:
    tags = tags_for("theirs", "arn:aws:iam::123456789012:user/bob", "cats")
    aws.ec2().run_instances(
        ImageId="ami-1",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    assert "No boxes" in ok(dl("aws", "ls")).stderr
    said = refused(dl("aws", "audit"), "1 finding in us-east-1")
    assert "owner: arn:aws:iam::123456789012:user/bob" in said.stdout
    assert "There is no box" in ok(dl("aws", "down", "-y", "-n", "theirs")).stderr
    assert len(aws.instances()) == 1


def test_an_account_without_costs_passes_the_audit(dl: Dl, aws: Account) -> None:
    assert "Found nothing in us-east-1: no machine" in ok(dl("aws", "audit")).stderr


def test_an_audit_lists_what_hangs_loose_and_mends_what_is_ours(dl: Dl, aws: Account) -> None:
    ec2, owner = aws.ec2(), Cloud(None, "us-east-1").owner
    tags = tags_for("gone", owner, "cats")
    ours = ec2.create_volume(
        AvailabilityZone="us-east-1a",
        Size=128,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )["VolumeId"]
    theirs = ec2.create_volume(AvailabilityZone="us-east-1a", Size=10)["VolumeId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    group = ec2.create_security_group(
        GroupName="dl-gone",
        Description="left",
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )["GroupId"]
    found = json.loads(refused(dl("aws", "audit", "--json"), "4 findings").stdout)
    assert {each["id"]: each["fixable"] for each in found} == {
        ours: True,
        theirs: False,
        address: False,
        group: True,
    }
    refused(dl("aws", "audit", "--fix"), "Nothing was done", exit_code=2)
    said = refused(dl("aws", "audit", "--fix", "-y"), f"Removed disk {ours}", "2 findings").stderr
    assert "dl aws down" not in said
    refused(dl("aws", "audit", "--fix", "-y"), "`--fix` cannot remove any of this", "console")
    left = json.loads(dl("aws", "audit", "--json").stdout)
    assert {each["id"] for each in left} == {theirs, address}


def test_a_box_past_its_end_and_a_twin_are_told(dl: Dl, aws: Account, home: Path) -> None:
    owner = Cloud(None, "us-east-1").owner
    for token in ("a", "b"):
        tags = tags_for("cats", owner, "cats", datetime.now(UTC) - timedelta(hours=1), token)
        aws.ec2().run_instances(
            ImageId="ami-1",
            MinCount=1,
            MaxCount=1,
            ClientToken=token,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
    said = refused(dl("aws", "audit"), "2 findings").stdout
    assert "one of 2 with that name" in said
    assert "should have stopped" in said
    assert "overdue" in ok(dl("aws", "ls")).stdout
    ok(dl("aws", "down", "-y", "-n", "cats"))
    assert aws.instances() == []


def test_the_list_fits_a_terminal_of_80_columns(aws: Account) -> None:
    make_boxes(aws, "us-east-1", 2)
    aws.ec2().stop_instances(InstanceIds=[aws.instances()[0]["InstanceId"]])
    header, *lines, _ = at_terminal("-m", "dlcli", "aws", "ls").splitlines()
    assert header.split()[:3] == ["name", "type", "state"]
    assert len(lines) == 2
    assert max(map(len, [header, *lines])) <= 80
    assert any(line.endswith("5 h at most") for line in lines)
