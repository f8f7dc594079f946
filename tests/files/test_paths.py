"""Where `dl` keeps its files, how a path is shown and quoted, folders that get a number."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from dlcli.errors import DlError
from dlcli.files.paths import absolute, config_home, make_numbered, quoted, shown, state_home


def test_files_are_kept_below_home(home: Path) -> None:
    assert config_home() == home / ".config" / "dl"
    assert state_home() == home / ".local" / "state" / "dl"


def test_an_absolute_xdg_folder_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_home() == tmp_path / "dl"


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_another_xdg_folder_is_ignored_as_its_specification_says(
    monkeypatch: pytest.MonkeyPatch, home: Path, value: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", value)
    assert config_home() == home / ".config" / "dl"


def test_home_is_shown_as_a_tilde(home: Path) -> None:
    assert shown(home / "data") == "~/data"
    assert shown(home) == "~"
    assert shown(Path(f"{home}-other") / "data") == f"{home}-other/data"


def test_a_new_folder_of_a_name_that_is_taken_gets_a_number_up_to_an_end(tmp_path: Path) -> None:
    made = [make_numbered(tmp_path / "runs" / "dense", most=3).name for _ in range(3)]
    assert made == ["dense", "dense-2", "dense-3"]
    with pytest.raises(DlError, match="and 2 numbered folders of that name exist already"):
        make_numbered(tmp_path / "runs" / "dense", most=3)


def test_a_path_is_made_absolute_and_its_links_stay(tmp_path: Path, home: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert absolute(tmp_path / "link" / ".." / "link") == tmp_path / "link"
    assert absolute(Path("~/data")) == home / "data"
    assert absolute(Path("data")) == home / "data"


@pytest.mark.parametrize(
    "name", ["dogscats", "two words", "it's", "$HOME", "-rf", "new\nline", "猫"]
)
def test_a_path_can_be_pasted_into_a_shell(home: Path, name: str) -> None:
    (home / name).mkdir()
    script = f"printf %s {quoted(home / name)}"
    assert subprocess.check_output(["sh", "-c", script], text=True) == str(home / name)


def test_a_path_is_quoted_only_where_it_must_be(home: Path) -> None:
    assert quoted(home / "data" / "dogscats") == "~/data/dogscats"
    assert quoted(home / "two words") == shlex.quote(f"{home}/two words")
