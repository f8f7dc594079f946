"""Commands that messages name mean the box, region and profile that they were said about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, Result, ok, refused
from support.project import make_project

from dlcli.aws.boxes import Box
from dlcli.aws.cloud import Cloud, Usual, open_cloud
from dlcli.aws.keys import own_key
from dlcli.aws.reach import host_of
from dlcli.aws.system_ssh import Host
from dlcli.settings.aws import Aws

REGION = "us-west-2"
ABOUT_A_BOX = {
    *("up", "start", "stop", "down", "ssh", "tmux", "put", "get", "forward", "extend", "resize"),
}


@pytest.fixture
def there(aws: Account, cats: Path) -> Account:
    """The account, whose box is to be in another region than the usual one."""
    aws.image = aws.seed_image(REGION)
    return aws


def named(result: Result) -> set[str]:
    """The subcommands that a message names, each of which has to mean the box in that region."""
    found = re.findall(r"`(dl aws [^`]*)`", result.stderr)
    for command in found:
        assert f"--region {REGION}" in command, command
        if command.split()[2] in ABOUT_A_BOX:
            assert "-n cats" in command or "-n OTHER" in command, command
    return {command.split()[2] for command in found}


def test_what_to_type_next_means_the_box_that_it_is_about(dl: Dl, there: Account) -> None:
    where = "--region", REGION
    assert named(ok(dl("aws", "up", "-y", *where))) >= {"put", "ssh", "down"}
    assert named(refused(dl("aws", "up", "g5.xlarge", "-y", *where), "is a g6.xlarge")) >= {
        "resize",
        "up",
    }
    assert named(refused(dl("aws", "start", "-y", "--max-hours", "3", *where), exit_code=2)) == {
        "extend"
    }
    assert named(ok(dl("aws", "stop", "-y", *where))) == {"start", "down"}
    for words in (["ssh"], ["get", "runs"], ["forward"], ["extend", "2h"]):
        assert named(refused(dl("aws", *words, *where))) == {"start"}, words
    there.refuse("StartInstances", "InsufficientInstanceCapacity", "We have none.")
    assert named(refused(dl("aws", "start", "-y", *where), "free for cats")) == {"resize"}
    assert named(ok(dl("aws", "resize", "g5.xlarge", "-y", *where))) == {"start"}
    ok(dl("aws", "start", "-y", *where))
    there.refuse("StartInstances", "InsufficientInstanceCapacity", "We have none.")
    assert named(refused(dl("aws", "resize", "g6.xlarge", "-y", *where))) == {"resize", "start"}


def test_what_to_type_about_a_spot_box_means_it(dl: Dl, there: Account) -> None:
    where = "--region", REGION
    ok(dl("aws", "up", "--spot", "-y", *where))
    assert named(refused(dl("aws", "stop", "-y", *where), "spot box")) == {"get", "down"}
    assert named(refused(dl("aws", "resize", "g5.xlarge", "-y", *where))) == {"down", "up"}


def test_an_audit_of_all_regions_says_how_to_end_what_it_found(dl: Dl, there: Account) -> None:
    ok(dl("aws", "up", "-y", "--region", REGION))
    assert named(refused(dl("aws", "audit", "--all-regions"), "1 finding")) == {"down"}


@pytest.mark.parametrize(
    ("before", "command", "advised", "then"),
    [
        ((), "aws ssh", "dl aws up -n cats -y", "aws ssh"),
        (
            ("aws up -y",),
            "aws up g5.xlarge",
            "dl aws resize g5.xlarge -n cats -y",
            "aws up g5.xlarge -y",
        ),
        (("aws up -y", "aws stop -y"), "aws ssh", "dl aws start -n cats -y", "aws ssh"),
        (
            ("aws up --spot -y",),
            "aws resize g5.xlarge",
            "dl aws down -n cats -y",
            "aws up g5.xlarge --spot -y",
        ),
        (
            ("config set aws.ssh_key ~/none.pem",),
            "aws up",
            "dl config set aws.ssh_key none",
            "aws up -y",
        ),
    ],
)
def test_a_hint_that_is_followed_leads_on(
    dl: Dl,
    aws: Account,
    cats: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[str, ...],
    command: str,
    advised: str,
    then: str,
) -> None:
    def reached(cloud: Cloud, box: Box, settings: Aws, *, trust: bool) -> Host:
        return host_of(cloud, box, own_key(settings.ssh_key))

    monkeypatch.setattr("dlcli.aws.reach.reach", reached)
    monkeypatch.setattr("dlcli.aws.system_ssh.interactive", lambda argv: 0)
    for each in before:
        ok(dl(*each.split()))
    refused(dl(*command.split()), f"`{advised.removesuffix(' -y')}`")
    ok(dl(*advised.split()[1:]))
    ok(dl(*then.split()))


def test_where_the_region_is_the_usual_one_it_need_not_be_typed(
    dl: Dl, aws: Account, cats: Path
) -> None:
    make_project(cats, "aws:\n  region: us-east-1\n")
    for words in ((), ("--region", "us-east-1")):
        assert "`dl aws ssh -n cats`" in ok(dl("aws", "up", "-y", *words)).stderr


def test_a_file_of_settings_that_was_typed_is_no_usual_one(
    dl: Dl, there: Account, cats: Path
) -> None:
    (cats / "other.yaml").write_text(f"aws:\n  region: {REGION}\n")
    said = ok(dl("aws", "up", "-y", "--config", cats / "other.yaml"))
    assert named(said) >= {"ssh"}


def test_a_profile_that_was_typed_is_typed_again(
    aws: Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        '[profile course]\nregion = eu-west-1\n[profile "my own"]\nregion = us-west-2\n'
    )
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    course, own = Aws(profile="course"), Aws(profile="my own")
    assert open_cloud(course, usual=course).named("cats").options == " -n cats"
    assert open_cloud(own, usual=course).named("cats").options == (
        " -n cats --region us-west-2 --profile 'my own'"
    )
    # without a profile no region is known, so it has to be typed too
    assert open_cloud(course, usual=Aws()).options == " --region eu-west-1 --profile course"
    cloud = Cloud("course", "eu-central-1", Usual("course", None))
    assert cloud.options == " --region eu-central-1"
    assert cloud.at("eu-west-1").options == ""
    assert Cloud(None, "eu-west-1", Usual("gone", None)).options == " --region eu-west-1"
