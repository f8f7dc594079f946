"""What one may ask `up` for, and what is refused: types, prices, disks, scripts, names."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok, refused
from support.project import make_project

from dlcli.errors import DlError


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
    refused(
        dl("aws", "up", "p2.xlarge", "--yes", "--substitute"),
        "cats is a g4dn.xlarge. Use it with `dl aws up -n cats`",
    )


def test_a_type_that_is_gone_is_said_where_the_own_address_can_not_be_learned(
    dl: Dl, aws: Account, cats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> str:
        raise DlError("This machine's address is not known")

    monkeypatch.setattr("dlcli.aws.vpc.my_address", unknown)
    refused(dl("aws", "up", "p2.xlarge"), "p2.xlarge (K80) is no longer offered", "g4dn.xlarge")
    refused(dl("aws", "up", "g6.xlarg", "-y"), "g6.xlarg is not offered")
    refused(dl("aws", "up", "-y", "--disk", "9"), "A disk of 9 GB is too small")
    refused(dl("aws", "up", "-y"), "This machine's address is not known")
    assert aws.instances() == []


def test_a_slip_in_a_type_names_the_nearest(dl: Dl, aws: Account, cats: Path) -> None:
    refused(dl("aws", "up", "g6.xlarg", "-y"), "g6.xlarg is not offered", "g6.xlarge, L4")


def test_a_spot_box_is_rented_once_and_can_not_be_stopped(dl: Dl, aws: Account, cats: Path) -> None:
    said = ok(dl("aws", "up", "--spot", "--max-price", "0.4", "-y"))
    assert "$0.310/h compute" in said.stderr
    assert "It ends and loses its disk" in said.stderr
    (instance,) = aws.instances()
    assert instance["InstanceLifecycle"] == "spot"
    refused(dl("aws", "stop", "-y"), "spot box, which cannot be stopped", "dl aws get")
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
    make_project(cats, "aws:\n  bootstrap: setup.sh\n")
    refused(dl("aws", "up", "-y"), "setup.sh")
    assert aws.tagged() == {}


def test_a_bad_name_is_refused(dl: Dl, aws: Account, cats: Path) -> None:
    refused(dl("aws", "up", "-n", "two words"), "is not a valid name", exit_code=2)
