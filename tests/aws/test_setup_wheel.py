"""A wheel of the `dl` that runs: pip takes it, and what it installs is the same."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

import dlcli
from dlcli.aws import setup
from dlcli.errors import DlError

PACKAGE = Path(dlcli.__file__).parent


class Installed(importlib.metadata.Distribution):
    """An installation as its installer describes it."""

    def __init__(self, folder: Path, direct_url: str | None) -> None:
        self.folder, self.direct_url = folder, direct_url

    def read_text(self, filename: str) -> str | None:
        return self.direct_url if filename == "direct_url.json" else ""

    def locate_file(self, path: object) -> Path:
        return self.folder / str(path)

    @property
    def metadata(self) -> Message:
        about = Message()
        about["Version"] = "1.2.3"
        return about


def test_pip_installs_it_and_dl_runs_from_there(tmp_path: Path) -> None:
    made = setup.write_wheel(tmp_path)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "-q"]
    subprocess.run([*pip, "--target", target, made], check=True)
    done = subprocess.run(
        [sys.executable, "-c", "import dlcli, dlcli.__main__; print(dlcli.__file__)"],
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(target / "dlcli/__init__.py")
    assert (target / "bin/dl").exists()

    def files(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert files(target / "dlcli") == files(PACKAGE)


def test_it_holds_the_scripts_for_a_box_and_nothing_that_was_compiled(tmp_path: Path) -> None:
    names = ZipFile(setup.write_wheel(tmp_path)).namelist()
    assert "dlcli/aws/box/watchdog.sh" in names
    assert "dlcli/report/page.html" in names
    assert [name for name in names if name.endswith(".pyc") or "/." in name] == []


def test_of_the_same_files_come_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(setup.write_wheel(tmp_path / name).read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("direct_url", "elsewhere", "expected"),
    [
        (None, False, True),
        ('{"dir_info": {"editable": true}, "url": "file:///src/dl"}', False, False),
        ('{"url": "https://github.com/x/y", "vcs_info": {"vcs": "git"}}', False, False),
        (None, True, False),  # the index has one, and another is running
    ],
)
def test_the_index_has_what_was_installed_from_it_by_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    direct_url: str | None,
    elsewhere: bool,
    expected: bool,
) -> None:
    installed = Installed(tmp_path if elsewhere else PACKAGE.parent, direct_url)
    monkeypatch.setattr(setup, "distribution", lambda name: installed)
    assert setup.from_index() is expected
    assert setup.version() == "1.2.3"


def test_without_an_installation_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(setup, "distribution", absent)
    with pytest.raises(DlError, match="cannot be copied to a box") as refused:
        setup.from_index()
    assert "`pip install -e .`" in refused.value.hint
