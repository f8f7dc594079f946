"""`dl aws up` and the life of a box after it, against a simulated account over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulator import Account
from typed import Dl, ok, refused

from dlcli.aws.boxes import Box, tags_for
from dlcli.aws.cloud import Cloud
from dlcli.aws.launch_journal import journal_file, read_order

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
    assert "stops in 24 h whatever it does" in said.stderr
    assert [box.id for box in arrived] == [instance["InstanceId"]]
    again = ok(dl("aws", "up", "-y"))
    assert "is there" in again.stderr
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
    assert "is gone. It cost $0.00 since it was started." in gone
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


def test_a_changed_address_takes_the_place_of_the_old_one(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    aws.address = "192.0.2.55"
    assert "open port 22 to 192.0.2.55/32 alone" in ok(dl("aws", "up", "-y")).stderr
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

    monkeypatch.setattr("dlcli.aws.network.my_address", offline)
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
    assert "lets 0.0.0.0/0 in too" in ok(dl("aws", "up", "-y")).stderr


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


def test_another_type_on_a_box_that_is_there_names_resize(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    refused(dl("aws", "up", "g5.xlarge", "-y"), "is a g6.xlarge", "dl aws resize g5.xlarge -n cats")
    ok(dl("aws", "resize", "g5.xlarge", "-y"))
    (instance,) = aws.instances()
    assert (instance["InstanceType"], instance["State"]["Name"]) == ("g5.xlarge", "running")
    assert "already" in ok(dl("aws", "resize", "g5.xlarge", "-y")).stderr
    ok(dl("aws", "stop", "-y"))
    assert "dl aws start" in ok(dl("aws", "resize", "g6.xlarge", "-y")).stderr
    refused(dl("aws", "resize", "p2.xlarge", "-y"), "p2.xlarge (K80) is no longer offered")
    refused(dl("aws", "resize", "g5g.xlarge", "-y"), "")


def test_a_type_that_is_gone_is_answered_with_the_nearest(dl: Dl, aws: Account, cats: Path) -> None:
    words = "p2.xlarge (K80) is no longer offered", "g4dn.xlarge, T4 16 GB, $0.526/h"
    refused(dl("aws", "up", "p2.xlarge"), *words, "--substitute")
    refused(dl("aws", "up", "p2.xlarge", "--yes"), *words)
    assert aws.tagged() == {}
    ok(dl("aws", "up", "p2.xlarge", "--yes", "--substitute"))
    (instance,) = aws.instances()
    assert instance["InstanceType"] == "g4dn.xlarge"


def test_a_slip_in_a_type_names_the_nearest(dl: Dl, aws: Account, cats: Path) -> None:
    refused(dl("aws", "up", "g6.xlarg", "-y"), "g6.xlarg is not offered", "g6.xlarge, L4")


def test_a_spot_box_is_rented_once_and_can_not_be_stopped(dl: Dl, aws: Account, cats: Path) -> None:
    said = ok(dl("aws", "up", "--spot", "--max-price", "0.4", "-y"))
    assert "$0.310/h compute" in said.stderr
    assert "It ends, disk and all," in said.stderr
    (instance,) = aws.instances()
    assert instance["InstanceLifecycle"] == "spot"
    refused(dl("aws", "stop", "-y"), "spot box, which can't be stopped", "dl aws get")
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}


def test_a_price_above_the_most_is_refused(dl: Dl, aws: Account, cats: Path) -> None:
    refused(
        dl("aws", "up", "--max-price", "0.5", "-y"), "costs $0.805/h", "`max_price` is $0.500/h"
    )


def test_a_price_that_is_not_known_is_no_zero(dl: Dl, aws: Account, cats: Path) -> None:
    aws.prices.clear()
    aws.refuse("GetProducts", "AccessDeniedException", times=9)
    said = ok(dl("aws", "up", "--dry-run")).stdout
    assert "$?/h compute + $0.005 IPv4 + $? disk = $?/h; stopped $?/h" in said


def test_a_disk_smaller_than_the_image_is_refused(dl: Dl, aws: Account, cats: Path) -> None:
    refused(dl("aws", "up", "--disk", "10", "-y"), "10 GB is too small", "15 GB", "--disk 45")


def test_a_script_that_is_not_there_is_said_first(dl: Dl, aws: Account, cats: Path) -> None:
    (cats / "dl.yaml").write_text("aws:\n  bootstrap: setup.sh\n")
    refused(dl("aws", "up", "-y"), "setup.sh")
    assert aws.tagged() == {}


def test_a_bad_name_is_refused(dl: Dl, aws: Account, cats: Path) -> None:
    refused(dl("aws", "up", "-n", "two words"), "can't be called", exit_code=2)


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
    (cats / "dl.yaml").write_text(f"aws:\n  vpc: {vpc}\n")
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
    refused(dl("aws", "up", "-y", "--az", "us-east-1z"), "us-east-1z can't have a g6.xlarge")
    ok(dl("aws", "up", "-y", "--az", "us-east-1b"))
    assert aws.instances()[0]["Placement"]["AvailabilityZone"] == "us-east-1b"


def test_an_order_is_kept_until_the_box_is_ready(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def arrive(cloud: object, box: Box, *rest: object, **how: bool) -> None:
        seen.append(read_order(box.region, box.name))

    monkeypatch.setattr("dlcli.aws.arriving.arrive", arrive)
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
    assert f"is running already, of {role}/ada." not in said


def test_down_takes_a_box_that_ec2_has_forgotten_for_gone(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("aws", "up", "-y"))
    aws.refuse(
        "DescribeInstances",
        "InvalidInstanceID.NotFound",
        where=lambda params: "InstanceId" in params,
    )
    monkeypatch.setattr("dlcli.aws.removal.MOST_SECONDS", 0)
    ok(dl("aws", "down", "-y"))
    assert aws.tagged() == {}


def test_a_disk_that_is_being_deleted_is_gone_and_what_lingers_is_waited_for(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.aws.removal.POLL_SECONDS", 0.01)
    tags = tags_for("cats", Cloud(None, "us-east-1").owner, "cats")
    for code, deleting in (("IncorrectState", False), ("InvalidParameterValue", True)):
        aws.ec2().create_volume(
            AvailabilityZone="us-east-1a",
            Size=8,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )
        if deleting:
            monkeypatch.setattr("moto.ec2.models.elastic_block_store.Volume.status", "deleting")
        aws.refuse("DeleteVolume", code)
        ok(dl("aws", "down", "-y"))
        assert deleting or aws.tagged() == {}


def test_what_is_left_of_a_box_is_named(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.aws.removal.RELEASE_SECONDS", 0.0)
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in instance["Tags"]]
    made = aws.ec2().create_network_interface(
        SubnetId=instance["SubnetId"],
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}],
    )["NetworkInterface"]["NetworkInterfaceId"]
    refused(dl("aws", "down", "-y"), f"network interface {made}", "again in a minute")
