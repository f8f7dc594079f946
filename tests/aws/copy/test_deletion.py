"""What a copy deletes at its goal when told, and what it refuses before that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.box_copies import copied, dogs, tree
from support.sshd import Sshd, program

from dlcli.aws.copy.copy import prepare
from dlcli.aws.copy.plan import Direction, Folders
from dlcli.aws.ssh import connect
from dlcli.errors import DlError

pytestmark = pytest.mark.slow


def test_deletion_spares_what_was_left_out_and_takes_empty_folders(
    sshd: Sshd, way: str, data: Path
) -> None:
    host = sshd.host()
    folders = dogs(data, elsewhere={"features/": "dl aws put features"})
    copied(host, "put", folders)
    there = sshd.home / "data" / "dogs"
    for name in ("train/fish/1.jpg", "train/fish/2.jpg", ".env", "features/x.bc"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text("theirs")
    assert copied(host, "put", folders).plan.delete == ()
    assert copied(host, "put", folders, delete=True).plan.delete == (
        "train/fish/1.jpg",
        "train/fish/2.jpg",
    )
    assert not (there / "train" / "fish").exists()
    assert (there / ".env").exists()
    assert (there / "features" / "x.bc").exists()
    assert tree(there / "train") == tree(data / "train")


def test_deletion_here_follows_what_is_there(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    (data / "train" / "fish").mkdir()
    (data / "train" / "fish" / "1.jpg").write_text("mine")
    (data / ".env").write_text("mine")
    copied(host, "get", dogs(data), delete=True)
    assert not (data / "train" / "fish").exists()
    assert (data / ".env").exists()


@pytest.mark.parametrize("here", ["/", "~", "~/..", ""])
@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_home_or_a_disk_is_never_copied(
    sshd: Sshd, home: Path, here: str, direction: Direction
) -> None:
    folder = Path(os.path.normpath(Path(here).expanduser()))
    with (
        connect(sshd.host()) as client,
        pytest.raises(DlError, match="cannot be copied as a whole"),
    ):
        prepare(client, direction, Folders("all", folder, "data/x"), delete=True)


@pytest.mark.parametrize("there", ["", "/", ".", "~", "~/x", "/etc", "../x", "a/../../x"])
def test_a_home_or_a_disk_there_is_never_copied(sshd: Sshd, data: Path, there: str) -> None:
    with connect(sshd.host()) as client, pytest.raises(DlError, match="not a folder to copy"):
        prepare(client, "put", Folders("all", data, there), delete=True)


def test_a_source_that_cannot_all_be_listed_deletes_nothing_here(sshd: Sshd, data: Path) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    sshd.stop()
    sshd.without("find")
    find = sshd.folder / "bin" / "find"
    # as for another user where a folder is not readable; root reads all
    find.write_text(
        "#!/bin/sh\nfolder=$2; shift 2\n"
        f'{program("find")} -H "$folder" -name cat -prune -o "$@"; exit 1\n'
    )
    find.chmod(0o755)
    sshd.start()
    before = tree(data)
    with connect(host) as client:
        with pytest.raises(DlError, match="`--delete` is refused") as error:
            prepare(client, "get", dogs(data), delete=True)
        assert prepare(client, "get", dogs(data)).plan.delete == ()
    assert "would also delete local copies" in error.value.why
    assert tree(data) == before


def test_an_empty_source_is_refused_before_all_at_the_goal_is_deleted(
    sshd: Sshd, data: Path, home: Path
) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    (home / "empty").mkdir()
    with connect(host) as client:
        with pytest.raises(DlError, match="~/empty is empty or missing"):
            prepare(client, "put", dogs(home / "empty"), delete=True)
        with pytest.raises(DlError, match=r"/data/cats on the box is empty"):
            prepare(client, "get", Folders("dataset cats", data, "data/cats"), delete=True)
    assert tree(sshd.home / "data" / "dogs") == tree(data)
