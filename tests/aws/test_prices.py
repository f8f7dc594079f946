"""Types and prices: `dl aws types`, what a box costs, and what is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok
from support.terminal import at_terminal

from dlcli.aws.boxes import Box
from dlcli.aws.cloud import Cloud
from dlcli.aws.instance_types import RETIRED, GpuType, describe, gpu_types, nearest
from dlcli.aws.prices import Cost, dollars, hourly, list_prices, since

pytestmark = pytest.mark.slow


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOX = Box(
    id="i-1",
    name="cats",
    owner="arn",
    project="cats",
    state="running",
    type="g6.xlarge",
    region="us-east-1",
    zone="us-east-1a",
    launched=NOON,
    made=NOON - timedelta(days=10),
)


def test_types_are_listed_with_what_they_cost_the_cheapest_first(dl: Dl, aws: Account) -> None:
    lines = ok(dl("aws", "types")).stdout.splitlines()
    assert lines[0].split() == ["type", "GPU", "vCPU", "GiB", "$/h", "spot", "zones"]
    first = " ".join(lines[1].split())
    assert first == "g4dn.xlarge T4 16 GB 4 16 $0.526 $0.310 a, b, c, d, f"
    names = [line.split()[0] for line in lines[1:]]
    assert names[:3] == ["g4dn.xlarge", "g4dn.2xlarge", "g6.xlarge"]
    assert not {"p2.xlarge", "g4ad.xlarge", "t3.micro", "g4dn.metal"} & set(names)
    assert "$?" in ok(dl("aws", "types")).stdout


@pytest.mark.parametrize("asked", ["1" + "0" * 400, "-1", "null", "[]"])
def test_a_damaged_record_of_prices_is_asked_for_again(
    dl: Dl, aws: Account, home: Path, asked: str
) -> None:
    ok(dl("aws", "types"))
    (kept,) = (home / ".cache" / "dl" / "aws").glob("prices-*.json")
    kept.write_text(f'{{"asked": {asked}, "prices": {{"": 0.0, "g6.xlarge": 9.0}}}}')
    listed = ok(dl("aws", "types")).stdout
    assert "$9.000" not in listed
    assert "$0.526" in listed


def test_types_that_cost_more_are_left_out(dl: Dl, aws: Account) -> None:
    aws.spot_price = "0.9"
    said = ok(dl("aws", "types", "--max-price", "0.6"))
    assert [line.split()[0] for line in said.stdout.splitlines()] == ["type", "g4dn.xlarge"]
    assert "1 type in us-east-1 at $0.600/h or less" in said.stderr


def test_another_region_has_its_own(dl: Dl, aws: Account) -> None:
    said = ok(dl("aws", "types", "--region", "eu-west-1"))
    assert "types in eu-west-1" in said.stderr
    assert "$?" in said.stdout


def test_a_type_is_described_with_its_gpu_and_zones(aws: Account) -> None:
    found = describe(Cloud(None, "us-east-1").ec2, ["g4dn.xlarge", "g9.xlarge", "t3.micro"])
    assert set(found) == {"g4dn.xlarge", "t3.micro"}
    assert found["g4dn.xlarge"].gpu_words == "T4 16 GB"
    assert found["t3.micro"].gpu_words == "no GPU"
    assert "us-east-1a" in found["g4dn.xlarge"].zones


@pytest.mark.parametrize("gone", RETIRED)
def test_each_type_that_is_gone_has_a_successor_at_least_as_large(aws: Account, gone: str) -> None:
    cloud = Cloud(None, "us-east-1")
    found = nearest(gone, gpu_types(cloud.ec2), list_prices(cloud))
    assert found is not None
    assert found.gpu_gib >= RETIRED[gone].gpu_gib
    assert found.gpus >= min(RETIRED[gone].gpus, 8)


def test_where_nothing_fits_there_is_no_nearest() -> None:
    assert nearest("p2.xlarge", [], {}) is None
    assert nearest("p2.xlarge", [GpuType("g5g.xlarge", 4, 8, 1, "T4g", 16, "arm64")], {}) is None


def test_a_cost_says_what_it_is_made_of(aws: Account) -> None:
    cost = hourly(Cloud(None, "us-east-1"), "g6.xlarge", 128, False)
    assert str(cost) == (
        "$0.805/h compute + $0.005 IPv4 + $0.014 disk = $0.824/h; stopped $0.014/h"
    )


def test_prices_are_asked_once_a_day(aws: Account) -> None:
    cloud = Cloud(None, "us-east-1")
    for _ in range(3):
        assert list_prices(cloud, ["g6.xlarge"]) == {"g6.xlarge": 0.8048}
    assert aws.calls.count("GetProducts") == 1


def test_what_a_box_cost_is_since_its_start_and_of_a_stopped_one_its_disk() -> None:
    cost = Cost(0.8, 0.01)
    assert since(BOX, cost, NOON + timedelta(hours=10)) == pytest.approx(8.15)
    stopped = replace(BOX, state="stopped")
    assert since(stopped, cost, NOON) == pytest.approx(2.4)
    assert since(BOX, Cost(None, 0.01), NOON) is None
    assert since(stopped, Cost(0.8, None), NOON) is None


def test_an_amount_that_is_not_known_is_no_zero() -> None:
    assert dollars(None) == "$?"
    assert dollars(1234.5678, 2) == "$1,234.57"


def test_prices_that_may_not_be_asked_are_said_to_be_so_once_and_hide_no_types(
    dl: Dl, aws: Account
) -> None:
    aws.refuse("GetProducts", "AccessDeniedException", "You may not.", times=9)
    aws.refuse("DescribeSpotPriceHistory", "UnauthorizedOperation", "You may not.", times=9)
    said = ok(dl("aws", "types"))
    assert "g6.xlarge" in said.stdout
    assert said.stderr.count("List prices are not known and shown as $?") == 1
    assert (
        "AWS does not allow you to call GetProducts: You may not (AccessDeniedException)"
        in said.stderr
    )
    assert said.stderr.count("Spot prices are not known") == 1
    said = ok(dl("aws", "up", "--dry-run"))
    assert said.stderr.count("are not known") == 1
    aws.refuse("DescribeSpotPriceHistory", "UnauthorizedOperation", "You may not.", times=9)
    assert "$?/h compute" in ok(dl("aws", "up", "--spot", "--dry-run")).stdout


def test_types_are_json_too(dl: Dl, aws: Account) -> None:
    found = json.loads(ok(dl("aws", "types", "--json")).stdout)
    assert found[0] == {
        "type": "g4dn.xlarge",
        "gpus": 1,
        "gpu": "T4",
        "gpu_gib": 16.0,
        "vcpus": 4,
        "memory_gib": 16.0,
        "arch": "x86_64",
        "zones": [f"us-east-1{letter}" for letter in "abcdf"],
        "usd_per_hour": 0.526,
        "usd_per_hour_spot": 0.31,
    }
    assert json.loads(ok(dl("aws", "types", "--json", "--max-price", "0.1")).stdout) == []


def test_where_nothing_is_that_cheap_the_cheapest_is_named(dl: Dl, aws: Account) -> None:
    aws.spot_price = "0.9"
    said = ok(dl("aws", "types", "--max-price", "0.1"))
    assert said.stdout == ""
    assert (
        "No type in us-east-1 costs $0.100/h or less, on demand or spot; the cheapest is "
        "g4dn.xlarge: $0.526/h, spot $0.900/h"
    ) in said.stderr
    assert "dl aws up TYPE" not in said.stderr


def test_the_table_of_types_fits_a_terminal_of_80_columns(aws: Account) -> None:
    lines = at_terminal("-m", "dlcli", "aws", "types").splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(("type", "g", "p")) for line in lines[:20])
