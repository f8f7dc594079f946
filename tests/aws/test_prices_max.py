"""`max_price` holds wherever a machine begins to cost, and is said before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused
from support.project import make_project


def test_a_limit_that_can_not_be_checked_is_refused_with_the_reason(
    dl: Dl, aws: Account, cats: Path
) -> None:
    aws.prices.clear()
    refused(
        dl("aws", "up", "--max-price", "5", "-y"),
        "The price of a g6.xlarge is not known, so `max_price` cannot be checked",
        "`--max-price none`",
    )
    refused(dl("aws", "up", "--max-price", "5", "--dry-run"), "is not known")
    assert aws.tagged() == {}
    ok(dl("aws", "up", "--max-price", "none", "-y"))


def test_a_stopped_box_is_not_started_above_it(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    ok(dl("aws", "stop", "-y"))
    make_project(cats, "aws:\n  max_price: 0.5\n")
    for words in (("up", "-y"), ("up", "--dry-run"), ("start", "-y")):
        refused(dl("aws", *words), "g6.xlarge costs $0.805/h", "`max_price` is $0.500/h")
        assert aws.instances()[0]["State"]["Name"] == "stopped"
    ok(dl("aws", "start", "-y", "--max-price", "1"))


def test_a_box_does_not_become_a_type_above_it(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    words = "g5.xlarge costs $1.006/h", "`max_price` is $0.900/h"
    refused(dl("aws", "resize", "g5.xlarge", "-y", "--max-price", "0.9"), *words)
    (instance,) = aws.instances()
    assert (instance["InstanceType"], instance["State"]["Name"]) == ("g6.xlarge", "running")


def test_a_box_that_runs_above_it_is_said(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    said = ok(dl("aws", "up", "-y", "--max-price", "0.5")).stderr
    assert "Warning: g6.xlarge costs $0.805/h, and `max_price` is $0.500/h." in said


@pytest.mark.parametrize("how", ["--dry-run", "-y"])
def test_a_spot_price_above_it_is_said_before_a_zone_is_tried(
    dl: Dl, aws: Account, cats: Path, how: str
) -> None:
    refused(
        dl("aws", "up", "--spot", "--max-price", "0.2", how),
        "A spot g6.xlarge costs $0.310/h in us-east-1a now",
        "`max_price` is $0.200/h",
    )
    assert "RunInstances" not in aws.calls


def test_spot_zones_above_it_are_not_tried(dl: Dl, aws: Account, cats: Path) -> None:
    aws.spot_prices = {"us-east-1c": "0.21", "us-east-1b": "0.25"}
    said = ok(dl("aws", "up", "--spot", "--max-price", "0.3", "--dry-run")).stdout
    assert "in us-east-1c, else in us-east-1b\n" in said
    refused(
        dl("aws", "up", "--spot", "--max-price", "0.3", "--az", "us-east-1a", "-y"),
        "A spot g6.xlarge costs $0.310/h in us-east-1a now",
    )
