"""An AWS account that is simulated on this machine, behind a real HTTP server.

moto plays EC2, STS and SSM; what it can't play is played here: prices, quotas, the console's
output, spot prices, types that are no longer offered, and any error code one asks for.
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest

ACCOUNT_ID = "123456789012"
# Those that are open to the account: as many as it takes to tell one from all; each costs a test
# that asks all of them 0.2 s.
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
# Nobody can rent these any more, and EC2 doesn't know their names.
RETIRED = ("p2", "p3", "p3dn", "g2", "g3", "g3s", "g4ad")
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


class Simulator:
    """The servers, started once for all tests of a process."""

    def __init__(self) -> None:
        import logging

        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").disabled = True  # a line a request, into captured output
        self.moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.moto.start()
        host, port = self.moto.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.account = Account(self.url)
        self._patch = pytest.MonkeyPatch()
        self._patch_moto()
        simulator = self

        class Stub(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                asked = json.loads(self.rfile.read(length) or b"{}")
                operation = self.headers.get("X-Amz-Target", "").partition(".")[2]
                status, answer = simulator.serve(operation, asked)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests' output is for tests."""

        self.stub = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
        Thread(target=self.stub.serve_forever, daemon=True).start()
        self.stub_url = f"http://127.0.0.1:{self.stub.server_address[1]}"

    def reset(self) -> Account:
        """A fresh account."""
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).read()
        self.account = Account(self.url)
        return self.account

    def stop(self) -> None:
        """End the servers."""
        self._patch.undo()
        self.stub.shutdown()
        self.stub.server_close()
        self.moto.stop()

    def serve(self, operation: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """What pricing and service quotas answer."""
        refused = self.account.answer(operation, asked)
        if refused is not None:
            return 400, {"__type": refused[0], "message": refused[1]}
        if operation == "GetServiceQuota":
            value = self.account.quotas.get(asked["QuotaCode"], self.account.quota)
            return 200, {"Quota": {"QuotaCode": asked["QuotaCode"], "Value": value}}
        if operation == "GetProducts":
            return 200, {"FormatVersion": "aws_v1", "PriceList": self._products(asked)}
        return 400, {"__type": "UnknownOperationException", "message": operation}

    def ordered(self, response: Any, call: Callable[[Any], Any]) -> Any:
        """RunInstances as EC2 has it and moto has not: one token is one machine."""
        params = response._get_params()
        token = params.get("ClientToken", "")
        if token in self.account.ordered:
            asked, answer = self.account.ordered[token]
            if asked == params:
                return answer
            return _refused(response, ("IdempotentParameterMismatch", "The token was used."))
        answer = call(response)
        self.account.ordered[token] = params, answer
        return answer

    def _products(self, asked: Mapping[str, Any]) -> list[str]:
        wanted = {each["Field"]: each["Value"] for each in asked.get("Filters", [])}
        if wanted.get("regionCode", "us-east-1") != "us-east-1":
            return []
        if "volumeApiName" in wanted:
            return [
                _product({"volumeApiName": "gp3"}, unit, price, family)
                for family, unit, price in (
                    ("System Operation", "IOPS-Mo", 0.005),
                    ("Provisioned Throughput", "GiBps-mo", 40.96),
                    ("Storage", "GB-Mo", self.account.disk_price),
                )
                if wanted.get("productFamily", family) == family
            ]
        named = wanted.get("instanceType")
        return [
            _product({"instanceType": name}, "Hrs", price)
            for name, price in self.account.prices.items()
            if named in (None, name)
        ]

    def _patch_moto(self) -> None:
        from moto.core.responses import ActionResult, BaseResponse
        from moto.ec2.models import instance_types
        from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
        from moto.ec2.responses.general import General
        from moto.ec2.responses.spot_instances import SpotInstances

        simulator, act, alone = self, BaseResponse.call_action, RLock()

        def call(response: Any) -> Any:
            """One call at a time: of two in one instant moto answers one with a page of HTML."""
            with alone:
                return act(response)

        def call_action(response: Any) -> Any:
            refused = simulator.account.answer(response._get_action(), response._get_params())
            account = simulator.account
            if response._get_action() == "DescribeInstances" and account.unseen > 0:
                account.unseen -= 1
                return response.serialized(ActionResult({"Reservations": []}))
            if refused is None and response._get_action() == "RunInstances":
                return simulator.ordered(response, call)
            if refused is None and response._get_action() == "TerminateInstances":
                return untagged(response)
            if refused is None:
                return call(response)
            return _refused(response, refused)

        def untagged(response: Any) -> Any:
            """EC2 takes the tags of what has ended away."""
            answer = call(response)
            for reservation in response.ec2_backend.all_reservations():
                for instance in reservation.instances:
                    if instance.state == "terminated":
                        response.ec2_backend.tags.pop(instance.id, None)
            return answer

        def get_console_output(response: Any) -> Any:
            from moto.ec2.utils import Base64EncodedString

            instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
            text = Base64EncodedString.from_raw_string(simulator.account.console)
            return ActionResult({"InstanceId": instance.id, "Output": text})

        history = SpotInstances.describe_spot_price_history

        def describe_spot_price_history(response: Any) -> Any:
            found = history(response)
            for each in found.result["SpotPriceHistory"]:
                account = simulator.account
                each["SpotPrice"] = account.spot_prices.get(
                    each["AvailabilityZone"], account.spot_price
                )
            return found

        self._patch.setattr(BaseResponse, "call_action", call_action)
        self._patch.setattr(General, "get_console_output", get_console_output)
        self._patch.setattr(
            SpotInstances, "describe_spot_price_history", describe_spot_price_history
        )
        open_regions = [each for each in RegionsAndZonesBackend.regions if each.name in REGIONS]
        self._patch.setattr(RegionsAndZonesBackend, "regions", open_regions)
        known = instance_types.INSTANCE_TYPES
        for name in [name for name in known if name.partition(".")[0] in RETIRED]:
            self._patch.delitem(known, name)
        for regions in instance_types.INSTANCE_TYPE_OFFERINGS.values():
            for offered in regions.values():
                offered[:] = [
                    each
                    for each in offered
                    if each["InstanceType"].partition(".")[0] not in RETIRED
                ]


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


def _refused(response: Any, refusal: Refusal) -> Any:
    from moto.core.exceptions import ServiceException
    from moto.core.responses import ActionResult

    # moto finds the service of an error by the module of its class
    module = type(response).__module__
    error = type("Refused", (ServiceException,), {"__module__": module})(*refusal)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # moto warns of codes that it doesn't know
        return response.serialized(ActionResult(error))


def _product(
    attributes: Mapping[str, str], unit: str, dollars: float, family: str = "Compute Instance"
) -> str:
    """One entry of a price list: a JSON text within JSON, as AWS sends it."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": f"{dollars:.10f}"}}
    return json.dumps(
        {
            "product": {"productFamily": family, "attributes": attributes},
            "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}}}},
        }
    )
