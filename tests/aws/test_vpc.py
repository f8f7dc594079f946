"""Who may reach a box, and from where this machine is seen."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from support.aws_account import Account

from dlcli.aws import vpc as vpc_module
from dlcli.aws.boxes import tags_for
from dlcli.aws.cloud import Cloud
from dlcli.errors import DlError

MINE, OTHER = "203.0.113.7/32", "192.0.2.1/32"


@pytest.fixture
def check_ip(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """A server in the place of AWS's own; what it answers."""
    answers = [b"203.0.113.7\n"]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[0])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests' output is for tests."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(vpc_module, "CHECK_IP", f"http://127.0.0.1:{server.server_address[1]}")
        yield answers
        server.shutdown()


def test_this_machines_address_is_asked_of_aws(check_ip: list[bytes]) -> None:
    assert vpc_module.callers(None) == (MINE,)
    assert vpc_module.callers(("198.51.100.0/28",)) == ("198.51.100.0/28",)


@pytest.mark.parametrize("answer", [b"<html>log in</html>", b"", b"\xff\xfe", b"0.0.0.0/0"])
def test_an_answer_that_is_no_address_opens_nothing(check_ip: list[bytes], answer: bytes) -> None:
    check_ip[0] = answer
    with pytest.raises(DlError, match="address of this computer is not known") as raised:
        vpc_module.callers(None)
    assert "aws.ingress" in raised.value.hint


def test_offline_the_address_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vpc_module, "CHECK_IP", "http://127.0.0.1:9")
    with pytest.raises(DlError, match="address of this computer is not known") as raised:
        vpc_module.my_address()
    assert raised.value.why == "http://127.0.0.1:9 did not give it: Connection refused"
    assert "aws.ingress" in raised.value.hint


def test_a_group_is_made_once_and_reconciled_as_often_as_one_likes(aws: Account) -> None:
    cloud = Cloud(None, "us-east-1")
    ec2, tags = cloud.ec2, tags_for("cats", cloud.owner, "cats")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = vpc_module.make_group(ec2, vpc, "cats", tags, cloud.owner)
    assert vpc_module.make_group(ec2, vpc, "cats", tags, cloud.owner) == group

    def allowed() -> set[str]:
        found = vpc_module.find_group(ec2, vpc, cloud.owner, "cats")
        assert found is not None
        return set(vpc_module.allowed(found))

    assert allowed() == set()
    for networks in ((MINE,), (MINE,), (OTHER, "2001:db8::/64"), (MINE,)):
        vpc_module.reconcile_ingress(ec2, group, networks)
        assert allowed() == set(networks)


def test_two_that_open_the_door_at_once_do_not_trip_each_other(aws: Account) -> None:
    cloud = Cloud(None, "us-east-1")
    ec2, tags = cloud.ec2, tags_for("cats", cloud.owner, "cats")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = vpc_module.make_group(ec2, vpc, "cats", tags, cloud.owner)
    aws.refuse("AuthorizeSecurityGroupIngress", "InvalidPermission.Duplicate")
    vpc_module.reconcile_ingress(ec2, group, (MINE,))
    vpc_module.reconcile_ingress(ec2, group, (OTHER,))
    aws.refuse("RevokeSecurityGroupIngress", "InvalidPermission.NotFound")
    vpc_module.reconcile_ingress(ec2, group, (MINE,))


def test_one_box_does_not_share_its_group_with_anothers_of_that_name(aws: Account) -> None:
    cloud = Cloud(None, "us-east-1")
    ec2 = cloud.ec2
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    ada, bob = (f"arn:aws:iam::123456789012:user/{who}" for who in ("ada", "bob"))
    groups = [
        vpc_module.make_group(ec2, vpc, "cats", tags_for("cats", who, "cats"), who)
        for who in (ada, bob)
    ]
    assert len(set(groups)) == 2
    found = vpc_module.find_group(ec2, vpc, bob, "cats")
    assert found is not None
    assert found["GroupId"] == groups[1]


def test_a_network_whose_routes_are_shown_late_is_made(
    aws: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vpc_module, "POLL_SECONDS", 0.01)
    ec2, late = Cloud(None, "us-east-1").ec2, [1, 1]

    def hide(parsed: dict[str, object], **rest: object) -> None:
        if late:
            late.pop()
            parsed["RouteTables"] = []

    ec2.meta.events.register("after-call.ec2.DescribeRouteTables", hide)
    _, subnets = vpc_module.make_network(ec2, "arn:aws:iam::123456789012:user/ada", ["us-east-1a"])
    assert list(subnets) == ["us-east-1a"]
    assert not late
