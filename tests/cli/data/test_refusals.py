"""What `dl data` does not do, or does not do yet, and the way out that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_folders import make, tree

from dlcli.data.photos.photos import open_photos


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("organize", "nowhere"), 1, "Error: No such folder: ~/nowhere"),
        (("organize", "empty"), 1, "Error: No training images in ~/empty"),
        (
            ("organize", "odd.zip"),
            1,
            "Error: ~/odd.zip is not an archive: its content is not that of a",
        ),
        (("organize",), 2, "Error: `dl data organize` needs SRC\n"),
        (("split", "nowhere"), 1, "Error: No such dataset: nowhere"),
        (("split", "pet"), 1, "Did you mean `pets`?"),
        (("split", "empty"), 1, "Error: No images in ~/empty"),
        (("split", "pets"), 1, "already holds images: a dataset is split once"),
        (("split", "flat"), 1, "Run `dl data organize ~/flat`"),
        (("split", "--valid", "1.5"), 2, "expected a number of images or ratings (400) or a share"),
        (("split", "--valid", "0"), 2, "expected a number of images"),
        (("split", "--valid", "x"), 2, "expected a number of images"),
        (("split", "--valid", "nan"), 2, "expected a number of images"),
        (("split", "one", "--valid", "2"), 1, "leaves 1 to move"),
        (("sample", "one"), 1, "has only class `cat`"),
        (("sample", "pets", "--train", "1"), 2, "1 is too few for a sample of 2 classes"),
        (("sample", "pets", "--train", "0"), 2, "expected a whole number of at least 1"),
        (("undo", "pets"), 1, "Error: Nothing to undo in ~/data/pets"),
        (("undo",), 1, "Error: No dataset is named"),
        (("spilt",), 2, "Did you mean `split`?"),
    ],
)
def test_what_can_not_be_done_is_said_with_a_way_out(
    dl: Dl, home: Path, command: tuple[str, ...], code: int, says: str
) -> None:
    make(home / "data/pets", "train/cat/1.jpg", "train/dog/1.jpg", "valid/cat/2.jpg")
    make(home / "one", "train/cat/1.jpg", "train/cat/2.jpg")
    make(home / "flat", "train/cat.1.jpg", "train/dog.1.jpg")
    make(home, "odd.zip")
    (home / "empty").mkdir()
    before = tree(home, hidden=True)
    result = dl("data", *command)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    after = {
        path: content for path, content in tree(home, hidden=True).items() if ".local" not in path
    }
    assert after == before


def test_a_clash_stops_everything_before_it_begins(dl: Dl, home: Path) -> None:
    root = make(home / "data/pets", "train/cat.1.jpg", "train/dog.1.jpg", "train/cat/cat.1.jpg")
    before = tree(root, hidden=True)
    result = dl("data", "organize", "pets")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: ~/data/pets/train/cat/cat.1.jpg would be overwritten: another file has that name\n"
        "Nothing was moved. Rename one of the two, or move it away.\n"
    )
    assert tree(root, hidden=True) == before


def test_an_interrupted_split_is_finished_by_the_next_change(dl: Dl, home: Path) -> None:
    root = make(home / "data/pets", *(f"train/{k}/{i}.jpg" for k in "ab" for i in range(10)))
    ok(dl("data", "split", "pets"))
    (journal,) = (root / ".dl").glob("*.done")
    journal.rename(journal.with_suffix(".pending"))
    moved = root / open_dataset_of_pending(root)
    moved.rename(root / str(moved.relative_to(root)).replace("valid/", "train/", 1))
    refused = dl("data", "split", "pets", "--dry-run")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Dataset ~/data/pets (named)\n"
        "Error: `dl data split` has not finished in ~/data/pets: it is still running, or it was "
        "stopped\n"
        "`dl data split ~/data/pets --seed 0` finishes it, `dl data undo ~/data/pets` takes it "
        "back.\n"
    )
    assert "`dl data split` has not finished in ~/data/pets" in ok(dl("data", "ls")).stdout
    assert dl("data", "ls", "pets").stderr == refused.stderr
    assert not moved.exists()
    result = ok(dl("data", "split", "pets"))
    assert "Finished `split` in ~/data/pets, which had been stopped.\n" in result.stderr
    assert len(open_photos(root).splits["valid"]) == 4


def open_dataset_of_pending(root: Path) -> str:
    """One of the files that a split moved, as its journal lists it."""
    (journal,) = (root / ".dl").glob("*.pending")
    source, target = json.loads(journal.read_text().splitlines()[1])
    assert source.startswith("train/")
    return str(target)


def test_a_sample_is_not_begun_where_a_link_leads_nowhere(dl: Dl, home: Path) -> None:
    pets = (f"train/{kind}/{i}.jpg" for kind in ("cat", "dog") for i in range(10))
    root = make(home / "data" / "pets", *pets)
    ok(dl("data", "split", "pets"))
    (root / "train" / "cat" / "link.jpg").symlink_to("nowhere.jpg")
    refused = dl("data", "sample")
    assert refused.exit_code == 1
    assert "link.jpg does not exist" in refused.stderr
    assert not (home / "data" / "pets-sample").exists()


# A file where a folder is needed, or the other way round


@pytest.mark.parametrize(
    ("command", "what", "why"),
    [
        (("organize", "lost"), "~/lost is a broken link", "~/gone, to which it leads, does not"),
        (("organize", "flat", "./lost"), "~/lost is a broken link", "~/gone, to which it leads,"),
        (("organize", "flat", "pets/valid/x"), "~/pets/valid is a file", "`dl` needs a folder"),
        (("split", "pets"), "~/pets/valid is a file", "`dl` needs a folder there"),
        (("ls", "pets"), "~/pets/valid is a file", "`dl` needs a folder there"),
        (("ls", "unplugged"), "~/unplugged/train is a broken link", "~/gone, to which it leads,"),
        (("split", "~/lost"), "~/lost is a broken link", "~/gone, to which it leads, does not"),
        (("sample", "odd"), "~/odd/dataset.yaml is a folder", "`dl` needs a file there"),
    ],
)
def test_what_is_not_a_folder_or_not_a_file_is_named(
    dl: Dl, home: Path, command: tuple[str, ...], what: str, why: str
) -> None:
    make(home / "flat", "cat/1.jpg", "dog/1.jpg")
    make(home / "pets", *(f"train/{kind}/{i}.jpg" for kind in ("cat", "dog") for i in "12"))
    make(home / "odd", *(f"{s}/{kind}/1.jpg" for s in ("train", "valid") for kind in ("a", "b")))
    make(home, "pets/valid")
    (home / "odd/dataset.yaml").mkdir()
    (home / "lost").symlink_to(home / "gone")
    (home / "unplugged").mkdir()
    (home / "unplugged/train").symlink_to(home / "gone")
    before = tree(home / "flat")
    result = dl("data", *command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"Error: {what}: {why}" in result.stderr
    assert "Can't use" not in result.stderr
    assert tree(home / "flat") == before


@pytest.mark.parametrize(
    ("variable", "command"),
    [("DL_DATA_DIR", ("data", "ls")), ("DL_RUNS_DIR", ("runs", "ls", "--all"))],
)
def test_a_setting_for_a_folder_that_is_none_is_named(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, command: tuple[str, ...]
) -> None:
    make(home, "notes.txt")
    monkeypatch.setenv(variable, str(home / "notes.txt"))
    key = variable.removeprefix("DL_").lower()
    result = dl(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        f"Error: ~/notes.txt is a file: `{key}` needs a folder, and is ~/notes.txt by {variable}\n"
        f"Set `{key}` to a folder: `dl config set {key} FOLDER`"
    )


def test_a_new_dataset_in_a_data_folder_that_is_a_file_is_refused(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(home, "notes.txt", "flat/cat/1.jpg", "flat/dog/1.jpg")
    monkeypatch.setenv("DL_DATA_DIR", str(home / "notes.txt"))
    for command in (("organize", "flat", "new"), ("split", "new")):
        result = dl("data", *command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Error: ~/notes.txt is a file: `dl` needs a folder there\n" in result.stderr


def test_a_file_in_the_place_of_what_is_remembered_is_named(dl: Dl, home: Path) -> None:
    make(home, ".local/state", "pets/train/cat/1.jpg", "project/dl.yaml")
    why = "~/.local/state is a file"
    result = dl("config", "trust", "project")
    assert result.exit_code == 1
    assert f"Error: {why}: `dl` needs a folder there\n" in result.stderr
    assert (
        f"can't remember the dataset in ~/.local/state/dl/dataset: {why}. "
        in ok(dl("data", "ls", "pets")).stderr
    )
