"""Names that a disk may take for one, and odd names from archives."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.archives import zipped
from support.small_folders import make, tree

from dlcli.data import operations
from dlcli.data.photos.organize.names import require_distinct, tells_apart
from dlcli.data.photos.organize.organize import organize, to_organize
from dlcli.errors import DlError

ALIKE = [
    ("train/cat/1.jpg", "train/Cat/2.jpg"),
    ("train/cat/a.jpg", "train/cat/A.JPG"),
    ("train/\N{LATIN SMALL LETTER E WITH ACUTE}/1.jpg", "train/e\N{COMBINING ACUTE ACCENT}/2.jpg"),
]


@pytest.mark.parametrize("names", ALIKE)
@pytest.mark.parametrize("told_apart", [True, False])
def test_names_that_the_disk_takes_for_one_are_refused_before_anything_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str], told_apart: bool
) -> None:
    source = make(tmp_path / "pets", *names, "train/dog/1.jpg")
    monkeypatch.setattr("dlcli.data.photos.organize.names.tells_apart", lambda folder: told_apart)
    if told_apart:
        organize(source, tmp_path / "made")
        assert len(tree(tmp_path / "made")) == 3
        return
    for act in (to_organize, organize):
        with pytest.raises(DlError, match="have the same name on the disk of"):
            act(source, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_the_disk_is_asked_once_whatever_the_number_of_clashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(
        "dlcli.data.photos.organize.names.tells_apart", lambda at: not asked.append(at)
    )
    require_distinct(tmp_path, [f"train/{cat}/{n}.jpg" for cat in ("cat", "Cat") for n in range(9)])
    assert asked == [tmp_path]


def test_the_disk_is_asked_and_nothing_stays_on_it(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert tells_apart(tmp_path) is not (tmp_path / "A").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


ODD = ["new\nline", "\x1b[31m", "-rf", "--help", "x", " ", "\N{RIGHT-TO-LEFT OVERRIDE}gpj"]


def test_odd_names_in_an_archive_survive_organize_and_undo(tmp_path: Path) -> None:
    names = {f"train/{odd}/{odd}.{number}.jpg": b"" for number, odd in enumerate(ODD)}
    archive = zipped(tmp_path / "a.zip", names)
    organize(archive, tmp_path / "made")
    assert set(tree(tmp_path / "made")) == set(names)
    operations.undo(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_an_archive_brings_no_file_that_dl_keeps_for_itself(tmp_path: Path) -> None:
    good = {f"train/{name}/{i}.jpg": b"x" for name in ("a", "b") for i in range(2)}
    own = (".dl/0001-organize.done", ".made-by-dl", ".whole", ".drawn", "train/.dl/lock")
    archive = zipped(tmp_path / "a.zip", good | dict.fromkeys(own, b"[]"))
    organize(archive, tmp_path / "made")
    assert set(tree(tmp_path / "made", hidden=True)) - set(good) == {".dl/0001-organize.done"}
    assert (tmp_path / "made" / ".dl" / "0001-organize.done").read_bytes() != b"[]"
