"""`dl aws up` and the life of a box after it, against a simulated account over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused

from dlcli.aws.boxes import Box
from dlcli.aws.order import journal_file, read_order

pytestmark = pytest.mark.slow


OURS = {"dl:managed": "yes", "dl:name": "cats"}


def tags_of(thing: dict) -> dict[str, str]:  # type: ignore[type-arg]
    found = thing.get("Tags") or thing.get("TagSet") or []
    return {tag["Key"]: tag["Value"] for tag in found}


def test_a_box_lives_from_up_to_down(dl: Dl, aws: Account, cats: Path, arrived: list[Box]) -> None:
    said = ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    assert said.stdout.split()[:2] == ["cats", "g6.xlarge"]
    assert (
        "$0.805/h compute + $0.005 IPv4 + $0.014 disk = $0.824/h; stopped $0.014/h" in said.stderr
    )
    assert "stops in 24 h, even if it is busy" in said.stderr
    assert [box.id for box in arrived] == [instance["InstanceId"]]
    again = ok(dl("aws", "up", "-y"))
    assert "cats exists:" in again.stderr
    assert "Plan" not in again.stderr
    ok(dl("aws", "stop", "-y"))
    assert aws.instances()[0]["State"]["Name"] == "stopped"
    assert "already" in ok(dl("aws", "stop", "-y")).stderr
    ok(dl("aws", "start", "-y"))
    assert aws.instances()[0]["State"]["Name"] == "running"
    ok(dl("aws", "stop", "-y"))
    assert "start cats" in ok(dl("aws", "up", "-y")).stderr
    (same,) = aws.instances()
    assert same["InstanceId"] == instance["InstanceId"]
    gone = ok(dl("aws", "down", "-y")).stderr
    assert "is gone. It cost $0.00 since its last start." in gone
    assert aws.tagged() == {}
    assert "There is no box" in ok(dl("aws", "down", "-y")).stderr
    refused(dl("aws", "stop", "-y"), "There is no box 'cats'")


def test_all_that_makes_a_box_safe_is_in_the_call_that_makes_it(
    dl: Dl, aws: Account, cats: Path
) -> None:
    aws.address = "198.51.100.9"
    ok(dl("aws", "up", "-y"))
    assert not {"CreateTags", "AllocateAddress"} & set(aws.calls)
    ec2 = aws.ec2()
    (instance,) = aws.instances()
    (volume,) = ec2.describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    )["Volumes"]
    tags = tags_of(instance)
    assert tags.items() >= OURS.items()
    assert tags["dl:owner"].startswith("arn:aws:")
    assert set(tags) >= {"dl:project", "dl:until", "dl:token"}
    assert tags_of(volume).items() >= OURS.items()
    assert (volume["Encrypted"], volume["VolumeType"], volume["Size"]) == (True, "gp3", 128)
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    shutdown = ec2.describe_instance_attribute(
        InstanceId=instance["InstanceId"], Attribute="instanceInitiatedShutdownBehavior"
    )
    assert shutdown["InstanceInitiatedShutdownBehavior"]["Value"] == "stop"
    (group,) = ec2.describe_security_groups(
        GroupIds=[each["GroupId"] for each in instance["NetworkInterfaces"][0]["Groups"]]
    )["SecurityGroups"]
    assert tags_of(group).items() >= OURS.items()
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"]) == (22, 22)
    assert [each["CidrIp"] for each in rule["IpRanges"]] == ["198.51.100.9/32"]
    assert rule["Ipv6Ranges"] == []
    (key,) = ec2.describe_key_pairs()["KeyPairs"]
    assert key["KeyName"] == instance["KeyName"]
    assert tags_of(key)["dl:managed"] == "yes"
    (file,) = (Path.home() / ".config" / "dl" / "ssh").glob("id_ed25519")
    assert file.stat().st_mode & 0o777 == 0o600
    assert ec2.describe_addresses()["Addresses"] == []


def test_the_first_boot_arms_its_end_and_holds_no_secret(dl: Dl, aws: Account, cats: Path) -> None:
    import base64

    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    answer = aws.ec2().describe_instance_attribute(
        InstanceId=instance["InstanceId"], Attribute="userData"
    )
    script = base64.b64decode(answer["UserData"]["Value"]).decode()
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert commands[0].startswith("shutdown -h +120")
    assert "testing" not in script
    assert "AWS_" not in script


def test_a_dry_run_changes_nothing(dl: Dl, aws: Account, cats: Path) -> None:
    said = ok(dl("aws", "up", "--dry-run"))
    assert "launch cats: g6.xlarge, on demand, 128 GB encrypted gp3" in said.stdout
    assert "$0.824/h" in said.stdout
    assert aws.tagged() == {}
    assert {call for call in aws.calls if not call.startswith(("Describe", "Get"))} == {
        "RegisterImage"
    }


def test_without_a_terminal_it_wants_a_yes(dl: Dl, aws: Account, cats: Path) -> None:
    refused(dl("aws", "up"), "Nothing was done", "--yes", exit_code=2)
    assert aws.tagged() == {}


def test_two_boxes_have_two_names_and_share_the_key(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    ok(dl("aws", "up", "-y", "-n", "dogs"))
    assert len(aws.instances()) == 2
    assert len(aws.tagged()["keys"]) == 1
    ok(dl("aws", "down", "-y"))
    assert len(aws.tagged()["keys"]) == 1
    (left,) = aws.instances()
    assert tags_of(left)["dl:name"] == "dogs"
    ok(dl("aws", "down", "-y", "-n", "dogs"))
    assert aws.tagged() == {}


def test_an_order_is_kept_until_the_box_is_ready(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def arrive(cloud: object, box: Box, *rest: object, **how: bool) -> None:
        seen.append(read_order(box.region, box.name))

    monkeypatch.setattr("dlcli.aws.reach.arrive", arrive)
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    assert seen[0] is not None
    assert seen[0].token == tags_of(instance)["dl:token"] == seen[0].request["ClientToken"]
    tagged = [each["ResourceType"] for each in seen[0].request["TagSpecifications"]]
    assert tagged == ["instance", "volume", "network-interface"]
    assert journal_file("us-east-1", "cats").is_file()
    ok(dl("aws", "down", "-y"))
    assert not journal_file("us-east-1", "cats").exists()


def test_from_a_second_laptop_all_but_ssh_works(
    dl: Dl, aws: Account, cats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    second = tmp_path / "second"
    (second / "cats" / ".git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(second))
    monkeypatch.chdir(second / "cats")
    listed = json.loads(ok(dl("aws", "ls", "--json")).stdout)
    assert [(box["name"], box["id"]) for box in listed] == [("cats", instance["InstanceId"])]
    ok(dl("aws", "stop", "-y"))
    ok(dl("aws", "start", "-y"))
    refused(dl("aws", "audit"), "1 finding in")
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}


def test_a_box_of_that_name_under_another_session_of_the_role_is_said(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "arn:aws:sts::123456789012:assumed-role/Student"
    for number, session in enumerate(("ada", "ada@home", "bob")):
        arn = f"{role if session != 'bob' else role + 's'}/{session}"
        monkeypatch.setattr("dlcli.aws.cloud.Cloud.owner", arn)
        said = ok(dl("aws", "up", "-y")).stderr
        assert ("Warning: cats (i-" in said) == (number == 1)
    assert f"owned by {role}/ada, and is running." not in said
