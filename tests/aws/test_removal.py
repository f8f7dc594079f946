"""What `down` waits for, what it takes for gone, and what it names as left."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused

from dlcli.aws.boxes import tags_for
from dlcli.aws.cloud import Cloud


def test_down_takes_a_box_that_ec2_has_forgotten_for_gone(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("aws", "up", "-y"))
    aws.refuse(
        "DescribeInstances",
        "InvalidInstanceID.NotFound",
        where=lambda params: "InstanceId" in params,
    )
    monkeypatch.setattr("dlcli.aws.removal.MOST_SECONDS", 0)
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}


def test_a_disk_that_is_being_deleted_is_gone_and_what_lingers_is_waited_for(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.aws.removal.POLL_SECONDS", 0.01)
    tags = tags_for("cats", Cloud(None, "us-east-1").owner, "cats")
    for code, deleting in (("IncorrectState", False), ("InvalidParameterValue", True)):
        aws.ec2().create_volume(
            AvailabilityZone="us-east-1a",
            Size=8,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )
        if deleting:
            monkeypatch.setattr("moto.ec2.models.elastic_block_store.Volume.status", "deleting")
        aws.refuse("DeleteVolume", code)
        ok(dl("aws", "down", "-y"))
        assert deleting or aws.tagged() == {}


def test_what_is_left_of_a_box_is_named(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.aws.removal.RELEASE_SECONDS", 0.0)
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in instance["Tags"]]
    made = aws.ec2().create_network_interface(
        SubnetId=instance["SubnetId"],
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}],
    )["NetworkInterface"]["NetworkInterfaceId"]
    refused(dl("aws", "down", "-y"), f"network interface {made}", "again in a minute")
