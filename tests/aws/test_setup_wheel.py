"""A wheel of the `dl` that runs: pip takes it, and what it installs is the same."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import dlcli
from dlcli.aws import setup
from dlcli.errors import DlError

PACKAGE = Path(dlcli.__file__).parent


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
    assert "dlcli/report/page.css" in names
    assert [name for name in names if name.endswith(".pyc") or "/." in name] == []


def test_of_the_same_files_come_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(setup.write_wheel(tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_without_an_installation_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(setup, "distribution", absent)
    with pytest.raises(DlError, match="cannot be copied to a box") as refused:
        setup.version()
    assert "`pip install -e .`" in refused.value.hint
