"""git, asked about a repository that may be somebody else's: nothing of its settings runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.aws.copy.lists import git_ignored, listed_project
from dlcli.git import _ENVIRONMENT as ENVIRONMENT
from dlcli.git import commit_of

# Each may name a command in a repository's own settings.
NAMING = [
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.sshCommand",
    "core.askPass",
    "diff.external",
    "diff.evil.textconv",
    "diff.evil.command",
    "filter.{name}.clean",
    "filter.{name}.process",
    "pager.status",
    "gpg.program",
    "credential.helper",
    "alias.status",
    "submodule.sub.update",
]


@pytest.fixture
def git(home: Path, require_tool: Callable[[str], str]) -> Callable[..., None]:
    """git, as the repository's author types it."""
    tool = require_tool("git")
    who = ("-c", "user.name=x", "-c", "user.email=x")

    def run(folder: Path, *words: str) -> None:
        subprocess.run([tool, "-C", folder, *who, *words], check=True, capture_output=True)

    return run


@pytest.fixture
def theirs(home: Path, git: Callable[..., None]) -> Path:
    """A repository with a commit."""
    folder = home / "theirs"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.py").write_text("a\n")
    (folder / ".gitignore").write_text("*.zip\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "x")
    return folder


def hostile(folder: Path, git: Callable[..., None], name: str) -> Path:
    """Let every setting of a repository that may name a command make a file; returns its path.

    Args:
        name: of its filter.
    """
    tells, script = folder.parent / "it ran", folder.parent / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch '{tells}'\ncat\n")
    script.chmod(0o755)
    for key in (each.format(name=name) for each in NAMING):
        git(folder, "config", key, f"!{script}" if key.startswith("alias") else str(script))
    git(folder, "config", f"filter.{name}.required", "true")
    for file in (folder / ".gitattributes", folder / ".git" / "info" / "attributes"):
        file.write_text(f"* filter={name} diff=evil\n")
    for hook in ("post-index-change", "post-checkout", "pre-commit", "reference-transaction"):
        place = folder / ".git" / "hooks" / hook
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(script)
    return tells


@pytest.mark.parametrize("name", ["evil", "a=b"])
def test_no_setting_of_a_repository_runs_anything(
    theirs: Path, git: Callable[..., None], name: str
) -> None:
    tells = hostile(theirs, git, name)
    # git has to compare what was written at the same time, or since, by its content
    os.utime(theirs / "a.py")
    commit = commit_of(theirs)
    assert commit
    assert len(commit.split()[0]) == 40
    listed_project(theirs, False)
    assert git_ignored(theirs, ["a.zip", "a.py"]) == {"a.zip"}
    assert not tells.exists()
    subprocess.run(["git", "-C", theirs, "status"], capture_output=True, check=False)
    assert tells.exists()  # what is tested here does run something


def test_changes_are_told(theirs: Path, git: Callable[..., None]) -> None:
    clean = commit_of(theirs)
    assert clean
    assert len(clean) == 40
    os.utime(theirs / "a.py", (1, 1))
    (theirs / "new.py").touch()
    assert commit_of(theirs) == clean
    (theirs / "a.py").write_text("b\n")
    assert commit_of(theirs) == f"{clean} with changes"
    git(theirs, "add", "a.py")
    assert commit_of(theirs) == f"{clean} with changes"
    git(theirs, "commit", "-qm", "y")
    assert commit_of(theirs) not in (None, clean, f"{clean} with changes")


@pytest.mark.parametrize("is_old", [False, True])
def test_a_missing_object_is_not_fetched_and_what_it_hides_may_have_changed(
    theirs: Path, git: Callable[..., None], monkeypatch: pytest.MonkeyPatch, is_old: bool
) -> None:
    if is_old:
        monkeypatch.delitem(ENVIRONMENT, "GIT_NO_LAZY_FETCH")
    commit, tells = commit_of(theirs), theirs.parent / "it ran"
    assert commit
    asked = ["git", "-C", theirs, "rev-parse", "HEAD^{tree}"]
    tree = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    (theirs / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    for key, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "far",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "remote.far.promisor": "true",
        "remote.far.url": f"ext::touch {str(tells).replace(' ', '% ')}",
    }.items():
        git(theirs, "config", key, value)
    assert commit_of(theirs) == f"{commit} with changes"
    assert not tells.exists()


def test_a_filter_of_the_user_is_used(theirs: Path, git: Callable[..., None], home: Path) -> None:
    (home / ".gitconfig").write_text('[filter "upper"]\n clean = tr a-z A-Z\n')
    (theirs / ".gitattributes").write_text("*.txt filter=upper\n")
    (theirs / "b.txt").write_text("b\n")
    git(theirs, "add", ".")
    git(theirs, "commit", "-qm", "y")
    os.utime(theirs / "b.txt", (1, 1))
    commit = commit_of(theirs)
    assert commit
    assert "with changes" not in commit


def test_the_environment_names_no_other_repository(
    theirs: Path, home: Path, git: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = commit_of(theirs)
    other = home / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert commit_of(theirs) == known


def test_a_folder_outside_of_a_repository_has_no_commit(home: Path) -> None:
    assert commit_of(home) is None
