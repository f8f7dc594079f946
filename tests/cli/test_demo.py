"""`dl demo`: the path walked on digits, again and again."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset

from dlcli.data.demo import write_digits
from dlcli.errors import DlError
from dlcli.files.formats import read_csv, read_yaml

pytestmark = pytest.mark.slow


def test_the_demo_walks_the_path_and_leaves_the_users_own_dataset_alone(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_dataset(home / "data" / "mine", train=4, valid=0)
    there = sorted(mine.rglob("*"))
    monkeypatch.chdir(mine)
    monkeypatch.setenv("DL_DATASET", "mine")
    (mine / "dl.yaml").write_text("dataset: mine\nimage_size: 32\n")
    said = ok(dl("demo"))
    assert sorted(mine.rglob("*")) == sorted([*there, mine / "dl.yaml"])
    assert not (home / "runs" / "mine").exists()
    for command in ("data organize", "data split", "features", "train", "evaluate", "submit"):
        assert f"\n$ dl {command}" in said.stderr
    (run,) = (home / "runs" / "digits-demo").iterdir()
    assert read_yaml(run / "metrics.yaml")["accuracy"] >= 0.9
    header, *rows = read_csv(run / "submission.csv")
    assert header == ["id", *map(str, range(10))]
    assert len(rows) == 797
    assert str(Path("~/runs/digits-demo", run.name, "report.html")) in said.stdout


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(DlError, match="was not made by `dl demo`"):
        write_digits(tmp_path)
    assert (tmp_path / "photo.jpg").exists()


def test_a_second_demo_finds_the_same_images(tmp_path: Path) -> None:
    root = tmp_path / "digits"
    write_digits(root)
    first = {p.name: (p.read_bytes(), p.stat().st_mtime) for p in root.rglob("*.png")}
    write_digits(root)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime) for p in root.rglob("*.png")} == first
    assert len(first) == 1797
