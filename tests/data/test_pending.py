"""Journals in a dataset that was copied, moved or made by somebody else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.children import at_each_change, die, forked
from support.small_folders import (
    DOWNLOADED,
    KAGGLE,
    MADE,
    Act,
    Tree,
    organize_copy,
    organize_in_place,
    organize_move,
    plant,
    split,
    tree,
)
from support.stopped_operations import (
    doubt_of,
    finished,
    header_of,
    interrupted,
    rewritten,
)

from dlcli.data import operations
from dlcli.data.journal import JournalError, hold, journals
from dlcli.data.moves import finish
from dlcli.data.pending import DoubtfulError, Named, to_move
from dlcli.data.photos.organize.organize import organize, to_organize
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError

# Where it began


@pytest.mark.parametrize(
    ("act", "name", "start"),
    [
        (organize_copy, "dogscats", DOWNLOADED),
        (organize_move, "dogscats", DOWNLOADED),
        (organize_in_place, "kaggle", DOWNLOADED),
        (split, "dogscats", MADE),
    ],
)
@pytest.mark.parametrize("do", [finished, operations.undo])
def test_a_copy_of_a_dataset_moves_nothing_and_its_original_goes_on(
    tmp_path: Path, act: Act, name: str, start: Tree, do: Callable[[Path], object]
) -> None:
    whole = plant(tmp_path / "whole", start)
    if do is finished:
        act(whole)
    folder = plant(tmp_path / "folder", start)
    root = interrupted(act, folder, name)
    copy, away = folder / "copy", folder / "away"
    shutil.copytree(root, copy, symlinks=True)
    assert doubt_of(copy, do) == f"it began in {root}"
    root.rename(away)
    copy.rename(root)
    assert doubt_of(root, do).startswith(f"{root} is a copy of the folder in which it began, or")
    shutil.rmtree(root)
    away.rename(root)
    do(root)
    assert tree(folder) == tree(whole)


def test_a_dataset_named_through_a_link_is_the_same(tmp_path: Path) -> None:
    root = interrupted(split, plant(tmp_path / "disk", MADE), "dogscats")
    link = tmp_path / "pets"
    link.symlink_to(root)
    finished(link)
    assert len(open_photos(root).splits["valid"]) == 2


def test_a_source_that_was_exchanged_or_is_missing_is_asked_about(tmp_path: Path) -> None:
    root = interrupted(organize_move, plant(tmp_path, DOWNLOADED), "dogscats")
    source = tmp_path / "kaggle"
    source.rename(tmp_path / "away")
    assert doubt_of(root) == f"{source}, where its files come from, is missing"
    shutil.copytree(tmp_path / "away", source)
    assert doubt_of(root).startswith(f"{source} is not the folder any more from which its files")
    shutil.rmtree(source)
    (tmp_path / "away").rename(source)
    finished(root)
    assert len(open_photos(root).splits["train"]) == 4


def mounted_anew(root: Path) -> None:
    """As if the disk got another number, at a restart."""
    began = header_of(root)["began"]
    for place in began.values():
        place[1] += 1
    rewritten(root, began=began)


def test_moves_within_a_dataset_go_on_after_its_disk_was_mounted_anew(tmp_path: Path) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    mounted_anew(root)
    finished(root)
    assert len(open_photos(root).splits["valid"]) == 2


def test_a_disk_that_was_mounted_anew_is_said_and_the_same_command_goes_on(tmp_path: Path) -> None:
    root = interrupted(organize_move, plant(tmp_path, DOWNLOADED), "dogscats")
    mounted_anew(root)
    assert doubt_of(root).endswith("or its disk was mounted anew")
    assert doubt_of(root, operations.undo).endswith("or its disk was mounted anew")
    with pytest.raises(DoubtfulError) as error:
        finished(root, Named(tmp_path / "kaggle", "copy"))
    command = f"dl data organize {tmp_path}/kaggle {root} --move"
    assert f"In a terminal, `{command}` asks, then finishes it." in error.value.hint
    organize_move(tmp_path)
    assert len(open_photos(root).splits["train"]) == 4


def test_the_same_command_takes_nothing_back_in_a_copy(tmp_path: Path) -> None:
    root = interrupted(organize_move, plant(tmp_path, DOWNLOADED), "dogscats")
    mounted_anew(root)
    journals(root)[0].renamed("undoing")
    named = Named(tmp_path / "kaggle", "move")
    assert doubt_of(root, lambda root: finished(root, named))


def test_an_undo_that_is_refused_makes_no_folder(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "kaggle"), "zip", plant(tmp_path / "files", KAGGLE))
    root = tmp_path / "dogscats"
    organize(tmp_path / "kaggle.zip", root)
    began = header_of(root)["began"]
    began["root"][2] += 1
    rewritten(root, began=began)
    for state in ("done", "pending", "undoing"):
        journals(root)[0].renamed(state)  # type: ignore[arg-type]
        assert doubt_of(root, operations.undo)
        assert not list(tmp_path.glob(".*"))
    assert doubt_of(root)
    assert not list(tmp_path.glob(".*"))


def test_an_emptied_source_that_was_removed_comes_back(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_move(folder)
    (folder / "kaggle").rmdir()
    operations.undo(folder / "dogscats")
    assert tree(folder) == DOWNLOADED


def test_what_is_done_is_taken_back_after_a_renaming_but_not_in_a_copy(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_move(folder)
    root = (folder / "dogscats").rename(folder / "pets")
    copy = Path(shutil.copytree(root, folder / "copy"))
    assert doubt_of(copy, operations.undo) == f"it began in {folder}/dogscats"
    shutil.rmtree(copy)
    operations.undo(root)
    assert tree(folder) == DOWNLOADED


def renamed_archive(folder: Path) -> Path:
    shutil.make_archive(str(folder / "kaggle"), "zip", plant(folder / "files", KAGGLE))
    organize(folder / "kaggle.zip", folder / "dogscats")
    return (folder / "dogscats").rename(folder / "pets")


def renamed_move(folder: Path) -> Path:
    organize_move(plant(folder, DOWNLOADED))
    return (folder / "dogscats").rename(folder / "pets")


def emptied_source(folder: Path) -> Path:
    organize_move(plant(folder, DOWNLOADED))
    (folder / "kaggle").rmdir()
    return folder / "dogscats"


def copied_by_0_1_0(folder: Path) -> Path:
    organize_copy(plant(folder, DOWNLOADED))
    as_0_1_0(folder / "dogscats")
    return folder / "dogscats"


def stop_undoing(root: Path) -> None:
    def die_halfway(event: str, path: str) -> None:
        if event == "os.remove" and path.endswith("dog.0.jpg"):
            die()

    assert forked(lambda: operations.undo(root), lambda: at_each_change(die_halfway)) < 0


@pytest.mark.parametrize("make", [renamed_archive, renamed_move, emptied_source, copied_by_0_1_0])
def test_an_undo_that_needed_no_question_goes_on_without_one(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    root = make(tmp_path)
    stop_undoing(root)
    assert journals(root)[0].state == "undoing"
    before = len(tree(root))
    assert 0 < before < len(DOWNLOADED)
    if make is not renamed_archive:
        finished(root)
        assert tree(tmp_path) == DOWNLOADED
    else:
        assert operations.undo(root).missing == ()
    assert not root.exists()


def test_half_of_an_archive_that_is_in_a_renamed_dataset_makes_no_other(tmp_path: Path) -> None:
    root, archive, other = renamed_archive(tmp_path), tmp_path / "kaggle.zip", tmp_path / "dogscats"
    stop_undoing(root)
    for make in (organize, to_organize):
        with pytest.raises(DlError, match=f"unpacked are in {root}") as error:
            make(archive, other)
        assert f"`dl data undo {root}`" in error.value.hint
    operations.undo(root)
    organize(archive, other)
    assert len(open_photos(other).splits["train"]) == 4


def test_a_disk_that_is_not_there_is_not_made_by_undo(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_move(folder)
    root = folder / "dogscats"
    (folder / "kaggle").rmdir()
    began = header_of(root)["began"]
    began["source"][1] += 1
    rewritten(root, began=began)
    assert doubt_of(root, operations.undo).endswith("is missing")


def test_files_of_another_place_are_not_moved_for_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = interrupted(organize_move, plant(tmp_path, DOWNLOADED), "dogscats")
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    assert doubt_of(root) == f"another user began it, with files of {tmp_path / 'kaggle'}"


def test_after_an_agreement_it_is_finished_in_its_new_place(tmp_path: Path) -> None:
    root = interrupted(organize_move, plant(tmp_path, DOWNLOADED), "dogscats")
    moved = root.rename(tmp_path / "moved")
    with pytest.raises(DoubtfulError) as error:
        finished(moved)
    operation = error.value.journal.read()
    assert list(to_move(operation, back=False)) == [
        f"It would move 4 files, from {tmp_path / 'kaggle'} to {moved}:",
        "  train/cat.0.jpg -> train/cat/cat.0.jpg",
        "  train/cat.1.jpg -> train/cat/cat.1.jpg",
        "  train/dog.0.jpg -> train/dog/dog.0.jpg",
        "  train/dog.1.jpg -> train/dog/dog.1.jpg",
    ]
    operations.agree(error.value, operation)
    finished(moved)
    assert len(open_photos(moved).splits["train"]) == 4


@pytest.mark.parametrize(
    ("details", "options"),
    [
        ({"train": -5, "valid": 2, "seed": 1}, " --valid 2 --seed 1"),
        ({"valid": 0.00001, "seed": 0}, " --valid 0.00001 --seed 0"),
        ({"valid": 1.5, "seed": -1}, ""),
        ({"valid": 0, "seed": True}, ""),
        ({"valid": None, "seed": 2**32, "naming": {"file": "a.csv"}, "flatten": True}, ""),
    ],
)
def test_a_command_to_type_again_has_only_options_that_it_takes(
    tmp_path: Path, details: dict[str, object], options: str
) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats", 1)
    rewritten(root, details=details)
    with pytest.raises(DlError) as error:
        open_photos(root)
    undo = f"`dl data undo {root}` takes it back."
    assert error.value.hint == f"`dl data split {root}{options}` finishes it, {undo}"
    journal = journals(root)[-1].path
    rewritten(root, name="shuffle")
    journal.rename(journal.with_name("0001-shuffle.pending"))
    with pytest.raises(DlError) as error:
        open_photos(root)
    assert error.value.hint == undo


def test_reading_a_dataset_moves_nothing(tmp_path: Path) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats", 1)
    before = tree(tmp_path, hidden=True)
    with pytest.raises(DlError, match="has not finished") as error:
        open_photos(root)
    assert f"`dl data split {root} --valid 2 --seed 0` finishes it" in error.value.hint
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    with pytest.raises(DoubtfulError, match="has not finished") as error:
        open_photos(copy)
    assert f"`dl data undo {copy} --drop` forgets it" in error.value.hint
    shutil.rmtree(copy)
    assert tree(tmp_path, hidden=True) == before


def test_reading_a_dataset_reads_no_moves_of_its_journal(tmp_path: Path) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats", 1)
    path = journals(root)[0].path
    path.write_text(path.read_text().splitlines()[0] + "\nnot a move\n")
    with pytest.raises(DlError, match="`dl data split` has not finished"):
        open_photos(root)
    with pytest.raises(JournalError) as error:
        finished(root)
    assert error.value.why == "line 2 is not what `dl` writes"


# Those of 0.1.0


def as_0_1_0(root: Path) -> None:
    rewritten(root, format=1, began=None)


def test_one_of_0_1_0_within_the_dataset_is_finished(tmp_path: Path) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    as_0_1_0(root)
    finished(root)
    assert len(open_photos(root).splits["valid"]) == 2


def test_one_of_0_1_0_is_finished_if_its_source_is_named_again(tmp_path: Path) -> None:
    root = interrupted(organize_move, plant(tmp_path, DOWNLOADED), "dogscats")
    as_0_1_0(root)
    expected = f"`dl` 0.1.0 began it, and did not note in which folders; it names {tmp_path}/kaggle"
    assert doubt_of(root) == expected
    assert doubt_of(root, operations.undo) == expected
    for named in (Named(tmp_path / "kaggle", "copy"), Named(tmp_path, "move")):
        assert doubt_of(root, lambda root, named=named: finished(root, named)) == expected
    organize_move(tmp_path)
    assert len(open_photos(root).splits["train"]) == 4


@pytest.mark.parametrize("inner", ["valid", "valid/cat", "train/cat"])
def test_a_folder_that_has_become_a_link_is_not_gone_through(tmp_path: Path, inner: str) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats", 1)
    if (root / inner).exists():
        (root / inner).rename(tmp_path / "pool")
    else:
        (tmp_path / "pool").mkdir()
    (root / inner).symlink_to(tmp_path / "pool")
    before = tree(tmp_path, hidden=True)
    for act in (finished, operations.undo):
        with pytest.raises(DlError, match=f"{inner} is a link to {tmp_path}/pool") as error:
            act(root)
        assert f"`dl data undo {root} --drop` leaves" in error.value.hint
    journals(root)[0].renamed("done")
    with pytest.raises(DlError, match=f"{inner} is a link to {tmp_path}/pool") as error:
        operations.undo(root)
    assert "--drop" not in error.value.hint, "what is done is not dropped"
    journals(root)[0].renamed("pending")
    assert tree(tmp_path, hidden=True) == before


def test_missing_files_are_named(tmp_path: Path) -> None:
    root = interrupted(organize_move, plant(tmp_path, DOWNLOADED), "dogscats", 1)
    for path in (tmp_path / "kaggle").rglob("*.jpg"):
        path.unlink()
    with hold(root) as held:
        outcome = finish(held)
    assert outcome is not None
    (warning,) = outcome.warnings
    assert warning.startswith("Warning, gone before the move: ")
    assert warning.endswith(f" and {len(outcome.missing) - 3} more.")
    assert len(outcome.missing) > 3


# A finished copy


def copied_by(root: Path, origin: Path, *moves: list[str], state: str = "done") -> None:
    """A journal of 0.1.0 that somebody wrote."""
    header = {"format": 1, "name": "organize", "kind": "copy", "origin": str(origin)}
    lines = [header | {"made": [], "details": {}}, *moves]
    path = root / ".dl" / f"0001-organize.{state}"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def photos(root: Path, *contents: bytes) -> Tree:
    for number, content in enumerate(contents):
        plant(root, {f"train/{number}.jpg": content})
        os.utime(root / "train" / f"{number}.jpg", (1e9, 1e9))
    return tree(root)


@pytest.mark.parametrize("origin", ["/", "link"])
def test_an_undo_whose_originals_are_in_the_dataset_removes_nothing(
    tmp_path: Path, origin: str
) -> None:
    root = tmp_path / "pets"
    before = photos(root, b"same", b"same")
    (tmp_path / "link").symlink_to("pets/train")
    source = f"{root}/train/0.jpg"[1:] if origin == "/" else "link/0.jpg"
    copied_by(root, Path("/") if origin == "/" else tmp_path, [source, "train/1.jpg"])
    with pytest.raises(DlError, match="Nothing was undone"):
        operations.undo(root)
    assert tree(root) == before


def test_one_original_of_many_copies_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    before = photos(root, b"same", b"same")
    copied_by(root, tmp_path, ["a.jpg", "train/0.jpg"], ["a.jpg", "train/1.jpg"])
    with pytest.raises(DlError, match="Can't read the journal"):
        operations.undo(root)
    assert tree(root) == before


def test_originals_of_the_same_size_and_time_with_other_contents_keep_the_copies(
    tmp_path: Path,
) -> None:
    root, other = tmp_path / "pets", tmp_path / "other"
    before = photos(root, b"mine", b"same")
    photos(other, b"\0\0\0\0", b"same")
    copied_by(root, other, *([f"train/{n}.jpg", f"train/{n}.jpg"] for n in range(2)))
    outcome = operations.undo(root)
    assert outcome.kept == ("train/0.jpg",)
    del before["train/1.jpg"]
    assert tree(root) == before


def test_a_finished_copy_is_taken_back_unasked_only_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "dogscats"
    organize_copy(plant(tmp_path, DOWNLOADED))
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    assert doubt_of(copy, operations.undo) == f"it began in {root}"
    somebody = os.geteuid() + 1
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: somebody)
        assert doubt_of(root, operations.undo).startswith("another user began it")
    shutil.rmtree(copy)
    operations.undo(root)
    assert tree(tmp_path) == DOWNLOADED


# An interrupted copy


@pytest.mark.parametrize("whole", [True, False])
def test_a_copy_from_a_folder_that_is_only_named_like_ours_is_not_finished_unasked(
    tmp_path: Path, whole: bool
) -> None:
    root, source = tmp_path / "pets", tmp_path / ".pets-0123456789ab.unpacked"
    photos(root, b"mine")
    plant(tmp_path, {"keys/id_rsa": b"secret"})
    source.mkdir()
    (source / "lnk").symlink_to("../keys")
    if whole:
        (source / ".whole").touch()
    copied_by(root, source, ["lnk/id_rsa", "train/notes.txt"], state="pending")
    assert "0.1.0 began it" in doubt_of(root)
    with pytest.raises(DlError, match="is not copied") as error:
        finished(root, Named(source, "copy"))
    assert "--drop" in error.value.hint
    assert not (root / "train" / "notes.txt").exists()


def test_a_move_is_finished_unasked_only_from_a_folder_that_was_unpacked(tmp_path: Path) -> None:
    root, source = tmp_path / "pets", tmp_path / ".pets-0123456789ab.unpacked"
    photos(root, b"mine")
    plant(source, {"a.jpg": b"theirs"})
    copied_by(root, source, ["a.jpg", "train/a.jpg"], state="pending")
    rewritten(root, kind="move")
    assert "0.1.0 began it" in doubt_of(root)
    (source / ".whole").touch()
    finished(root)
    assert (root / "train" / "a.jpg").read_bytes() == b"theirs"


def test_an_interrupted_copy_of_linked_images_goes_on(tmp_path: Path) -> None:
    root, source = tmp_path / "pets", tmp_path / "download"
    photos(root, b"mine")
    plant(tmp_path, {"disk/a.png": b"\x89PNG\r\n\x1a\n"})
    source.mkdir()
    (source / "cat").symlink_to("../disk")
    copied_by(root, source, ["cat/a.png", "train/a.png"], state="pending")
    finished(root, Named(source, "copy"))
    assert (root / "train" / "a.png").read_bytes() == b"\x89PNG\r\n\x1a\n"


def test_forgetting_a_copy_removes_what_it_left_half_copied(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "pets", tmp_path / "elsewhere"
    before = photos(root, b"mine")
    plant(tmp_path, {"elsewhere/.dl-partial": b"mine"})
    (root / "valid").symlink_to(elsewhere)
    moves = ["0.jpg", "train/0.jpg"], ["1.jpg", "valid/1.jpg"]
    for listed in (moves, moves[:1]):
        (root / "train" / ".dl-partial").write_bytes(b"half")
        copied_by(root, tmp_path / "download", *listed, state="pending")
        operations.drop(operations.droppable(root))
        assert (elsewhere / ".dl-partial").exists()
        assert (root / "train" / ".dl-partial").exists() == (listed is moves)
    (root / "valid").unlink()
    assert tree(root) == before
