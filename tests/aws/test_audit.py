"""What an audit finds beside what `dl` made: machines of others, and ways in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused

from dlcli.aws.vpc import Rule


def findings(dl: Dl) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(dl("aws", "audit", "--json").stdout)
    return found


def let_in(aws: Account, group: str, *ports: int, who: str = "0.0.0.0/0") -> None:
    for port in ports:
        aws.ec2().authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp=who
        )


def test_a_machine_that_dl_did_not_make_is_found_and_left_alone(dl: Dl, aws: Account) -> None:
    made = aws.ec2().run_instances(
        ImageId="ami-1",
        InstanceType="g5.xlarge",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "old"}]}],
    )["Instances"][0]["InstanceId"]
    said = refused(dl("aws", "audit"), "1 finding in us-east-1")
    assert "g5.xlarge, running, up 0 s, not made by dl" in said.stdout
    (found,) = findings(dl)
    assert (found["kind"], found["id"], found["name"]) == ("instance", made, "old")
    assert found["usd_per_hour"] == pytest.approx(1.006 + 0.005 + 8 * 0.08 / 730, abs=1e-4)
    refused(dl("aws", "audit", "--fix", "-y"), "`--fix` cannot remove any of this")
    assert [each["InstanceId"] for each in aws.instances()] == [made]


def test_a_box_costs_in_an_audit_what_it_costs_in_the_list(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ok(dl("aws", "up", "-y"))
    aws.ec2().create_volume(AvailabilityZone="us-east-1a", Size=730, VolumeType="gp3")
    said = refused(dl("aws", "audit"), "2 findings")
    assert "$0.824" in said.stdout
    box, disk = findings(dl)
    (listed,) = json.loads(ok(dl("aws", "ls", "--json")).stdout)
    assert box["usd_per_hour"] == listed["usd_per_hour"]
    assert disk["usd_per_hour"] == pytest.approx(0.08)
    ok(dl("aws", "stop", "-y"))
    assert findings(dl)[0]["usd_per_hour"] == listed["usd_per_hour_stopped"]


def test_the_world_is_let_out_of_a_boxs_group_and_a_colleague_is_said(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ok(dl("aws", "up", "-y"))
    (group,) = aws.tagged()["groups"]
    let_in(aws, group, 22, 8888)
    let_in(aws, group, 22, who="198.51.100.5/32")
    said = refused(dl("aws", "audit"), "4 findings", "next: `dl aws audit --fix`").stdout
    assert "lets 0.0.0.0/0 in to port 22, not made by dl" in said
    assert "lets 0.0.0.0/0 in to port 8888" in said
    assert "lets 198.51.100.5/32 in to port 22" in said
    refused(dl("aws", "audit", "--fix", "-y"), "Removed rule sgr-", "2 findings")
    rules = aws.ec2().describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    left = {r["CidrIp"] for each in rules["IpPermissions"] for r in each["IpRanges"]}
    assert left == {f"{aws.address}/32", "198.51.100.5/32"}
    assert len(aws.instances()) == 1


def test_anothers_group_that_is_open_to_the_world_counts_where_a_machine_is_in_it(
    dl: Dl, aws: Account
) -> None:
    group = aws.ec2().create_security_group(GroupName="web", Description="web")["GroupId"]
    let_in(aws, group, 443)
    ok(dl("aws", "audit"))
    made = aws.ec2().run_instances(
        ImageId="ami-1", MinCount=1, MaxCount=1, SecurityGroupIds=[group]
    )["Instances"][0]["InstanceId"]
    said = refused(dl("aws", "audit"), "2 findings").stdout
    assert f"lets 0.0.0.0/0 in to port 443 of {made}; not made by dl" in said


@pytest.mark.parametrize(
    ("rule", "wide", "words"),
    [
        (("0.0.0.0/0", "-1", -1, -1), True, "lets 0.0.0.0/0 in to all ports"),
        (("0.0.0.0/1", "tcp", 22, 22), True, "lets 0.0.0.0/1 in to port 22"),
        (("10.0.0.0/8", "tcp", 8000, 8010), False, "lets 10.0.0.0/8 in to ports 8000-8010"),
        (("::/0", "udp", 53, 53), True, "lets ::/0 in to udp port 53"),
        (("0.0.0.0/0", "icmp", 8, -1), True, "lets 0.0.0.0/0 in to icmp"),
        (("sg-1", "tcp", 22, 22), False, "lets sg-1 in to port 22"),
    ],
)
def test_a_rule_says_who_is_let_in_where(
    rule: tuple[str, str, int, int], wide: bool, words: str
) -> None:
    found = Rule("sgr-1", *rule)
    assert (found.is_wide, str(found), found.is_ours) == (wide, words, False)
