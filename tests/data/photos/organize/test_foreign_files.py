"""Downloads that hold links, pipes, sockets and devices: read without harm, or refused by name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from support.archives import zipped
from support.pictures import make_pictures
from support.small_folders import KAGGLE, plant, tree

from dlcli.data.photos.organize.organize import OrganizeOptions, notes_of, organize, to_organize
from dlcli.errors import DlError

SECRET = b"id,label\nroot,x\n"
LABELLED = {
    **{f"train/{i}.jpg": f"image {i}".encode() for i in range(4)},
    "labels.csv": b"id,label\n" + b"".join(f"{i},{'ab'[i % 2]}\n".encode() for i in range(4)),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return plant(tmp_path / "kaggle", KAGGLE)


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


SPECIAL = {
    "a named pipe": os.mkfifo,
    "a socket": socket_at,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}
PLACES = ["labels.csv", "train/labels.csv", "train/cat.7.jpg", "train/cat/7.jpg", "dataset.yaml"]


@pytest.mark.parametrize("place", [*PLACES, "train.zip", "train/notes"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_named_before_anything_is_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, place: str
) -> None:
    monkeypatch.chdir(source)  # the name of a socket may not be long
    Path(place).parent.mkdir(exist_ok=True)
    SPECIAL[kind](Path(place))
    for act in (to_organize, organize):
        with pytest.raises(DlError, match=f"{place} is {kind}"):
            act(source, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_pipe_beside_archives_is_named_too(tmp_path: Path) -> None:
    download = plant(tmp_path / "download", {"train/cat.0.jpg": b"0", "train/dog.0.jpg": b"0"})
    zipped(download / "test.zip", {"1.jpg": b"1"})
    (download / "notes").mkdir()
    os.mkfifo(download / "notes" / "more.csv")
    with pytest.raises(DlError, match=r"more\.csv is a named pipe"):
        organize(download, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir() if "made" in path.name] == []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.csv").write_bytes(SECRET)
    (tmp_path / "elsewhere" / "secret.yaml").write_text("kaggle: {competition: theirs}\n")
    return tmp_path / "elsewhere"


def test_a_table_or_settings_that_are_a_link_to_elsewhere_are_not_copied_but_named(
    source: Path, elsewhere: Path, tmp_path: Path
) -> None:
    (source / "passwords.csv").symlink_to(elsewhere / "secret.csv")
    (source / "dataset.yaml").symlink_to("../elsewhere/secret.yaml")
    (source / "again.csv").symlink_to("sample_submission.csv")
    made = organize(source, tmp_path / "made")
    assert made is not None
    copied = tree(tmp_path / "made")
    assert copied["again.csv"] == KAGGLE["sample_submission.csv"], "its file is in the download"
    assert {"passwords.csv", "dataset.yaml"}.isdisjoint(copied)
    (note,) = (note for note in notes_of(made.operation) if "link" in note)
    assert "Not copied: 2 files" in note
    assert "dataset.yaml" in note
    assert "passwords.csv" in note


def test_labels_behind_a_link_are_read_and_not_copied(elsewhere: Path, tmp_path: Path) -> None:
    source = plant(tmp_path / "kaggle", LABELLED)
    (source / "labels.csv").rename(elsewhere / "labels.csv")
    (source / "labels.csv").symlink_to("../elsewhere/labels.csv")
    organize(source, tmp_path / "made")
    assert set(tree(tmp_path / "made")) == {
        *("train/a/0.jpg", "train/a/2.jpg", "train/b/1.jpg", "train/b/3.jpg")
    }


def test_beside_archives_a_link_to_elsewhere_is_not_copied(elsewhere: Path, tmp_path: Path) -> None:
    source = tmp_path / "kaggle"
    source.mkdir()
    zipped(source / "train.zip", {f"{name}.{i}.jpg": b"x" for name in ("a", "b") for i in range(2)})
    (source / "passwords.csv").symlink_to(elsewhere / "secret.csv")
    made = organize(source, tmp_path / "made")
    assert made is not None
    assert "passwords.csv" not in tree(tmp_path / "made")
    assert any("passwords.csv" in note for note in notes_of(made.operation))


@pytest.mark.parametrize("kind", ["move", "link"])
def test_moved_or_linked_a_link_stays_a_link(source: Path, elsewhere: Path, kind: str) -> None:
    (source / "passwords.csv").symlink_to(elsewhere / "secret.csv")
    made = source.with_name("made")
    organize(source, made, OrganizeOptions(kind))  # type: ignore[arg-type]
    assert (made / "passwords.csv").is_symlink()
    assert tree(elsewhere)["secret.csv"] == SECRET


def test_a_link_called_an_image_that_leads_to_another_file_is_not_copied(tmp_path: Path) -> None:
    key = plant(tmp_path, {"key": b"-----BEGIN OPENSSH PRIVATE KEY-----"}) / "key"
    make_pictures(tmp_path / "pool", ("cat", "dog"), 3)
    source = tmp_path / "pets"
    for photo in (tmp_path / "pool").rglob("*.png"):
        link = source / photo.relative_to(tmp_path / "pool")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(photo)
    (source / "cat" / "z.jpg").symlink_to(key)
    made = organize(source, tmp_path / "made")
    assert made is not None
    assert len(tree(tmp_path / "made")) == 6
    (note,) = (note for note in notes_of(made.operation) if "link" in note)
    assert "cat/z.jpg" in note


def test_links_without_a_suffix_are_copied_if_they_lead_to_images(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pool", ("cat", "dog"), 3)
    for number, photo in enumerate((tmp_path / "pool").rglob("*.png")):
        link = tmp_path / "pets/train" / photo.parent.name / f"photo{number}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(photo)
    assert organize(tmp_path / "pets", tmp_path / "made") is not None
    assert len(tree(tmp_path / "made")) == 6


def test_a_download_of_nothing_but_links_to_other_files_is_refused(tmp_path: Path) -> None:
    key = plant(tmp_path, {"key": b"-----BEGIN OPENSSH PRIVATE KEY-----"}) / "key"
    for name in ("cat", "dog"):
        (tmp_path / "pets/train" / name).mkdir(parents=True)
        (tmp_path / "pets/train" / name / "1.jpg").symlink_to(key)
    with pytest.raises(DlError, match="pets can be copied") as caught:
        organize(tmp_path / "pets", tmp_path / "made")
    assert f"train/cat/1.jpg -> {key}" in caught.value.hint
    assert not (tmp_path / "made").exists()
