"""Which files there are on both sides, and what git says of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.sshd import Sshd, program

from dlcli.aws.copy.copy import prepare
from dlcli.aws.copy.lists import (
    checkout_around,
    git_ignored,
    listed_here,
    listed_project,
    listed_there,
)
from dlcli.aws.copy.plan import Folders
from dlcli.aws.ssh import connect
from dlcli.errors import DlError

ODD = ["a b", "two\nlines", "-rf", 'say "hi"', "$(x)", "\udcff", "#c", "back\\slash"]


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run([program("git"), "-C", folder, *identity, *words], check=True)


@pytest.fixture
def project(home: Path) -> Path:
    """A checkout with tracked, new, ignored and removed files."""
    root = home / "code" / "my project"
    (root / "src").mkdir(parents=True)
    git(root, "init", "-q")
    (root / ".gitignore").write_text("*.log\n/data/\n.venv/\n")
    for name in ("src/train.py", "removed.py", "kept.log"):
        (root / name).write_text(name)
    git(root, "add", "-f", ".")
    git(root, "commit", "-q", "-m", "all")
    (root / "removed.py").unlink()
    for name in ("new.py", "x.log", "data/1.jpg", "data/2.jpg", ".venv/bin/python", *ODD):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("new")
    return root


def test_a_project_is_what_git_says_it_is(project: Path) -> None:
    found, ignored = listed_project(project, with_history=False)
    assert ignored == {"x.log", "data/", ".venv/"}
    assert set(found) - ignored == {".gitignore", "src/train.py", "kept.log", "new.py", *ODD}


def test_the_checkout_is_found_from_within(project: Path) -> None:
    assert checkout_around(project / "src") == project


def test_outside_of_a_checkout_it_says_so(home: Path) -> None:
    with pytest.raises(DlError, match="is not in a git checkout") as error:
        checkout_around(home)
    assert "git init" in error.value.hint


def test_a_repository_within_is_left_out(project: Path) -> None:
    git(project, "init", "-q", "inner")
    (project / "inner" / "x.py").write_text("")
    git(project / "inner", "add", ".")
    git(project / "inner", "commit", "-q", "-m", "x")
    found, _ = listed_project(project, with_history=False)
    assert found["inner"].odd == "nested git repositories"
    assert "inner/x.py" not in found


def test_the_history_comes_along_when_told_but_no_password_in_it(project: Path) -> None:
    found, _ = listed_project(project, with_history=True)
    assert found[".git/HEAD"].odd == ""
    assert found[".git/config"].odd == ""
    git(project, "remote", "add", "origin", "https://me:secret@example.org/x.git")
    found, _ = listed_project(project, with_history=True)
    assert found[".git/config"].odd == "it may hold a password"


def test_git_is_asked_about_files_that_are_not_here(project: Path, home: Path) -> None:
    (project / "elsewhere").symlink_to(home)
    names = ["y.log", "kept.log", "data/9.jpg", "z.py", "../x.log", "elsewhere/x.log", *ODD]
    assert git_ignored(project, names) == {"y.log", "data/9.jpg"}
    assert git_ignored(project, []) == set()


def test_both_sides_are_listed_alike(sshd: Sshd) -> None:
    folder = sshd.home / "odd"
    for name in ODD:
        (folder / name).mkdir(parents=True)
        (folder / name / name).write_text(name, "utf-8", "surrogateescape")
    (folder / "link").symlink_to("two\nlines")
    os.mkfifo(folder / "pipe")
    (folder / ".dl-partial").mkdir()
    (folder / ".dl-partial" / "half").touch()
    with connect(sshd.host()) as client:
        there, complete = listed_there(client, str(folder))
        assert listed_there(client, str(sshd.home / "nowhere")) == ({}, True)
    assert complete
    here = listed_here(folder)
    assert set(there) == set(here)
    for name, entry in here.items():
        other = there[name]
        assert (other.link, other.odd, int(other.modified)) == (
            entry.link,
            entry.odd,
            int(entry.modified),
        )
        assert other.size == entry.size
    assert listed_here(sshd.home / "nowhere") == {}


def test_a_project_comes_back_without_what_git_ignores_here(sshd: Sshd, project: Path) -> None:
    there = sshd.home / "projects" / project.name
    for name in ("src/train.py", "made.py", "y.log", ".venv/x", ".git/HEAD", "data/1.jpg"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text("theirs")
    os.utime(there / "src" / "train.py", (1, 1))
    folders = Folders("project", project, f"projects/{project.name}", is_project=True)
    with connect(sshd.host()) as client:
        plan = prepare(client, "get", folders).plan
        with_deletion = prepare(client, "put", folders, delete=True).plan
    assert plan.send == ("made.py",)
    assert plan.newer == ("src/train.py",)
    assert plan.left_out == {"ignored by git": (".venv/x", "data/1.jpg", "y.log")}
    assert with_deletion.delete == ("made.py",)
    assert with_deletion.left_out == {"ignored by git": (".venv/", "data/", "x.log")}
