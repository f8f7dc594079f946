"""A box of the simulated account whose address leads to a real sshd."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.aws_account import Account
from support.sshd import ADDRESS, Sshd

from dlcli.aws.boxes import Box, tags_for
from dlcli.aws.cloud import Cloud
from dlcli.aws.keys import Key
from dlcli.aws.system_ssh import Host
from dlcli.aws.vpc import make_group

CONSOLE = (
    "-----BEGIN SSH HOST KEY KEYS-----\r\n{} {} root@box\r\n-----END SSH HOST KEY KEYS-----\r\n"
)


def rented(
    aws: Account, sshd: Sshd, monkeypatch: pytest.MonkeyPatch, name: str = "dogs", port: int = 0
) -> str:
    """Rent a box; its console shows the sshd's key, and ssh to it goes to the sshd.

    Returns:
        its id.
    """
    cloud = Cloud(None, "us-east-1")
    ec2, tags = cloud.ec2, tags_for(name, cloud.owner, "dogs")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = make_group(ec2, vpc, name, tags, cloud.owner)
    made = ec2.run_instances(
        ImageId=aws.image,
        InstanceType="g6.xlarge",
        MinCount=1,
        MaxCount=1,
        SecurityGroupIds=[group],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    aws.console = CONSOLE.format(sshd.host_key.kind, sshd.host_key.data)
    from dlcli.aws import reach

    real = reach.host_of
    there = {"address": ADDRESS, "port": port or sshd.port, "user": sshd.host().user}

    def host_of(cloud: Cloud, box: Box, key: Key) -> Host:
        return replace(real(cloud, box, key), **there)  # type: ignore[arg-type]

    monkeypatch.setattr(reach, "host_of", host_of)
    found: str = made["Instances"][0]["InstanceId"]
    return found
