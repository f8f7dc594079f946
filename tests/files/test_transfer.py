"""One file: moved and copied without replacing anything, and again after a kill."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from dlcli.files.transfer import (
    PARTIAL,
    Folders,
    copy_file,
    is_spare,
    move_back,
    move_file,
    remove_copy,
    sweep,
)


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, as FAT: the kernel refuses each."""

    def refuse(source: str, target: str, *, dst_dir_fd: int | None = None, **how: object) -> None:
        with suppress(FileNotFoundError):
            os.lstat(target, dir_fd=dst_dir_fd)
            raise FileExistsError(errno.EEXIST, "File exists", target)
        raise PermissionError(errno.EPERM, "Operation not permitted", target)

    monkeypatch.setattr(os, "link", refuse)


def write(path: Path, content: str = "bytes") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return str(path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_move_gives_the_file_another_name_and_keeps_the_inode(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jpg")
    inode = os.stat(source).st_ino
    assert move_file(source, f"{tmp_path}/b.jpg")
    assert names(tmp_path) == ["b.jpg"]
    assert (tmp_path / "b.jpg").stat().st_ino == inode


@pytest.mark.parametrize("with_links", [True, False])
def test_a_move_never_replaces(
    tmp_path: Path, with_links: bool, request: pytest.FixtureRequest
) -> None:
    if not with_links:
        request.getfixturevalue("no_links")
    source, target = write(tmp_path / "a", "mine"), write(tmp_path / "b", "theirs")
    with pytest.raises(FileExistsError):
        move_file(source, target)
    assert (tmp_path / "a").read_text() == "mine"
    assert (tmp_path / "b").read_text() == "theirs"


def test_a_move_killed_between_link_and_unlink_ends_when_called_again(tmp_path: Path) -> None:
    source = write(tmp_path / "a")
    os.link(source, tmp_path / "b")
    assert move_file(source, f"{tmp_path}/b")
    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize("links", [1, 2])
def test_a_file_does_not_move_onto_itself(tmp_path: Path, links: int) -> None:
    source = write(tmp_path / "folder" / "a", "mine")
    if links == 2:
        os.link(source, tmp_path / "second")
    (tmp_path / "link").symlink_to("folder")
    for target in (source, f"{tmp_path}/link/a"):
        for act in (move_file, move_back):
            with pytest.raises(OSError, match="onto itself"):
                act(source, target)
    assert names(tmp_path / "folder") == ["a"]


def test_a_second_spelling_of_a_name_is_not_a_second_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a", "mine")
    os.link(source, tmp_path / "A")
    monkeypatch.setattr(os, "listdir", lambda folder: ["a"])  # as where case is ignored
    with pytest.raises(OSError, match="onto itself"):
        move_file(source, f"{tmp_path}/A")
    monkeypatch.undo()
    assert names(tmp_path) == ["A", "a"]


def test_a_move_that_is_done_is_done(tmp_path: Path) -> None:
    assert move_file(f"{tmp_path}/gone", write(tmp_path / "b"))


def test_a_file_that_somebody_removed_is_told(tmp_path: Path) -> None:
    assert not move_file(f"{tmp_path}/gone", f"{tmp_path}/b")
    assert not copy_file(f"{tmp_path}/gone", f"{tmp_path}/b")
    assert names(tmp_path) == []


def test_a_missing_target_folder_is_an_error_not_a_missing_file(tmp_path: Path) -> None:
    source = write(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        move_file(source, f"{tmp_path}/nowhere/a")
    with pytest.raises(FileNotFoundError):
        copy_file(source, f"{tmp_path}/nowhere/a")


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_move_claims_the_name_first(tmp_path: Path) -> None:
    source = write(tmp_path / "a", "mine")
    assert move_file(source, f"{tmp_path}/b")
    assert (tmp_path / "b").read_text() == "mine"
    assert names(tmp_path) == ["b"]


@pytest.mark.usefixtures("no_links")
def test_a_claim_left_by_a_kill_is_used_or_taken_back(tmp_path: Path) -> None:
    source, claim = write(tmp_path / "a", "mine"), write(tmp_path / "b", "")
    assert move_back(claim, source)
    assert names(tmp_path) == ["a"]
    write(tmp_path / "b", "")
    assert move_file(source, claim)
    assert (tmp_path / "b").read_text() == "mine"
    assert names(tmp_path) == ["b"]


def test_a_move_to_another_disk_copies_then_removes(tmp_path: Path, other_disk: Path) -> None:
    source = write(tmp_path / "a", "mine")
    os.utime(source, (1_000_000_000, 1_000_000_000))
    assert move_file(source, f"{other_disk}/a")
    assert (other_disk / "a").read_text() == "mine"
    assert (other_disk / "a").stat().st_mtime == 1_000_000_000
    assert names(other_disk) == ["a"]
    assert names(tmp_path) == []


def test_a_move_to_another_disk_killed_before_the_removal_ends_when_called_again(
    tmp_path: Path, other_disk: Path
) -> None:
    source, target = write(tmp_path / "a", "mine"), write(other_disk / "a", "mine")
    assert move_file(source, target)
    assert names(tmp_path) == []


def test_another_file_of_the_same_size_on_another_disk_is_not_taken_for_ours(
    tmp_path: Path, other_disk: Path
) -> None:
    source, target = write(tmp_path / "a", "mine"), write(other_disk / "a", "them")
    with pytest.raises(FileExistsError):
        move_file(source, target)
    assert (tmp_path / "a").read_text() == "mine"
    assert (other_disk / "a").read_text() == "them"


def test_a_relative_link_still_leads_to_its_file_after_a_move_and_back(tmp_path: Path) -> None:
    write(tmp_path / "pool" / "1.jpg", "pixels")
    (tmp_path / "train" / "cat").mkdir(parents=True)
    link = tmp_path / "cat.1.jpg"
    link.symlink_to("pool/1.jpg")
    target = tmp_path / "train" / "cat" / "cat.1.jpg"
    assert move_file(str(link), str(target))
    assert target.is_symlink()
    assert target.read_text() == "pixels"
    assert not link.is_symlink()
    assert move_back(str(target), str(link))
    assert str(link.readlink()) == "pool/1.jpg"


def test_a_killed_move_of_a_link_ends_when_called_again(tmp_path: Path) -> None:
    write(tmp_path / "pool.jpg")
    (tmp_path / "a").symlink_to("pool.jpg")
    (tmp_path / "b").symlink_to("pool.jpg")
    assert move_file(f"{tmp_path}/a", f"{tmp_path}/b")
    assert names(tmp_path) == ["b", "pool.jpg"]


def test_a_folder_that_is_exchanged_for_a_link_leads_no_file_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "pets" / "train" / "a", "mine")
    (tmp_path / "pets" / "valid" / "cat").mkdir(parents=True)
    (tmp_path / "theirs" / "cat").mkdir(parents=True)
    (tmp_path / "link").symlink_to("pets")
    with Folders(f"{tmp_path}/link") as folders:
        source, target = folders.spot("train/a"), folders.spot("valid/cat/a")
        (tmp_path / "pets" / "valid").rename(tmp_path / "away")
        (tmp_path / "pets" / "valid").symlink_to("../theirs")
        assert move_file(source, target)
        assert names(tmp_path / "away" / "cat") == ["a"]
        with pytest.raises(OSError, match="it has become a link") as error:
            folders.spot("valid/dog/a")
        assert error.value.filename == f"{tmp_path}/link/valid"
        assert folders.spot("train/no/a") is None
        assert move_back(target, source)
    assert names(tmp_path / "theirs" / "cat") == names(tmp_path / "away" / "cat") == []


@pytest.mark.usefixtures("no_links")
def test_a_move_in_open_folders_is_the_same_without_hard_links_and_with_errors(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a", "mine")
    write(tmp_path / "x" / "b", "theirs")
    with Folders(str(tmp_path)) as folders:
        assert move_file(folders.spot("a"), folders.spot("x/a"))
        with pytest.raises(FileExistsError) as error:
            move_file(folders.spot("x/a"), folders.spot("x/b"))
        assert error.value.filename == f"{tmp_path}/x/b"
        assert not move_file(folders.spot("gone/a"), folders.spot("nowhere/a"))
        with pytest.raises(FileNotFoundError) as missing:
            move_file(folders.spot("x/a"), folders.spot("nowhere/a"))
        assert missing.value.filename == f"{tmp_path}/x/a"
        for number in range(20):
            write(tmp_path / str(number) / "c")
            assert move_file(folders.spot(f"{number}/c"), folders.spot(f"x/{number}"))
    with Folders(f"{tmp_path}/none") as folders:
        assert folders.spot("a") is None
    assert (tmp_path / "x" / "a").read_text() == "mine"
    assert len(names(tmp_path / "x")) == 22


def test_an_empty_file_moves(tmp_path: Path) -> None:
    assert move_file(write(tmp_path / "a", ""), f"{tmp_path}/b")
    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize("with_links", [True, False])
def test_a_copy_has_the_bytes_times_and_permissions(
    tmp_path: Path, with_links: bool, request: pytest.FixtureRequest
) -> None:
    if not with_links:
        request.getfixturevalue("no_links")
    source = write(tmp_path / "a", "mine")
    os.utime(source, (1_000_000_000, 1_000_000_000))
    Path(source).chmod(0o600)
    assert copy_file(source, f"{tmp_path}/b")
    status = (tmp_path / "b").stat()
    assert (status.st_mtime, status.st_mode & 0o777) == (1_000_000_000, 0o600)
    assert (tmp_path / "b").read_text() == "mine"
    assert status.st_ino != os.stat(source).st_ino
    assert names(tmp_path) == ["a", "b"]


def test_a_copy_never_replaces_but_knows_its_own(tmp_path: Path) -> None:
    source, other = write(tmp_path / "a", "mine"), write(tmp_path / "b", "theirs")
    with pytest.raises(FileExistsError):
        copy_file(source, other)
    assert (tmp_path / "b").read_text() == "theirs"
    assert copy_file(source, f"{tmp_path}/c")
    inode = (tmp_path / "c").stat().st_ino
    assert copy_file(source, f"{tmp_path}/c")
    assert (tmp_path / "c").stat().st_ino == inode


def test_a_copy_killed_after_its_link_does_not_write_through_it(tmp_path: Path) -> None:
    finished = tmp_path / "finished"
    write(finished, "whole")
    os.link(finished, tmp_path / PARTIAL)
    assert copy_file(write(tmp_path / "a", "another"), f"{tmp_path}/b")
    assert finished.read_text() == "whole"
    assert names(tmp_path) == ["a", "b", "finished"]


def test_a_link_is_copied_as_the_file_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path / "pool.jpg", "pixels")
    (tmp_path / "a").symlink_to("pool.jpg")
    assert copy_file(f"{tmp_path}/a", f"{tmp_path}/b")
    assert not (tmp_path / "b").is_symlink()
    assert (tmp_path / "b").read_text() == "pixels"


def test_only_an_unchanged_copy_with_its_original_is_removed(tmp_path: Path) -> None:
    source, target = write(tmp_path / "a", "mine"), f"{tmp_path}/b"
    copy_file(source, target)
    assert remove_copy(target, source)
    assert remove_copy(target, source), "what is gone needs no removal"
    copy_file(source, target)
    Path(target).write_text("changed by hand")
    assert not remove_copy(target, source)
    Path(target).unlink()
    copy_file(source, target)
    Path(source).unlink()
    assert not remove_copy(target, source), "it is the only copy now"
    assert names(tmp_path) == ["b"]


def test_a_copy_that_is_its_original_by_now_is_not_removed(tmp_path: Path) -> None:
    copy = write(tmp_path / "made" / "a", "mine")
    os.link(copy, tmp_path / "second")
    (tmp_path / "folder").symlink_to("made")
    (tmp_path / "link").symlink_to("made/a")
    for original in (copy, f"{tmp_path}/folder/a", f"{tmp_path}/link"):
        assert not is_spare(copy, original)
        assert not remove_copy(copy, original)
    assert remove_copy(copy, f"{tmp_path}/second"), "another name has the bytes"


def test_sweeping_removes_only_what_a_killed_copy_left(tmp_path: Path) -> None:
    write(tmp_path / PARTIAL)
    write(tmp_path / "a")
    sweep(str(tmp_path))
    sweep(str(tmp_path))
    sweep(f"{tmp_path}/nowhere")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "name",
    ["a b.jpg", "-rf.jpg", "'\".jpg", "a\nb.jpg", "猫.jpg", b"\xff\xfe.jpg", "x" * 251 + ".jpg"],
)
def test_any_name_moves_and_is_copied(tmp_path: Path, name: str | bytes) -> None:
    name = os.fsdecode(name)
    source = write(tmp_path / "from" / name, "mine")
    (tmp_path / "to").mkdir()
    assert move_file(source, f"{tmp_path}/to/{name}")
    assert copy_file(f"{tmp_path}/to/{name}", source)
    assert names(tmp_path / "from") == names(tmp_path / "to") == [name]


@pytest.mark.timeout(20)  # of a pipe or device, a copy would never end
def test_only_a_regular_file_is_copied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros"):
        with pytest.raises(OSError, match="not a regular file") as error:
            copy_file(f"{tmp_path}/{name}", f"{tmp_path}/copy")
        assert error.value.filename == f"{tmp_path}/{name}"
    assert {each.name for each in tmp_path.iterdir()} == {"pipe", "zeros"}
