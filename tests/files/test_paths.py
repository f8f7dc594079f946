"""Where `dl` keeps its files, and how a path is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcli.files.paths import config_home, shown, state_home
from dlcli.words import printable


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


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("a b.jpg", "a b.jpg"),
        ("Zürich 日本.jpg", "Zürich 日本.jpg"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b31m", "\\x9b31m"),  # the same as ESC [ to some terminals
        ("\u202egpj.exe", "\\u202egpj.exe"),  # would turn the rest of the line around
        ("\udcff.jpg", "\\udcff.jpg"),  # a byte that is not UTF-8
    ],
)
def test_whatever_a_name_holds_what_is_shown_can_be_printed(name: str, printed: str) -> None:
    assert shown(name) == printed


def test_no_break_spaces_stay_as_they_are() -> None:
    assert printable("99.9\u00a0%\n") == "99.9\u00a0%\\n"
