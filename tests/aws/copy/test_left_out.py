"""What a copy leaves out, secrets and links among it, and what can't be copied at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.box_copies import copied, dogs
from support.sshd import Sshd

from dlcli.aws.copy.copy import prepare
from dlcli.aws.ssh import Unreachable, connect
from dlcli.errors import DlError

pytestmark = pytest.mark.slow


def test_secrets_stay_here_and_are_named(sshd: Sshd, way: str, data: Path) -> None:
    for name in (
        ".env",
        ".env.local",
        "key.pem",
        "KEY.PEM",
        ".aws/credentials",
        ".ssh/id",
        "a.zip",
    ):
        (data / "deep" / name).parent.mkdir(parents=True, exist_ok=True)
        (data / "deep" / name).write_text("secret")
    prepared = copied(sshd.host(), "put", dogs(data, exclude=("*.zip",)))
    assert {why: len(names) for why, names in prepared.plan.left_out.items()} == {
        "excluded by `.env*`": 2,
        "excluded by `*.pem`": 2,
        "excluded by `.aws/`": 1,
        "excluded by `.ssh/`": 1,
        "excluded by `*.zip`": 1,
    }
    assert not (sshd.home / "data" / "dogs" / "deep").exists()


def test_links_and_pipes_that_can_not_come_along_are_left_out(
    sshd: Sshd, way: str, data: Path, home: Path
) -> None:
    (data / "outside").symlink_to(home)
    (data / "up").symlink_to("../cats")
    os.mkfifo(data / "pipe")
    prepared = copied(sshd.host(), "put", dogs(data))
    assert prepared.plan.left_out == {
        "a link that leads out of the folder": ("outside", "up"),
        "a pipe": ("pipe",),
    }


def test_nothing_is_written_through_a_link_here(
    sshd: Sshd, way: str, data: Path, home: Path
) -> None:
    """A folder of the data that lies on another disk, behind a link, stays one."""
    host = sshd.host()
    copied(host, "put", dogs(data))
    subprocess.run(["rm", "-r", data / "train"], check=True)
    (home / "disk").mkdir()
    (data / "train").symlink_to(home / "disk")
    prepared = copied(host, "get", dogs(data))
    assert prepared.plan.left_out == {
        "a file or a link at the destination is in the way": ("train/cat/1.jpg", "train/dog/1.jpg")
    }
    assert (data / "train").is_symlink()
    assert list((home / "disk").iterdir()) == []


def test_a_file_that_is_in_the_way_stays(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    there = sshd.home / "data" / "dogs"
    there.mkdir(parents=True)
    (there / "train").write_text("a file")
    prepared = copied(host, "put", dogs(data))
    assert prepared.plan.left_out == {
        "a file or a link at the destination is in the way": ("train/cat/1.jpg", "train/dog/1.jpg")
    }
    assert (there / "train").read_text() == "a file"
    assert (there / "run.sh").exists()


def test_what_can_not_be_copied_is_said(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    (sshd.home / "data" / "dogs" / "run.sh" / "x").mkdir(parents=True)
    with pytest.raises(DlError, match="Some files were not copied") as error:
        copied(host, "put", dogs(data))
    assert not isinstance(error.value, Unreachable)


def test_too_little_room_is_said_before_anything_is_copied(sshd: Sshd, data: Path) -> None:
    with (data / "huge").open("wb") as file:
        file.truncate(10**13)  # of which nothing is on disk
    with connect(sshd.host()) as client, pytest.raises(DlError, match="No room for") as error:
        prepare(client, "put", dogs(data))
    assert error.value.what == "No room for 10,000.0 GB in the box's home folder"
    assert not (sshd.home / "data").exists()
