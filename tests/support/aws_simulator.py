"""The servers of the simulated AWS account: on this machine, behind real HTTP.

moto plays EC2, STS and SSM; what it can't play is played here: prices, quotas, the console's
output, spot prices, types that are no longer offered, and any error code one asks for.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Any
from urllib.request import Request, urlopen

import botocore.loaders
import botocore.session
import pytest
from botocore.client import ClientCreator
from botocore.httpsession import create_urllib3_context
from botocore.model import ServiceModel
from support.aws_account import Account, Refusal

# Those that are open to the account: as many as it takes to tell one from all; each costs a test
# that asks all of them 0.2 s.
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
# Nobody can rent these any more, and EC2 doesn't know their names.
RETIRED = ("p2", "p3", "p3dn", "g2", "g3", "g3s", "g4ad")


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
        from moto import backends
        from moto.core import responses
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

        # what each call looks for anew: all folders of moto's, all methods of EC2's 700 and more
        modules = frozenset(backends.list_of_moto_modules())
        self._patch.setattr(backends, "list_of_moto_modules", lambda: modules)
        names_of = cache(responses.method_names_from_class)
        self._patch.setattr(responses, "method_names_from_class", names_of)
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


@contextmanager
def simulating() -> Iterator[Simulator]:
    """The servers, with a client that looks up once what stays the same."""
    environ = pytest.MonkeyPatch()
    environ.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # 1,300 images take 0.3 s a test
    loader = botocore.loaders.create_loader()  # reading EC2's model takes 0.4 s
    environ.setattr("botocore.session.create_loader", lambda *paths: loader)
    # a client's, which talks to loopback in the clear
    context = create_urllib3_context()
    environ.setattr("botocore.httpsession.create_urllib3_context", lambda: context)
    environ.setattr(ClientCreator, "_create_methods", methods_once(ClientCreator._create_methods))
    servers = Simulator()
    yield servers
    servers.stop()
    environ.undo()


def methods_once(create: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A client's methods, made once for a service: EC2 has 700, and each command takes clients."""
    made: dict[str, dict[str, Any]] = {}

    def methods(creator: ClientCreator, service: ServiceModel) -> dict[str, Any]:
        if service.service_name not in made:
            made[service.service_name] = create(creator, service)
        return dict(made[service.service_name])

    return methods
