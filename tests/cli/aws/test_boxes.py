"""`dl aws start`, `stop`, `down`, `resize`, `up` on boxes that are there, or aren't."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused

pytestmark = pytest.mark.slow


def test_down_on_a_slip_says_that_nothing_ended_and_what_there_is(
    dl: Dl, aws: Account, cats: Path
) -> None:
    ok(dl("aws", "up", "-y", "-n", "dogs"))
    said = ok(dl("aws", "down", "-y", "-n", "dogz")).stderr
    assert "There is no box 'dogz' in us-east-1, so there is nothing to end." in said
    assert "Other regions were not checked" in said
    assert "`dl aws ls --all-regions`. Did you mean `dogs`?" in said
    assert "Known: dogs." in ok(dl("aws", "down", "-y")).stderr  # in another folder
    assert "Nothing of" not in said
    assert len(aws.instances()) == 1


def test_down_in_another_region_says_where_it_looked(dl: Dl, aws: Account, cats: Path) -> None:
    aws.image = aws.seed_image("us-west-2")
    ok(dl("aws", "up", "-y", "--region", "us-west-2"))
    said = ok(dl("aws", "down", "-y")).stderr
    assert "There is no box 'cats' in us-east-1" in said
    assert (
        "Other regions were not checked. List all your boxes with `dl aws ls --all-regions`" in said
    )
    assert len(aws.instances("us-west-2")) == 1


def test_a_dry_run_refuses_what_up_refuses(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    for option in (("--idle", "1h"), ("--disk", "500")):
        for how in ("-y", "--dry-run"):
            refused(dl("aws", "up", *option, how), f"`{option[0]} {option[1]}` has no", exit_code=2)
    for how in ("-y", "--dry-run"):
        refused(
            dl("aws", "up", "--az", "us-east-1b", how), "cats is in us-east-1a, not in us-east-1b"
        )
    ok(dl("aws", "up", "--az", "us-east-1a", "-y"))


def test_a_dry_run_makes_no_key(dl: Dl, aws: Account, home: Path, cats: Path) -> None:
    said = ok(dl("aws", "up", "--dry-run")).stdout
    assert "make an ssh key for this computer, and upload its public half to EC2" in said
    assert not (home / ".config").exists()
    ok(dl("aws", "up", "-y"))
    said = ok(dl("aws", "up", "--dry-run", "-n", "dogs")).stdout
    assert "ssh key" not in said


def test_a_zone_may_be_its_letter(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y", "--az", "b"))
    assert aws.instances()[0]["Placement"]["AvailabilityZone"] == "us-east-1b"


def test_a_spot_box_ends_and_does_not_stop(dl: Dl, aws: Account, cats: Path) -> None:
    said = ok(dl("aws", "up", "--spot", "-y")).stderr
    assert "cats is running: $0.329/h; ends and loses its disk in 24 h, even if it is busy" in said
    assert "stops in" not in said


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("p2.xlarge", "p2.xlarge (K80) is no longer offered. Nearest: g4dn.xlarge"),
        ("g4dn.xlarg", "g4dn.xlarg is not offered in us-east-1. Nearest: g4dn.xlarge"),
    ],
)
def test_a_type_that_is_not_offered_is_not_named_for_a_box(
    dl: Dl, aws: Account, cats: Path, typed: str, said: str
) -> None:
    ok(dl("aws", "up", "-y"))
    for command in ("up", "resize"):
        result = refused(dl("aws", command, typed, "-y"), said, "cats is a g6.xlarge")
        assert "`dl aws resize g4dn.xlarge -n cats`" in result.stderr
        assert f"resize {typed}`" not in result.stderr
        assert f"resize {typed} " not in result.stderr


@pytest.mark.parametrize(
    ("typed", "near"), [("g6", "g6.xlarge"), ("G6.XLARGE", "g6.xlarge"), ("p4", "p4d.24xlarge")]
)
def test_a_family_or_capitals_are_understood(
    dl: Dl, aws: Account, cats: Path, typed: str, near: str
) -> None:
    refused(dl("aws", "up", typed, "-y"), f"{typed} is not offered", f"Nearest: {near}, ")


def test_a_type_without_a_gpu_is_said(dl: Dl, aws: Account, cats: Path) -> None:
    assert "t3.micro has no GPU" in ok(dl("aws", "up", "t3.micro", "--dry-run")).stdout
    assert "no GPU" not in ok(dl("aws", "up", "--dry-run")).stdout


@pytest.mark.parametrize("typed", ["", "none"])
def test_a_name_that_is_none_is_refused(dl: Dl, aws: Account, cats: Path, typed: str) -> None:
    refused(dl("aws", "down", "-n", typed, "-y"), "`-n` does not name a box", exit_code=2)


def test_a_resize_says_what_it_does_and_what_comes_next(dl: Dl, aws: Account, cats: Path) -> None:
    ok(dl("aws", "up", "-y"))
    said = ok(dl("aws", "resize", "g5.xlarge", "-y")).stderr.splitlines()
    assert said[-4:] == [
        "Stopping cats",
        "Starting cats as a g5.xlarge",
        "cats is running: $1.025/h; stops in 24 h, even if it is busy",
        "Next: `dl aws ssh -n cats`",
    ]
