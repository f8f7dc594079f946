"""The network that `up` puts a box into, its zone, and whom it lets in."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused
from support.project import make_project


def test_a_changed_address_takes_the_place_of_the_old_one(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    aws.address = "192.0.2.55"
    assert "open port 22 to 192.0.2.55/32 only" in ok(dl("aws", "up", "-y")).stderr
    (group,) = aws.tagged()["groups"]
    (rule,) = aws.ec2().describe_security_groups(GroupIds=[group])["SecurityGroups"][0][
        "IpPermissions"
    ]
    assert [each["CidrIp"] for each in rule["IpRanges"]] == ["192.0.2.55/32"]


def test_ingress_overrides_the_address_of_this_machine(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline() -> str:
        raise AssertionError("asked for")

    monkeypatch.setattr("dlcli.aws.vpc.my_address", offline)
    ok(dl("aws", "up", "-y", "--ingress", "203.0.113.0/28,2001:db8::/64"))
    (group,) = aws.tagged()["groups"]
    rules = aws.ec2().describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    ranges = [each for rule in rules["IpPermissions"] for each in rule["IpRanges"]]
    assert [each["CidrIp"] for each in ranges] == ["203.0.113.0/28"]
    six = [each for rule in rules["IpPermissions"] for each in rule["Ipv6Ranges"]]
    assert [each["CidrIpv6"] for each in six] == ["2001:db8::/64"]


def test_a_rule_that_somebody_else_made_stays_and_is_said(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    (group,) = aws.tagged()["groups"]
    aws.ec2().authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    assert "also lets 0.0.0.0/0 in" in ok(dl("aws", "up", "-y")).stderr


def test_without_a_default_network_one_is_made_and_removed_again(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ec2 = aws.ec2()
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    assert "make a network" in ok(dl("aws", "up", "-y")).stderr
    (network,) = aws.tagged()["networks"]
    (instance,) = aws.instances()
    assert instance["VpcId"] == network
    assert instance["PublicIpAddress"]
    routes = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [network]}])
    gateways = [r.get("GatewayId", "") for r in routes["RouteTables"][0]["Routes"]]
    assert any(each.startswith("igw-") for each in gateways)
    ok(dl("aws", "up", "-y", "-n", "dogs"))
    assert aws.tagged()["networks"] == [network]
    ok(dl("aws", "down", "-y"))
    assert aws.tagged()["networks"] == [network]
    ok(dl("aws", "down", "-y", "-n", "dogs"))
    assert aws.tagged() == {}
    assert ec2.describe_internet_gateways()["InternetGateways"] == []


def test_its_own_network_grows_by_the_zones_that_are_wanted(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ec2 = aws.ec2()
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
    ok(dl("aws", "up", "-y", "--az", "us-east-1a"))
    ok(dl("aws", "up", "-y", "--az", "us-east-1b", "-n", "dogs"))
    zones = [each["Placement"]["AvailabilityZone"] for each in aws.instances()]
    assert sorted(zones) == ["us-east-1a", "us-east-1b"]
    assert len({each["VpcId"] for each in aws.instances()}) == 1


def test_a_network_of_ones_own_is_used(dl: Dl, aws: Account, cats: Path) -> None:
    ec2 = aws.ec2()
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    make_project(cats, f"aws:\n  vpc: {vpc}\n")
    refused(dl("aws", "up", "-y"), f"{vpc} has no subnet")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1b")[
        "Subnet"
    ]["SubnetId"]
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    assert instance["SubnetId"] == subnet
    ok(dl("aws", "down", "-y"))
    assert len(ec2.describe_vpcs()["Vpcs"]) == 2


def test_the_zone_can_be_named(dl: Dl, aws: Account, cats: Path) -> None:
    refused(
        dl("aws", "up", "-y", "--az", "us-east-1z"), "A g6.xlarge cannot be rented in us-east-1z"
    )
    ok(dl("aws", "up", "-y", "--az", "us-east-1b"))
    assert aws.instances()[0]["Placement"]["AvailabilityZone"] == "us-east-1b"
