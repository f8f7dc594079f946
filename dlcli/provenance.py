"""Where a result comes from: code, versions, machine, command."""

from __future__ import annotations

import os
import platform
import shlex
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

BACKENDS = ("keras", "tensorflow", "jax", "torch", "numpy")
PACKAGES = (*BACKENDS, "openvino", "pillow", "simplejpeg", "opencv-python-headless")


def provenance() -> dict[str, Any]:
    """What `config.yaml` records beside the settings: command, versions, git commit, host."""
    from dlcli.version import __version__

    versions = {"dlcli": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": command_line(),
        "folder": str(Path.cwd()),
        "git": _git_commit(Path.cwd()),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def command_line() -> str:
    """What was typed, as it can be pasted into a shell."""
    return shlex.join(["dl", *sys.argv[1:]])


def _git_commit(folder: Path) -> str | None:
    """The commit of the project around the folder, marked where files have changed since."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = commit and _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.TimeoutExpired):  # no git, or a slow file system
        return None
    return f"{commit} with changes" if changed else commit or None


def _git(folder: Path, *arguments: str) -> str:
    git = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(git, capture_output=True, text=True, timeout=5)
    return done.stdout.strip() if done.returncode == 0 else ""
