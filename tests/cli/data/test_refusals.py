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
        (("split", "--valid", "1.5"), 2, "expected a number of images (400) or a share"),
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
