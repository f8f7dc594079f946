"""Datasets of links: what moves, what is refused, and what an undo restores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.command_result import Dl, ok
from support.small_folders import make

from dlcli.data import operations
from dlcli.data.photos import splits
from dlcli.data.photos.organize.organize import OrganizeOptions, organize
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError
from dlcli.files.transfer import link_text


def pool(base: Path, each: int = 4) -> Path:
    """pool/cat/0.jpg and so on."""
    make(base, *(f"pool/{kind}/{i}.jpg" for kind in ("cat", "dog") for i in range(each)))
    return base / "pool"


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))


def test_photos_that_are_links_move_as_links_and_get_their_own_text_back(tmp_path: Path) -> None:
    images = pool(tmp_path)
    texts = {}
    for kind in ("cat", "dog"):
        folder = tmp_path / "pets" / "train" / kind
        folder.mkdir(parents=True)
        for number in range(4):
            # a way that `relpath` would not choose, and an absolute one
            text = f"../../../pool/./{kind}/{number}.jpg"
            texts[folder / f"{number}.jpg"] = text if number else f"{images}/{kind}/0.jpg"
    for link, text in texts.items():
        link.symlink_to(text)
    before = files_of(images)
    root = tmp_path / "pets"
    splits.split(root, 0.5, 0)
    moved = open_photos(root).splits["valid"]
    assert len(moved) == 4
    for path in moved:
        assert (root / path).is_symlink()
        assert (root / path).read_bytes().endswith(b".jpg"), "it still points to its file"
    assert files_of(images) == before
    operations.undo(root)
    assert {link: link_text(str(link)) for link in texts} == texts


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A dataset whose class folders are links into a pool."""
    images = pool(tmp_path)
    (tmp_path / "pets" / "train").mkdir(parents=True)
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / "train" / kind).symlink_to(f"../../pool/{kind}")
    assert len(files_of(images)) == 8
    return tmp_path / "pets"


def test_a_class_folder_that_is_a_link_is_read_and_nothing_moves_out_of_it(
    dl: Dl, linked: Path, tmp_path: Path
) -> None:
    ok(dl("data", "ls", linked))
    refused = dl("data", "split", linked)
    assert refused.exit_code == 1
    assert f"{linked}/train/cat is a link to {tmp_path}/pool/cat" in refused.stderr
    assert len(files_of(tmp_path / "pool")) == 8
    command = refused.stderr.partition("`dl data organize")[2].partition("`")[0]
    ok(dl("data", "organize", *command.split()))
    made = tmp_path / "pets-links"
    ok(dl("data", "split", made, "--valid", 2))
    dataset = open_photos(made)
    assert (len(dataset.splits["train"]), len(dataset.splits["valid"])) == (6, 2)
    assert len(files_of(tmp_path / "pool")) == 8
    ok(dl("data", "undo", made))
    said = ok(dl("data", "undo", made)).stderr
    assert "removed 8 links from" in said
    assert f"To do it again: `dl data organize {linked} {made} --link`" in said
    assert not made.exists()
    assert len(files_of(tmp_path / "pool")) == 8


def test_nothing_moves_out_of_a_download_that_holds_a_link(tmp_path: Path) -> None:
    pool(tmp_path)
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / "train").symlink_to("../pool")
    with pytest.raises(DlError, match="train is a link to"):
        organize(tmp_path / "download", tmp_path / "new", OrganizeOptions("move"))
    assert len(files_of(tmp_path / "pool")) == 8
    assert organize(tmp_path / "download", tmp_path / "new", OrganizeOptions("link")) is not None
    made = (tmp_path / "new" / "train" / "cat" / "0.jpg").readlink()
    assert made == tmp_path / "pool" / "cat" / "0.jpg", "the way through the link may go"


def test_a_link_that_somebody_replaced_stays_after_undo(tmp_path: Path) -> None:
    organize(pool(tmp_path), tmp_path / "new", OrganizeOptions("link"))
    changed = tmp_path / "new" / "train" / "cat" / "0.jpg"
    changed.unlink()
    changed.write_bytes(b"mine")
    assert operations.undo(tmp_path / "new").kept == ("train/cat/0.jpg",)
    assert files_of(tmp_path / "new") == ["train/cat/0.jpg"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pool", "pool", "--link"], "can't be made of links to itself"),
        (["pool", "new", "--link", "--move"], "not both"),
    ],
)
def test_what_can_not_be_linked_is_refused(
    dl: Dl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    pool(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = dl("data", "organize", *(f"./{w}" if w in ("pool", "new") else w for w in words))
    assert result.exit_code == 2
    assert says in result.stderr


def test_all_subfolders_of_classes_are_named_at_once_and_flatten_takes_them(
    dl: Dl, tmp_path: Path
) -> None:
    source = make(
        tmp_path / "pets",
        *("cat/1.jpg", "cat/2019/may/1.jpg", "cat/2019/may/2.jpg", "cat/new/3.jpg"),
        *("dog/1.jpg", "dog/a/9.jpg"),
    )
    made = tmp_path / "made"
    refused = dl("data", "organize", source, made)
    assert refused.exit_code == 1
    assert (
        f"4 images of {source} lie too deep, in 3 subfolders of class folders:\n"
        "  cat/2019/may/: 2 images\n  cat/new/: 1 image\n  dog/a/: 1 image\n" in refused.stderr
    )
    assert f"`dl data organize {source} {made} --flatten`" in refused.stderr
    ok(dl("data", "organize", source, made, "--flatten"))
    assert open_photos(made).splits["train"] == (
        *("train/cat/1.jpg", "train/cat/2.jpg", "train/cat/2019_may_1.jpg", "train/cat/3.jpg"),
        *("train/dog/1.jpg", "train/dog/9.jpg"),
    )
    assert "--flatten`" in ok(dl("data", "undo", made)).stderr


def test_a_dataset_is_flattened_in_place(dl: Dl, tmp_path: Path) -> None:
    root = make(tmp_path / "pets", "train/cat/1.jpg", "train/cat/new/2.jpg", "train/dog/3.jpg")
    refused = dl("data", "split", root)
    command = refused.stderr.partition("`dl data organize")[2].partition("`")[0]
    ok(dl("data", "organize", *command.split()))
    assert len(open_photos(root).splits["train"]) == 3
    assert not (root / "train" / "cat" / "new").exists()


@pytest.mark.parametrize("name", ["train", "valid", "valid/cat"])
def test_nothing_moves_through_a_link_in_place_of_a_split(tmp_path: Path, name: str) -> None:
    root = make(tmp_path / "pets", *(f"train/{k}/{i}.jpg" for k in ("cat", "dog") for i in "1234"))
    (tmp_path / "theirs").mkdir()
    if name == "train":
        (root / name).rename(tmp_path / "theirs" / name)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).symlink_to(tmp_path / "theirs" / name if name == "train" else tmp_path / "theirs")
    before = files_of(tmp_path / "theirs")
    with pytest.raises(DlError, match=f"{name} is a link to"):
        splits.split(root, 2, 0)
    assert files_of(tmp_path / "theirs") == before


def test_a_folder_that_becomes_a_link_meanwhile_stops_the_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "pets", *(f"train/{k}/{i}.jpg" for k in ("cat", "dog") for i in "1234"))
    before, link = files_of(root), os.link
    (tmp_path / "theirs").mkdir()

    def exchange(*names: str, **how: Any) -> None:
        link(*names, **how)
        if (root / "valid" / "dog").is_dir() and not (root / "valid" / "dog").is_symlink():
            (root / "valid" / "dog").rmdir()
            (root / "valid" / "dog").symlink_to(tmp_path / "theirs")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", exchange)
        with pytest.raises(DlError, match=r"it has become a link, at .*valid/dog") as error:
            splits.split(root, 4, 0)
    assert "stopped after 2 of 4 files" in error.value.what
    assert files_of(tmp_path / "theirs") == []
    (root / "valid" / "dog").unlink()
    operations.undo(root)
    assert files_of(root) == before


def test_a_linked_root_is_split_and_sampled_like_any_other(tmp_path: Path) -> None:
    make(tmp_path / "disk", *(f"train/{k}/{i}.jpg" for k in ("cat", "dog") for i in "1234"))
    (tmp_path / "pets").symlink_to("disk")
    splits.split(tmp_path / "pets", 2, 0)
    sample, outcome = splits.sample(tmp_path / "pets", 4, 2, 0)
    assert outcome is not None
    assert sample == tmp_path / "pets-sample"
    operations.undo(sample)
    operations.undo(tmp_path / "pets")
    assert len(open_photos(tmp_path / "disk").splits["train"]) == 8


def test_folders_and_hidden_files_of_others_beside_the_journals_stay(tmp_path: Path) -> None:
    root = make(tmp_path / "pets", *(f"train/{k}/{i}.jpg" for k in ("cat", "dog") for i in "1234"))
    theirs = make(root / ".dl", ".git/config", "cache/array", ".gitignore")
    splits.split(root, 2, 0)
    splits.sample(root, 4, 2, 0)
    operations.undo(root)
    left = sorted(str(path.relative_to(theirs)) for path in theirs.rglob("*") if path.is_file())
    assert left == [".git/config", ".gitignore", "cache/array"]
