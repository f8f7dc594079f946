"""Where a sample goes: what lies there already, beside it or behind a link, stays."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir

import pytest
from support.children import become_nobody, forked, killed_before_change
from support.command_result import Dl, ok
from support.small_folders import MADE_AND_SPLIT, Act, other_sample, plant, sample, tree

from dlcli.data import operations
from dlcli.data.journal import hold, journals
from dlcli.data.photos import splits
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError

SAMPLE = "dogscats-sample"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return plant(tmp_path / "data", MADE_AND_SPLIT)


@pytest.mark.parametrize("act", [sample, other_sample])
def test_a_link_in_its_place_and_what_it_leads_to_stay(folder: Path, act: Act) -> None:
    theirs = plant(folder.parent / "theirs", {"thesis.txt": b"precious"})
    (folder / SAMPLE).symlink_to(theirs)
    with pytest.raises(DlError, match="was not made by `dl data sample`"):
        act(folder)
    assert (folder / SAMPLE).is_symlink()
    assert tree(theirs, hidden=True) == {"thesis.txt": b"precious"}


def test_a_sample_behind_a_link_is_used_and_never_replaced(folder: Path) -> None:
    sample(folder)
    there = (folder / SAMPLE).rename(folder.parent / "large-disk")
    (folder / SAMPLE).symlink_to(there)
    before = tree(there, hidden=True)
    assert sample(folder) == (folder / SAMPLE, None)
    with pytest.raises(DlError, match=rf"{SAMPLE} is a link to {there}") as caught:
        other_sample(folder)
    assert f"rm {folder / SAMPLE}" in caught.value.hint
    assert tree(there, hidden=True) == before
    operations.undo(folder / SAMPLE)
    assert len(open_photos(folder / "dogscats").splits["train"]) == 4


def test_a_link_to_nowhere_stays(folder: Path) -> None:
    (folder / SAMPLE).symlink_to("nowhere")
    for act in (sample, other_sample):
        with pytest.raises(DlError, match="was not made by `dl data sample`"):
            act(folder)
    assert (folder / SAMPLE).readlink() == Path("nowhere")
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_one_that_stops_says_what_to_type_and_names_no_folder_that_is_gone(
    folder: Path,
    failure: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(source: str, target: str) -> None:
        if isinstance(failure, OSError):
            failure.filename = target
        raise failure

    monkeypatch.setattr(os, "link", stop)
    with pytest.raises((DlError, KeyboardInterrupt)) as caught:
        sample(folder)
    said = capsys.readouterr().err
    if isinstance(caught.value, DlError):
        assert f"No space left, at {folder / SAMPLE}/train/" in caught.value.why
        said += caught.value.why + caught.value.hint
    assert f"{folder / SAMPLE} is as it was." in said
    assert "run the same command again." in said
    assert ".dl-" not in said
    assert not [*folder.glob(".*")]


@pytest.mark.parametrize("name", [".partial", ".replaced"])
@pytest.mark.parametrize("is_link", [False, True])
def test_folders_named_like_earlier_leftovers_stay_and_are_named(
    folder: Path, dl: Dl, name: str, is_link: bool
) -> None:
    theirs = plant(folder.parent / "theirs", {"thesis.txt": b"precious"})
    beside = folder / f".{SAMPLE}{name}"
    if is_link:
        beside.symlink_to(theirs)
    else:
        theirs = theirs.rename(beside)
    said = ok(dl("data", "sample", folder / "dogscats", "--train", 3, "--valid", 2)).stderr
    assert f"{beside} " in said
    assert f"rm {'' if is_link else '-r '}{beside}" in said
    assert tree(theirs, hidden=True) == {"thesis.txt": b"precious"}
    assert open_photos(folder / SAMPLE).splits["train"]


@pytest.mark.parametrize(
    "added",
    [
        *("notes.txt", "train/cat/mine.jpg", ".git/config", "valid/cat/linked"),
        *("features/notes.txt", "features/pooled-01234567/train.txt", ".dl/notes.txt"),
    ],
)
def test_a_sample_with_files_of_others_is_not_replaced(folder: Path, added: str) -> None:
    sample(folder)
    plant(folder / SAMPLE, {"features/pooled-01234567/train.bc/meta/sizes": b"made by dl"})
    (folder / SAMPLE / added).parent.mkdir(parents=True, exist_ok=True)
    (folder / SAMPLE / added).symlink_to("/etc")
    before = tree(folder / SAMPLE, hidden=True)
    with pytest.raises(DlError, match=f"it holds {added}, which `dl data sample` did not put"):
        other_sample(folder)
    assert tree(folder / SAMPLE, hidden=True) == before
    (folder / SAMPLE / added).unlink()
    assert other_sample(folder)[1] is not None


def retouch(folder: Path) -> None:
    (folder / SAMPLE / path_in(folder)).write_bytes(b"retouched")


def retouch_in_the_same_size_and_second(folder: Path) -> None:
    image = folder / SAMPLE / path_in(folder)
    before = image.stat()
    image.write_bytes(image.read_bytes()[::-1])
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove_the_original(folder: Path) -> None:
    (folder / "dogscats" / path_in(folder)).unlink()


def lead_the_original_to_its_copy(folder: Path) -> None:
    remove_the_original(folder)
    (folder / "dogscats" / path_in(folder)).symlink_to(folder / SAMPLE / path_in(folder))


def forge_the_journal(folder: Path) -> None:
    """A folder of somebody, with the journal of a sample."""
    journal = folder / SAMPLE / ".dl" / "0001-sample.done"
    text = journal.read_text()
    (folder / SAMPLE / path_in(folder)).rename(folder / SAMPLE / "train" / "thesis.txt")
    journal.write_text(text.replace(path_in(folder), "train/thesis.txt"))


def path_in(folder: Path) -> str:
    """An image of the dataset that the sample has, at first."""
    (journal,) = journals(folder / SAMPLE)
    return journal.read().moves[0].target


@pytest.mark.parametrize(
    "change",
    [
        retouch,
        retouch_in_the_same_size_and_second,
        remove_the_original,
        lead_the_original_to_its_copy,
        forge_the_journal,
    ],
)
def test_a_sample_with_what_its_dataset_has_not_is_not_replaced(
    folder: Path, change: Callable[[Path], None]
) -> None:
    sample(folder)
    change(folder)
    before = tree(folder, hidden=True)
    path = path_in(folder)
    with pytest.raises(DlError, match="is not replaced") as caught:
        other_sample(folder)
    assert caught.value.why.startswith(f"{path} may be the only copy")
    assert tree(folder, hidden=True) == before
    (folder / SAMPLE / path).unlink()
    (folder / "dogscats" / path).unlink(missing_ok=True)
    assert other_sample(folder)[1] is not None


def test_a_sample_is_replaced_after_its_datasets_settings_were_edited(folder: Path) -> None:
    sample(folder)
    settings = folder / "dogscats" / "dataset.yaml"
    settings.write_bytes(b"kaggle: {positive: cat}\n")
    assert sample(folder)[1] is None, "other settings make no other sample"
    assert other_sample(folder)[1] is not None
    assert (folder / SAMPLE / "dataset.yaml").read_bytes() == settings.read_bytes()


@pytest.mark.parametrize("recorded", [True, False])
def test_settings_that_were_edited_in_the_sample_are_the_users(
    folder: Path, recorded: bool
) -> None:
    sample(folder)
    (folder / "dogscats" / "dataset.yaml").write_bytes(b"kaggle: {positive: cat}\n")
    if recorded:
        (folder / SAMPLE / "dataset.yaml").write_bytes(b"kaggle: {positive: fox}\n")
    else:  # as a sample of 0.1.0
        (journal,) = (each.path for each in journals(folder / SAMPLE))
        header, *lines = journal.read_text().splitlines()
        values = json.loads(header)
        del values["details"]["settings_sha256"]
        journal.write_text("\n".join([json.dumps(values), *lines, ""]))
    assert sample(folder)[1] is None
    with pytest.raises(DlError, match="is not replaced") as caught:
        other_sample(folder)
    assert caught.value.why.startswith("dataset.yaml may be the only copy")


def test_a_sample_is_replaced_after_another_split(folder: Path) -> None:
    sample(folder)
    train, valid = folder / "dogscats" / "train", folder / "dogscats" / "valid"
    for image in [*valid.rglob("*.jpg")]:
        image.rename(train / image.relative_to(valid))
    splits.split(folder / "dogscats", 2, 5)
    assert other_sample(folder)[1] is not None


def test_settings_behind_a_link_are_copied_only_if_they_are_settings(folder: Path) -> None:
    secret = plant(folder.parent, {"secret": b"password: 1\n", "settings": b"kaggle: {}\n"})
    settings = folder / "dogscats" / "dataset.yaml"
    settings.unlink()
    settings.symlink_to(secret / "secret")
    with pytest.raises(DlError, match="no setting is called `password`"):
        sample(folder)
    assert not (folder / SAMPLE).exists()
    settings.unlink()
    settings.symlink_to(secret / "settings")
    sample(folder)
    assert (folder / SAMPLE / "dataset.yaml").read_bytes() == b"kaggle: {}\n"


@pytest.mark.forks
def test_what_a_killed_one_left_goes_with_the_next(folder: Path) -> None:
    number = 1
    while killed_before_change(number, partial(sample, folder)):
        number += 13
        if not (folder / SAMPLE).exists():
            sample(folder)
        names = {path.name for path in folder.iterdir()}
        assert names == {"dogscats", SAMPLE}
        operations.undo(folder / SAMPLE)
    assert number > 20


def test_it_is_not_taken_while_the_dataset_changes(folder: Path) -> None:
    with hold(folder / "dogscats"), pytest.raises(DlError, match="is being worked on"):
        sample(folder)
    assert not (folder / SAMPLE).exists()


@pytest.mark.forks
@pytest.mark.parametrize("mode", [0o555, 0o777])
def test_it_is_taken_of_a_dataset_that_can_only_be_read(folder: Path, mode: int) -> None:
    """All of it; or, where others share the dataset, only what its owner's `dl` keeps there."""
    folder.chmod(0o777)
    (folder / "dogscats" / ".dl").mkdir(mode=0o755)
    (folder / "dogscats").chmod(mode)
    for above in folder.parents:
        if above.is_relative_to(gettempdir()) and above != Path(gettempdir()):
            above.chmod(0o755)

    import_module("numpy.random")  # the child may not read the interpreter's own folder

    def act() -> None:
        become_nobody()
        sample(folder)

    assert forked(act) == 0
    assert open_photos(folder / SAMPLE).splits["train"]
