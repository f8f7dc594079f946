"""Where `dl` keeps its files, how a path is shown and quoted, folders that get a number."""

from __future__ import annotations

import pwd
import shlex
import subprocess
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused

from dlcli.errors import DlError
from dlcli.files.paths import (
    absolute,
    config_home,
    expanded,
    make_numbered,
    quoted,
    shown,
    state_home,
)
from dlcli.files.paths import (
    home as home_folder,
)


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


def test_no_path_is_shortened_by_a_home_that_is_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")  # Docker's, for a user without an account
    assert shown("/data/dogscats") == quoted(Path("/data/dogscats")) == "/data/dogscats"
    assert shown("/") == "/"
    assert absolute(Path("~/data")) == Path("/data")


def test_a_slash_at_the_end_of_home_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("HOME", f"{home}/")
    assert shown(home / "data") == "~/data"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and a user without an account, as in some containers."""

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_no_home_folder_is_said_where_one_is_needed(
    dl: Dl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown("/data") == "/data"
    assert expanded("~/data") == Path("~/data")
    for words in (("data", "ls"), ("runs",), ("config", "path"), ("features", "ls", "-d", "x")):
        said = refused(dl(*words), "There is no home folder: HOME is not set", "export HOME=FOLDER")
        assert said.stderr.count("\n") == 2
    for folder in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{folder}_HOME", str(tmp_path))
    monkeypatch.setenv("DL_RUNS_DIR", str(tmp_path))
    refused(dl("data", "ls"), "There is no home folder")
    refused(dl("data", "ls", "--data-dir", "~/x"), "there is no home folder", exit_code=2)
    monkeypatch.setenv("DL_DATA_DIR", str(tmp_path))  # then none is needed
    ok(dl("data", "ls"))
    ok(dl("--version"))


def test_a_relative_home_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "me")
    with pytest.raises(DlError, match="no home folder: HOME is me, which is not an absolute path"):
        home_folder()


def test_a_name_after_a_tilde_that_is_nobodys_is_refused_unless_a_file_has_it(home: Path) -> None:
    with pytest.raises(DlError, match="~nobody-of-that-name/x: the name after `~` is not a user"):
        absolute(Path("~nobody-of-that-name/x"))
    (home / "~$photo.jpg").touch()  # as Office names a file that is open
    assert absolute(Path("~$photo.jpg")) == home / "~$photo.jpg"


@pytest.mark.parametrize(
    "words",
    [
        ("data", "organize", "~nobodys/x"),
        ("data", "organize", ".", "~nobodys/x"),
        ("data", "augment-preview", "--output=~nobodys/x.png"),
        ("export", "--format=onnx", "--to=~nobodys/x"),
        ("runs", "compare", "--out=~nobodys/x.png"),
        ("runs", "report", "--to=~nobodys/x.html"),
        ("submit", "--sample-submission=~nobodys/x.csv"),
        ("config", "show", "--config=~nobodys/x.yaml"),
        ("runs", "--runs-dir=~nobodys/x"),
        ("predict", "~nobodys/x.jpg"),
        ("train", "linear", "-d", "~nobodys/x"),
    ],
)
def test_every_command_refuses_it_in_words(dl: Dl, words: tuple[str, ...]) -> None:
    said = dl(*words)
    assert said.exit_code in (1, 2)
    assert "~nobodys/x" in said.stderr
    assert "Traceback" not in said.stderr


def test_the_home_folder_is_found_in_an_option_that_the_shell_left_alone(
    dl: Dl, home: Path
) -> None:
    (home / "mine.yaml").write_text("seed: 7\n")
    assert "7" in ok(dl("config", "show", "seed", "--config=~/mine.yaml")).stdout


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
