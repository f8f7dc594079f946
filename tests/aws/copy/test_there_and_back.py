"""Folders copied through a real sshd, there and back: by real rsync and by SFTP."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.box_copies import copied, dogs, tree
from support.sshd import Sshd, program

from dlcli.aws.copy.plan import Folders

pytestmark = pytest.mark.slow


HOSTILE = [
    "a b",
    "two\nlines",
    "-rf",
    "--delete",
    "it's",
    'say "hi"',
    "$(touch stolen)",
    "`touch stolen`",
    "; touch stolen",
    "*",
    "[a-z]?",
    "#comment",
    ";comment",
    "back\\slash",
    "back\\#065",
    "\udcff\udcfe",
    "\u00fcml\u00e4ut",
    "tab\tcr\r",
    "host:path",
    "~",
    " ",
    "x" * 255,
]


def test_a_folder_goes_there_and_comes_back_as_it_was(
    sshd: Sshd, way: str, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host = sshd.host()
    (data / "first").symlink_to("train/cat/1.jpg")
    before = tree(data)
    copied(host, "put", dogs(data))
    assert tree(sshd.home / "data" / "dogs") == before
    assert ("so SFTP is used" in capfd.readouterr().err) == (way == "sftp")
    back = data.parent / "back"
    copied(host, "get", dogs(back))
    assert tree(back) == before


def test_what_is_there_already_is_not_copied_again(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    assert len(copied(host, "put", dogs(data)).plan.send) == 3
    again = copied(host, "put", dogs(data))
    assert (again.plan.send, len(again.plan.same)) == ((), 3)
    (data / "run.sh").write_text("other")
    assert copied(host, "put", dogs(data)).plan.send == ("run.sh",)
    assert (sshd.home / "data" / "dogs" / "run.sh").read_text() == "other"


def test_what_is_newer_at_the_goal_stays_unless_told(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    theirs = sshd.home / "data" / "dogs" / "run.sh"
    theirs.write_text("edited there")
    os.utime(theirs, (2e9, 2e9))
    assert copied(host, "put", dogs(data)).plan.newer == ("run.sh",)
    assert theirs.read_text() == "edited there"
    copied(host, "put", dogs(data), overwrite=True)
    assert theirs.read_bytes() == (data / "run.sh").read_bytes()


def test_names_of_any_kind_arrive_as_they_are(sshd: Sshd, way: str, home: Path) -> None:
    host = sshd.host()
    folder = home / "data" / "odd $(touch stolen) * 'it' \"x\"\n"
    for name in HOSTILE:
        (folder / name).mkdir(parents=True)
        (folder / name / name).write_text(name, "utf-8", "surrogateescape")
    before = tree(folder)
    assert len(before) == len(HOSTILE)
    folders = Folders("dataset odd", folder, f"data/{folder.name}")
    copied(host, "put", folders)
    assert tree(sshd.home / "data" / folder.name) == before
    back = home / "back"
    copied(host, "get", replace(folders, here=back))
    assert tree(back) == before
    (folder / "--delete" / "--delete").unlink()
    (folder / "*" / "*").unlink()
    copied(host, "put", folders, delete=True)
    assert tree(sshd.home / "data" / folder.name) == tree(folder)
    assert [*home.rglob("stolen"), *sshd.home.rglob("stolen")] == []


def test_ten_thousand_files_arrive(sshd: Sshd, home: Path) -> None:
    program("rsync")
    folder = home / "data" / "dogs"
    for number in range(10_000):
        file = folder / f"train/{number % 10}/{number}.jpg"
        if number < 10:
            file.parent.mkdir(parents=True)
        file.write_bytes(number.to_bytes(4, "big"))
    host = sshd.host()
    assert len(copied(host, "put", dogs(folder)).plan.send) == 10_000
    assert tree(sshd.home / "data" / "dogs") == tree(folder)
    assert copied(host, "put", dogs(folder)).plan.send == ()
