"""git, called so that a repository's settings run nothing: the repository may be somebody else's.

What the user's own settings name may run, such as the filters of Git LFS.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import CompletedProcess

# Settings that name commands which git runs while it looks at files.
_NOTHING = {"core.fsmonitor": "", "core.hooksPath": os.devnull}
# A file is passed through its filter before it is compared. `required` refuses to go without one.
_FILTER = {"clean": "", "process": "", "required": "false"}
# The variables of the user's that count. Others may name another repository.
_KEPT = ("GIT_CONFIG_", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # as an older git does not know of the one above
    "GIT_TERMINAL_PROMPT": "0",
}


def run_git(
    folder: Path,
    *words: str,
    stdin: bytes | None = None,
    timeout_seconds: float | None = None,
    without: tuple[str, ...] = (),
) -> CompletedProcess[bytes]:
    """Run git in a folder.

    Args:
        without: names of filters that it does without.

    Raises:
        OSError: git is not installed.
        TimeoutExpired: it took too long.
    """
    import subprocess

    settings = dict(_NOTHING)
    for name in without:
        settings |= {f"filter.{name}.{key}": value for key, value in _FILTER.items()}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_KEPT)}
    return subprocess.run(
        ["git", "--no-pager", "-C", folder, *options, *words],
        env=kept | _ENVIRONMENT,
        stdin=subprocess.DEVNULL if stdin is None else None,
        input=stdin,
        capture_output=True,
        timeout=timeout_seconds,
        check=False,
    )


def commit_of(folder: Path, timeout_seconds: float = 5) -> str | None:
    """The commit of the repository around a folder, marked if files have changed since.

    It is marked, too, if git can't compare the files.

    None outside of a repository, and in one of another user: git refuses it, unless the user's
    `safe.directory` names it.
    """
    from subprocess import TimeoutExpired

    try:
        commit = _said(folder, "rev-parse", "--verify", "HEAD", timeout_seconds=timeout_seconds)
        if not commit:
            return None
        filters = _own_filters(folder, timeout_seconds)
        changed = any("=" in name for name in filters) or _has_changes(
            folder, filters, timeout_seconds
        )
    except (OSError, TimeoutExpired):  # git is missing, or the file system is slow
        return None
    return f"{commit} with changes" if changed else commit


def _has_changes(folder: Path, without: tuple[str, ...], timeout_seconds: float) -> bool:
    words = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    done = run_git(folder, *words, timeout_seconds=timeout_seconds, without=without)
    return done.returncode != 0 or bool(done.stdout)


def _own_filters(folder: Path, timeout_seconds: float) -> tuple[str, ...]:
    """The names of the filters in a repository's own settings, those of a work tree too."""
    names: dict[str, None] = {}
    for scope in ("--local", "--worktree"):
        asked = ("config", scope, "--includes", "-z", "--name-only", "--get-regexp", r"^filter\.")
        for key in _said(folder, *asked, timeout_seconds=timeout_seconds).split("\0"):
            names |= {key.partition(".")[2].rpartition(".")[0]: None} if key else {}
    return tuple(names)


def _said(folder: Path, *words: str, timeout_seconds: float) -> str:
    """What git says; "" if it fails."""
    done = run_git(folder, *words, timeout_seconds=timeout_seconds)
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""
