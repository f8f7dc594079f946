"""What EC2 may answer to an order, each code delivered through the server."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused

from dlcli.aws.order import Order, journal_file, read_order, write_order
from dlcli.files.formats import read_yaml

pytestmark = pytest.mark.slow


ZONE_CODES = ("InsufficientInstanceCapacity", "UnfulfillableCapacity", "Unsupported")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.aws.order.DELAYS", (0.0, 0.0, 0.0))
    monkeypatch.setattr("dlcli.aws.order.SETTLE_SECONDS", 0.0)


@pytest.mark.parametrize("code", ZONE_CODES)
def test_where_a_zone_has_none_the_next_is_tried(
    dl: Dl, aws: Account, cats: Path, code: str
) -> None:
    aws.refuse("RunInstances", code, times=2)
    said = ok(dl("aws", "up", "-y")).stderr
    assert "us-east-1a has no g6.xlarge free" in said
    assert "us-east-1b has no g6.xlarge free" in said
    (instance,) = aws.instances()
    assert instance["Placement"]["AvailabilityZone"] == "us-east-1c"


def test_where_no_zone_has_any_all_are_named(dl: Dl, aws: Account, cats: Path) -> None:
    aws.refuse("RunInstances", "InsufficientInstanceCapacity", "We have none.", times=9)
    said = refused(dl("aws", "up", "-y"), "No zone of us-east-1 has a g6.xlarge free").stderr
    assert said.count("We have none (InsufficientInstanceCapacity)") == 1
    assert said.count("us-east-1f") == 2  # in the plan, and when it was tried
    refused(dl("aws", "up", "--az", "a", "--spot", "-y"), "Or leave out `--az` and `--spot`.")
    assert aws.instances() == []
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}


@pytest.mark.parametrize(
    ("code", "spot", "quota"),
    [
        ("VcpuLimitExceeded", (), "L-DB2E81BA"),
        ("MaxSpotInstanceCountExceeded", ("--spot",), "L-3819A6DF"),
    ],
)
def test_a_quota_stops_it_with_need_have_and_where_to_ask(
    dl: Dl, aws: Account, cats: Path, code: str, spot: tuple[str, ...], quota: str
) -> None:
    aws.quotas[quota] = 8
    aws.refuse("RunInstances", code, "You have requested more vCPU capacity than your limit.")
    kind = "spot" if spot else "on-demand"
    refused(
        dl("aws", "up", "-y", *spot),
        f"{kind} G and VT instances: need 4 vCPUs, have 8 in all",
        f"https://us-east-1.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{quota}",
        "more vCPU capacity",
    )
    assert aws.calls.count("RunInstances") == 1


@pytest.mark.parametrize(
    ("words", "quota", "need"),
    [
        (("g5.xlarge",), "L-DB2E81BA", "on-demand G and VT instances: need 4 vCPUs, have 0"),
        (("g5.xlarge", "--spot"), "L-3819A6DF", "spot G and VT instances: need 4 vCPUs, have 0"),
        (("p4d.24xlarge",), "L-417A185B", "on-demand P instances: need 96 vCPUs, have 0"),
        (("p4d.24xlarge", "--spot"), "L-7212CCBC", "spot P instances: need 96 vCPUs, have 0"),
    ],
)
def test_a_new_accounts_quota_is_said_before_anything_is_made(
    dl: Dl, aws: Account, cats: Path, words: tuple[str, ...], quota: str, need: str
) -> None:
    aws.quotas[quota] = 0
    refused(dl("aws", "up", *words, "-y"), need, "New accounts start with 0. Request more", quota)
    assert aws.tagged() == {}


def test_a_quota_that_may_not_be_asked_stops_nothing(dl: Dl, aws: Account, cats: Path) -> None:
    aws.refuse("GetServiceQuota", "AccessDeniedException")
    ok(dl("aws", "up", "-y"))


def test_spot_zones_are_tried_from_the_cheapest_on(dl: Dl, aws: Account, cats: Path) -> None:
    aws.spot_prices = {"us-east-1c": "0.21", "us-east-1b": "0.25"}
    aws.refuse("RunInstances", "SpotMaxPriceTooLow")
    said = ok(dl("aws", "up", "--spot", "--max-price", "0.4", "-y")).stderr
    assert "in us-east-1c, else in us-east-1b, us-east-1a" in said
    assert "$0.210/h compute" in said
    assert "us-east-1c asks more than $0.400/h" in said
    (instance,) = aws.instances()
    assert instance["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert "$0.250/h compute" in ok(dl("aws", "up", "-y")).stderr


def test_a_spot_price_above_the_most_is_said_as_it_is_now(dl: Dl, aws: Account, cats: Path) -> None:
    aws.refuse("RunInstances", "SpotMaxPriceTooLow", "Your Spot request price is too low.", times=9)
    refused(
        dl("aws", "up", "--spot", "--max-price", "0.4", "-y"),
        "costs $0.310/h in us-east-1a now",
        "`max_price` is $0.400/h",
    )


@pytest.mark.parametrize(
    "code",
    [
        "RequestLimitExceeded",
        "InternalError",
        "Unavailable",
        "InvalidGroup.NotFound",
        "InvalidSubnetID.NotFound",
    ],
)
def test_where_ec2_is_too_busy_it_is_asked_again_with_the_same_token(
    dl: Dl, aws: Account, cats: Path, code: str
) -> None:
    tokens = []
    for _ in range(3):
        aws.refuse("RunInstances", code, where=lambda p: not tokens.append(p["ClientToken"]))
    ok(dl("aws", "up", "-y"))
    assert len(tokens) == 3
    assert len(set(tokens)) == 1
    assert len(aws.instances()) == 1


def test_where_ec2_stays_too_busy_it_says_to_wait(dl: Dl, aws: Account, cats: Path) -> None:
    aws.refuse("RunInstances", "RequestLimitExceeded", times=9)
    refused(dl("aws", "up", "-y"), "too busy", "it continues")


def test_a_token_that_was_used_for_another_order_is_replaced(
    dl: Dl, aws: Account, cats: Path
) -> None:
    aws.refuse("RunInstances", "IdempotentParameterMismatch")
    ok(dl("aws", "up", "-y"))
    assert len(aws.instances()) == 1


def test_a_key_that_was_just_removed_is_given_again(dl: Dl, aws: Account, cats: Path) -> None:
    aws.refuse("RunInstances", "InvalidKeyPair.NotFound")
    ok(dl("aws", "up", "-y"))
    assert aws.calls.count("ImportKeyPair") == 2
    assert len(aws.tagged()["keys"]) == 1


@pytest.mark.parametrize(
    ("operation", "code", "said"),
    [
        ("RunInstances", "UnauthorizedOperation", "does not allow you to call RunInstances"),
        ("CreateSecurityGroup", "UnauthorizedOperation", "allow you to call CreateSecurityGroup"),
        ("ImportKeyPair", "ExpiredToken", "session has expired"),
        ("DescribeInstances", "AuthFailure", "does not accept the credentials"),
        ("GetCallerIdentity", "InvalidClientTokenId", "does not accept the credentials"),
        ("DescribeInstanceTypes", "RequestLimitExceeded", "too busy"),
    ],
)
def test_a_call_that_is_refused_on_the_way_is_a_sentence_and_the_next_up_goes_on(
    dl: Dl, aws: Account, cats: Path, operation: str, code: str, said: str
) -> None:
    aws.refuse(operation, code)
    refused(dl("aws", "up", "-y"), said)
    ok(dl("aws", "up", "-y"))
    assert {kind: len(found) for kind, found in aws.tagged().items()} == {
        "instances": 1,
        "volumes": 1,
        "groups": 1,
        "keys": 1,
    }


def test_a_start_that_has_no_room_says_what_else_there_is(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    ok(dl("aws", "stop", "-y"))
    aws.refuse("StartInstances", "InsufficientInstanceCapacity", "We have none.")
    refused(dl("aws", "start", "-y"), "has no g6.xlarge free for cats", "dl aws resize")


def test_a_start_beyond_the_quota_says_need_have_and_where_to_ask(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ok(dl("aws", "up", "-y"))
    ok(dl("aws", "stop", "-y"))
    aws.quotas["L-DB2E81BA"] = 2
    aws.refuse("StartInstances", "VcpuLimitExceeded", "Too many.")
    refused(dl("aws", "start", "-y"), "need 4 vCPUs, have 2 in all", "servicequotas", "L-DB2E81BA")
    aws.refuse("StartInstances", "RequestLimitExceeded", times=2)
    ok(dl("aws", "start", "-y"))


def test_a_resize_beyond_the_quota_leaves_the_box_as_it_is(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ok(dl("aws", "up", "-y"))
    aws.quotas["L-DB2E81BA"] = 4
    words = "need 8 vCPUs, have 4 in all", "servicequotas", "L-DB2E81BA"
    refused(dl("aws", "resize", "g6.2xlarge", "-y"), *words)
    (instance,) = aws.instances()
    assert (instance["InstanceType"], instance["State"]["Name"]) == ("g6.xlarge", "running")


@pytest.mark.parametrize("code", ["VcpuLimitExceeded", "InsufficientInstanceCapacity"])
def test_a_resize_that_ends_in_a_refused_start_says_what_the_box_is_now_and_the_way_back(
    dl: Dl, aws: Account, cats: Path, code: str
) -> None:
    """Other boxes use the quota up, or the zone is full: EC2 says so at the start alone."""
    ok(dl("aws", "up", "-y"))
    aws.refuse("StartInstances", code, "Too many.")
    refused(
        dl("aws", "resize", "g6.2xlarge", "-y"),
        "cats is now a stopped g6.2xlarge",
        "`dl aws resize g6.xlarge -n cats`, then `dl aws start -n cats`",
    )
    ok(dl("aws", "resize", "g6.xlarge", "-y"))
    ok(dl("aws", "start", "-y"))
    (instance,) = aws.instances()
    assert (instance["InstanceType"], instance["State"]["Name"]) == ("g6.xlarge", "running")


def test_an_order_that_is_refused_for_good_is_forgotten(dl: Dl, aws: Account, cats: Path) -> None:
    journal = journal_file("us-east-1", "cats")
    for code, kept in (("VcpuLimitExceeded", False), ("InternalError", True)):
        aws.refuse("RunInstances", code, times=4)
        refused(dl("aws", "up", "-y"), "")
        aws._refusals.clear()
        assert journal.exists() == kept


def test_an_order_that_is_sent_again_says_so(dl: Dl, aws: Account, cats: Path) -> None:
    journal = journal_file("us-east-1", "cats")
    aws.refuse("RunInstances", "InternalError", times=4)
    refused(dl("aws", "up", "-y"), "too busy")
    first = Order(**read_yaml(journal))
    write_order("us-east-1", "cats", replace(first, sent=first.sent - 600, last_sent=0))
    aws.refuse("RunInstances", "InternalError", times=4)
    refused(dl("aws", "up", "-y"), "too busy")
    again = Order(**read_yaml(journal))
    assert (again.token, again.sent) == (first.token, first.sent - 600)
    assert again.last_sent > first.sent


def test_an_order_is_sent_again_as_it_was(dl: Dl, aws: Account, cats: Path) -> None:
    """EC2 may not list yet what an order made: its token alone keeps it from being made twice."""
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    token = next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "dl:token")
    params, _ = aws.ordered[token]
    assert params["ClientToken"] == token


def test_an_order_is_read_as_it_was_written(home: Path) -> None:
    order = Order("token", "wanted", {"ImageId": "ami-1", "Tags": [{"Key": "a"}]}, time.time())
    write_order("us-east-1", "cats", order)
    assert read_order("us-east-1", "cats") == order
    assert read_order("us-east-1", "dogs") is None
    write_order("us-east-1", "cats", replace(order, sent=time.time() - 25 * 3600))
    assert read_order("us-east-1", "cats") is None  # EC2 has forgotten its token
    journal_file("us-east-1", "cats").write_text("token: [")
    assert read_order("us-east-1", "cats") is None
