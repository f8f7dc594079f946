"""Datasets of archives: nested, undone, made again, killed at every step."""

from __future__ import annotations

import os
import random
import shutil
from functools import partial
from pathlib import Path

import pytest
from support.archives import packed, tarred, times_of, zip_of_link, zipped
from support.children import forked, killed_before_change, no_file_above
from support.small_folders import KAGGLE, Tree, folders, make, plant, tree

from dlcli.data import operations
from dlcli.data.journal import journals
from dlcli.data.moves import Outcome
from dlcli.data.pending import DoubtfulError
from dlcli.data.photos import splits
from dlcli.data.photos.organize import organize as organize_module
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError, ExitCode

pytestmark = pytest.mark.slow


ORGANIZED = {
    **{f"train/cat/cat.{i}.jpg": f"cat {i}".encode() for i in range(2)},
    **{f"train/dog/dog.{i}.jpg": f"dog {i}".encode() for i in range(2)},
    "test/1.jpg": b"test 1",
    "sample_submission.csv": b"id,label\n1,0.5\n",
}


def redux(base: Path, name: str = "redux.zip") -> Path:
    """A competition's archive, with an archive of each split inside and a readme."""
    base.mkdir(parents=True, exist_ok=True)
    train = {path: content for path, content in KAGGLE.items() if path.startswith("train/")}
    inner = {
        "train.zip": zipped(base / "t.zip", train).read_bytes(),
        "test1.zip": zipped(base / "t.zip", {"1.jpg": b"test 1"}).read_bytes(),
        "sample_submission.csv": KAGGLE["sample_submission.csv"],
        "readme.txt": b"read me",
    }
    (base / "t.zip").unlink()
    return packed(base / name, inner)


def organize(base: Path) -> Outcome | None:
    return organize_module.organize(base / "redux.zip", base / "pets")


def hidden(base: Path) -> list[str]:
    return [path.name for path in base.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["redux.zip", "redux.tar.gz"])
def test_archives_in_an_archive_become_a_dataset(tmp_path: Path, name: str) -> None:
    archive = redux(tmp_path, name)
    before = archive.read_bytes()
    outcome = organize_module.organize(archive, tmp_path / "pets")
    assert outcome is not None
    assert outcome.files == 6
    assert tree(tmp_path / "pets") == ORGANIZED
    assert hidden(tmp_path) == []
    assert archive.read_bytes() == before


def test_an_archive_in_its_own_folder_becomes_a_dataset_with_its_times(tmp_path: Path) -> None:
    files = {f"dogscats/{path}": content for path, content in KAGGLE.items()}
    archive = tarred(tmp_path / "a.tgz", files | {"dogscats/sample/train/cat.9.jpg": b"9"})
    outcome = organize_module.organize(archive, tmp_path / "pets")
    assert outcome is not None
    assert tree(tmp_path / "pets") == ORGANIZED
    assert len(times_of(tmp_path / "pets" / "train")) == 1
    assert organize_module.notes_of(outcome.operation) == (
        "Used the contents of dogscats/, the outer folder.",
    )


def test_a_folder_of_archives_becomes_a_dataset(tmp_path: Path) -> None:
    source = tmp_path / "redux"
    shutil.unpack_archive(redux(tmp_path), source)
    before = tree(source)
    assert organize_module.organize(source, tmp_path / "pets") is not None
    assert tree(tmp_path / "pets") == ORGANIZED
    assert tree(source) == before
    assert organize_module.organize(source, tmp_path / "pets") is None
    operations.undo(tmp_path / "pets")
    assert organize_module.organize(source, source) is not None
    assert tree(source) == before | ORGANIZED
    assert organize_module.organize(source, source) is None


def test_an_archive_of_a_split_that_is_not_unpacked_is_taken(tmp_path: Path) -> None:
    source = plant(tmp_path / "redux", {k: v for k, v in KAGGLE.items() if "test1" not in k})
    zipped(source / "test.zip", {"test/1.jpg": b"test 1"})
    zipped(source / "train.zip", {"train/cat.7.jpg": b"unpacked before"})
    zipped(source / "extra.zip", {"nothing.txt": b"to do with it"})
    assert organize_module.organize(source, tmp_path / "pets") is not None
    assert tree(tmp_path / "pets") == ORGANIZED


PACKED = "Left packed: test.zip. First unpack what belongs to the dataset."


def test_archives_that_are_left_packed_beside_images_are_said(tmp_path: Path) -> None:
    source = plant(tmp_path / "redux", KAGGLE)
    zipped(source / "test.zip", {"test/2.jpg": b"test 2"})
    zipped(source / "train.zip", {"train/cat.0.jpg": b"unpacked beside itself"})
    planned = organize_module.to_organize(source, tmp_path / "pets")
    outcome = organize_module.organize(source, tmp_path / "pets")
    assert planned is not None
    assert outcome is not None
    assert (
        organize_module.notes_of(planned)
        == organize_module.notes_of(outcome.operation)
        == (PACKED,)
    )
    assert tree(tmp_path / "pets") == ORGANIZED
    outcome = organize_module.organize(source, source)
    assert outcome is not None
    assert organize_module.notes_of(outcome.operation) == (PACKED,)


def test_archives_that_are_unpacked_are_not_said_to_be_left(tmp_path: Path) -> None:
    source = plant(tmp_path / "redux", {k: v for k, v in KAGGLE.items() if "test1" not in k})
    for name in ("test.zip", "extra.zip"):
        zipped(source / name, {"1.jpg": b"test 1"})
    outcome = organize_module.organize(source, tmp_path / "pets")
    assert outcome is not None
    assert tree(tmp_path / "pets") == ORGANIZED
    assert organize_module.notes_of(outcome.operation) == (PACKED.replace("test.zip", "extra.zip"),)


def test_a_file_that_was_zipped_alone_is_that_file(tmp_path: Path) -> None:
    csv = zipped(tmp_path / "x", {"labels.csv": b"id,breed\n1,pug\n2,chow\n"}).read_bytes()
    archive = zipped(
        tmp_path / "a.zip", {"labels.csv.zip": csv, "train/1.jpg": b"1", "train/2.jpg": b"2"}
    )
    organize_module.organize(archive, tmp_path / "dogs")
    assert set(tree(tmp_path / "dogs")) == {"labels.csv", "train/pug/1.jpg", "train/chow/2.jpg"}


def test_made_once_it_is_made_already_and_nothing_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redux(tmp_path)
    organize(tmp_path)
    splits.split(tmp_path / "pets", 1, 0)
    after = tree(tmp_path)
    monkeypatch.setattr(organize_module, "stage", pytest.fail)
    assert organize(tmp_path) is None
    assert tree(tmp_path) == after
    assert hidden(tmp_path) == []


def test_undone_its_files_lie_hidden_and_are_organised_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redux(tmp_path)
    organize(tmp_path)
    undone = operations.undo(tmp_path / "pets")
    (folder,) = hidden(tmp_path)
    assert undone.operation.source == tmp_path / folder
    assert organize_module.made_of(undone.operation) == tmp_path / "redux.zip"
    assert sorted(tree(tmp_path / folder).values()) == sorted(ORGANIZED.values())
    assert not (tmp_path / "pets").exists()
    monkeypatch.setattr("dlcli.data.photos.organize.staging.open_archive", pytest.fail)
    assert organize(tmp_path) is not None
    assert tree(tmp_path / "pets") == ORGANIZED
    assert hidden(tmp_path) == []


def test_an_archive_that_was_changed_since_is_another(tmp_path: Path) -> None:
    archive = redux(tmp_path)
    organize(tmp_path)
    os.utime(archive, (1, 1))
    with pytest.raises(DlError, match=r"was made from an earlier state of"):
        organize(tmp_path)
    assert tree(tmp_path / "pets") == ORGANIZED


def test_a_dry_run_leaves_nothing_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redux(tmp_path)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = sorted(tmp_path.rglob("*"))
    planned = organize_module.to_organize(tmp_path / "redux.zip", tmp_path / "pets")
    assert planned is not None
    assert {move.target for move in planned.moves} == ORGANIZED.keys()
    assert organize_module.made_of(planned) == tmp_path / "redux.zip"
    assert sorted(tmp_path.rglob("*")) == before


REFUSED: list[tuple[Tree, str]] = [
    ({"readme.txt": b"nothing"}, "No training images in .*a.zip"),
    ({"train/1.jpg": b"1", "train/2.jpg": b"2"}, "2 of 2 images in .*a.zip/train"),
    ({"train.zip": b"hello"}, r"train.zip in .*a.zip is not an archive"),
    ({"train.7z": b"7z"}, "No training images in .*a.zip: train.7z is an archive"),
    ({**KAGGLE, "../evil.jpg": b"evil"}, "is not unpacked"),
    ({**KAGGLE, "train/dog/dog.1.jpg": b"twice"}, "would be overwritten"),
]


@pytest.mark.parametrize(("files", "says"), REFUSED)
def test_what_can_not_be_organised_leaves_nothing(tmp_path: Path, files: Tree, says: str) -> None:
    archive = zipped(tmp_path / "a.zip", files)
    for number in range(2):
        with pytest.raises(DlError, match=says) as caught:
            organize_module.organize(archive, tmp_path / "data" / "pets")
        assert ".unpacked" not in str(caught.value) + caught.value.why + caught.value.hint, number
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_archives_nested_without_end_leave_nothing(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "0.zip", KAGGLE)
    for number in range(5):
        archive = zipped(tmp_path / "a.zip", {f"{number}.zip": archive.read_bytes()})
    (tmp_path / "0.zip").unlink()
    with pytest.raises(DlError, match="is nested in more than 3 archives"):
        organize_module.organize(archive, tmp_path / "pets")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_attack_from_an_inner_archive_leaves_nothing(tmp_path: Path) -> None:
    inner = zip_of_link(tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").unlink()
    archive = zipped(tmp_path / "a.zip", {"train.zip": inner})
    with pytest.raises(DlError, match=r"train.zip in .*a.zip is not unpacked: .* is a link"):
        organize_module.organize(archive, tmp_path / "pets")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_archive_is_not_moved(tmp_path: Path) -> None:
    archive = redux(tmp_path)
    with pytest.raises(DlError, match="moves the files of a folder") as caught:
        organize_module.organize(
            archive, tmp_path / "pets", organize_module.OrganizeOptions("move")
        )
    assert caught.value.exit_code == ExitCode.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["redux.zip"]


@pytest.mark.forks
def test_a_full_disk_leaves_nothing_but_what_was_there(tmp_path: Path) -> None:
    large = {"train/cat.3.jpg": random.randbytes(50_000)}
    archive = zipped(tmp_path / "a.zip", KAGGLE | large)

    def act() -> None:
        with pytest.raises(OSError, match="File too large"):
            organize_module.organize(archive, tmp_path / "pets")

    assert forked(act, partial(no_file_above, 10_000)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_dataset_is_no_file(tmp_path: Path) -> None:
    archive = redux(tmp_path)
    with pytest.raises(DlError, match="is a file: a dataset is a folder"):
        organize_module.organize(archive, archive)


def test_a_folder_is_not_filled_up(tmp_path: Path) -> None:
    redux(tmp_path)
    make(tmp_path / "pets", "mine.txt")
    with pytest.raises(DlError, match="is not empty"):
        organize(tmp_path)
    assert hidden(tmp_path) == []


@pytest.mark.forks
def test_killed_at_any_step_the_next_call_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    redux(whole)
    organize(whole)
    number, killed = 1, True
    while killed:
        base = tmp_path / str(number)
        archive = redux(base)
        killed = killed_before_change(number, partial(organize, base))
        if killed and number % 3 == 0 and journals(base / "pets"):
            operations.undo(base / "pets")  # instead
        organize(base)
        assert tree(base / "pets") == ORGANIZED
        assert hidden(base) == []
        assert folders(base / "pets") == folders(whole / "pets")
        assert archive.exists()
        shutil.rmtree(base)
        number += 1
    assert number > 40


@pytest.mark.forks
def test_killed_and_finished_by_another_command_nothing_hidden_is_left(tmp_path: Path) -> None:
    number, finished = 1, 0
    redux(tmp_path / "1")
    while killed_before_change(number, partial(organize, base := tmp_path / str(number))):
        if journals(base / "pets"):
            with operations.working_in(base / "pets", "split"):
                pass
            assert len(open_photos(base / "pets").splits["train"]) == 4
            finished += 1
            assert hidden(base) == [] or journals(base / "pets")[0].state == "done"
            organize(base)
            assert hidden(base) == []
        number += 1
        redux(tmp_path / str(number))
    assert finished > 10


def test_a_dataset_put_in_place_of_its_original_is_taken_back_after_an_agreement(
    tmp_path: Path,
) -> None:
    redux(tmp_path)
    organize(tmp_path)
    made = tree(tmp_path / "pets")
    shutil.copytree(tmp_path / "pets", tmp_path / "copy")
    shutil.rmtree(tmp_path / "pets")
    (tmp_path / "copy").rename(tmp_path / "pets")
    with pytest.raises(DoubtfulError) as error:
        operations.undo(tmp_path / "pets")
    operations.agree(error.value, error.value.journal.read())
    operations.undo(tmp_path / "pets")
    assert not (tmp_path / "pets").exists()
    organize(tmp_path)
    assert tree(tmp_path / "pets") == made
    assert hidden(tmp_path) == []
