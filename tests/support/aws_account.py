"""A simulated AWS account: what a test sees of it, and what a test may change."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT_ID = "123456789012"
IMAGE_NAME = "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20261101"
IMAGE_PARAMETER = (
    "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
)
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEwqWjrkXcTVeyeZWIUEHgGMbyvaZpdCrRKSpYx8WvBd"
CONSOLE = f"""[    0.000000] Linux version 6.8.0-1018-aws
ci-info: no authorized SSH keys fingerprints found for user ubuntu.
-----BEGIN SSH HOST KEY KEYS-----
{HOST_KEY} root@ip-172-31-0-1
-----END SSH HOST KEY KEYS-----
"""
# Dollars an hour on demand in us-east-1, as far as tests know.
PRICES = {
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g5.xlarge": 1.006,
    "g6.xlarge": 0.8048,
    "g6.2xlarge": 0.9776,
    "g6e.xlarge": 1.861,
    "p4d.24xlarge": 21.957642,
}
DISK_PRICE = 0.08
# What EC2 takes in the description of a security group and of its rules.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
DESCRIBING = ("CreateSecurityGroup", "AuthorizeSecurityGroupIngress")
Refusal = tuple[str, str]


@dataclass
class Account:
    """What a test sees of the account, and what it may change.

    Args:
        url: moto's server.
        console: what `get_console_output` answers.
        address: where this machine seems to call from.
        prices: type -> dollars an hour on demand.
        spot_prices: zone -> dollars an hour where it isn't `spot_price`.
        quotas: quota code -> vCPUs; what isn't there is `quota`.
        delay: seconds that each call takes.
        unseen: how many of the next lists of instances are empty, as EC2's may be for a while.
        calls: the operations that were called, in order.
    """

    url: str
    console: str = CONSOLE
    address: str = "203.0.113.7"
    prices: dict[str, float] = field(default_factory=lambda: dict(PRICES))
    disk_price: float = DISK_PRICE
    spot_price: str = "0.31"
    spot_prices: dict[str, str] = field(default_factory=dict)
    quotas: dict[str, float] = field(default_factory=dict)
    quota: float = 768
    delay: float = 0.0
    unseen: int = 0
    ordered: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    image: str = ""
    _refusals: dict[str, list[tuple[Refusal, Callable[[Mapping[str, Any]], bool]]]] = field(
        default_factory=dict
    )

    def refuse(
        self,
        operation: str,
        code: str,
        message: str = "",
        *,
        times: int = 1,
        where: Callable[[Mapping[str, Any]], bool] = lambda params: True,
    ) -> None:
        """Let the next calls of an operation, `RunInstances`, fail with a code.

        Args:
            times: how many of them.
            where: which: it is given the call's parameters, `SubnetId` and the like.
        """
        refusal = ((code, message or f"{code} was asked for."), where)
        self._refusals.setdefault(operation, []).extend([refusal] * times)

    def answer(self, operation: str, params: Mapping[str, Any]) -> Refusal | None:
        """Note a call; what it has to fail with, if anything."""
        self.calls.append(operation)
        if self.delay:
            time.sleep(self.delay)
        if operation in DESCRIBING:
            wrong = [text for text in _descriptions(params) if not DESCRIPTION.fullmatch(text)]
            if wrong:
                return "InvalidParameterValue", f"Invalid security group description: {wrong[0]}"
        waiting = self._refusals.get(operation, [])
        found = next((each for each in waiting if each[1](params)), None)
        if found is None:
            return None
        waiting.remove(found)
        return found[0]

    def ec2(self, region: str = "us-east-1") -> Any:
        """A client of one's own, beside those of the code."""
        import boto3

        return boto3.client("ec2", region_name=region)

    def instances(self, region: str = "us-east-1", *states: str) -> list[Any]:
        """All instances that cost money, or those in some states."""
        wanted = list(states or ("pending", "running", "stopping", "stopped"))
        found = self.ec2(region).describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": wanted}]
        )
        return [each for group in found["Reservations"] for each in group["Instances"]]

    def tagged(self, region: str = "us-east-1") -> dict[str, list[str]]:
        """Everything with our tag that is left, by kind; terminated instances are gone."""
        ec2, ours = self.ec2(region), [{"Name": "tag:dl:managed", "Values": ["yes"]}]
        kinds = {
            "instances": [each["InstanceId"] for each in self.instances(region)],
            "volumes": [v["VolumeId"] for v in ec2.describe_volumes(Filters=ours)["Volumes"]],
            "groups": [
                g["GroupId"] for g in ec2.describe_security_groups(Filters=ours)["SecurityGroups"]
            ],
            "keys": [k["KeyName"] for k in ec2.describe_key_pairs(Filters=ours)["KeyPairs"]],
            "addresses": [a["PublicIp"] for a in ec2.describe_addresses()["Addresses"]],
            "networks": [v["VpcId"] for v in ec2.describe_vpcs(Filters=ours)["Vpcs"]],
        }
        return {kind: found for kind, found in kinds.items() if found}

    def seed_image(self, region: str = "us-east-1") -> str:
        """Offer a Deep Learning image in a region, by SSM and by its name; returns its id."""
        from moto.ec2 import ec2_backends
        from moto.ssm import ssm_backends
        from moto.ssm.models import Parameter

        image: str = self.ec2(region).register_image(
            Name=IMAGE_NAME,
            Architecture="x86_64",
            RootDeviceName="/dev/sda1",
            VirtualizationType="hvm",
        )["ImageId"]
        made = ec2_backends[ACCOUNT_ID][region].amis[image]
        made.owner_id, made.owner_alias = "898082745236", "amazon"
        made.root_device_name = "/dev/sda1"
        ssm = ssm_backends[ACCOUNT_ID][region]
        ssm._parameters[IMAGE_PARAMETER].append(
            Parameter(
                account_id=ACCOUNT_ID,
                name=IMAGE_PARAMETER,
                value=image,
                parameter_type="String",
                description="",
                allowed_pattern=None,
                keyid=None,
                last_modified_date=0.0,
                version=1,
                data_type="text",
            )
        )
        return image


def _descriptions(params: Any) -> Iterator[str]:
    """All descriptions within a call's parameters."""
    if isinstance(params, Mapping):
        for name, value in params.items():
            if name in ("GroupDescription", "Description"):
                yield str(value)
            yield from _descriptions(value)
    elif isinstance(params, list):
        for each in params:
            yield from _descriptions(each)
