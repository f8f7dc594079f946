"""A lock between real processes: one at a time has it, the others are told which."""

from __future__ import annotations

import fcntl
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.errors import DlError
from dlcli.files import locks
from dlcli.files.formats import read_yaml
from dlcli.files.locks import alone_in, held
from dlcli.files.own import NotOwnError

HOLD = """
import sys
from pathlib import Path
from dlcli.files.locks import held

with held(Path(sys.argv[-1]), "taken"):
    print("held", flush=True)
    input()
"""
# Nobody else may ever see the other file while one has the lock.
TAKE_TURNS = """
import os, sys
from pathlib import Path
from dlcli.errors import DlError
from dlcli.files.locks import held

lock, alone = map(Path, sys.argv[1:])
turns = 0
while turns < 50:
    try:
        with held(lock, "taken"):
            os.close(os.open(alone, os.O_CREAT | os.O_EXCL))
            alone.unlink()
            turns += 1
    except DlError:
        pass
"""


def start(script: str, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def holder(file: Path) -> subprocess.Popen[str]:
    """A process that has the lock, as if `dl train 'a b' FILE` had been typed."""
    process = start(HOLD, "train", "a b", file)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def take(file: Path) -> None:
    with held(file, "It is taken"):
        assert read_yaml(file)["pid"] == os.getpid()


def test_the_second_is_told_whose_process_has_it_and_what_that_does(tmp_path: Path) -> None:
    file = tmp_path / "lock.yaml"
    process = holder(file)
    since = read_yaml(file)["owner"]["since"]
    with pytest.raises(DlError) as refused:
        take(file)
    assert refused.value.why == (
        f"by process {process.pid} of {getpass.getuser()} on {socket.gethostname()} "
        f"since {since}: `dl train 'a b' {file}`"
    )
    process.communicate("\n")
    assert not file.exists()
    take(file)
    assert not file.exists()


def test_a_killed_holder_has_nothing_any_more_whatever_it_left(tmp_path: Path) -> None:
    file = tmp_path / "lock.yaml"
    process = holder(file)
    process.kill()
    process.communicate()
    assert read_yaml(file)["pid"] == process.pid
    take(file)
    assert not file.exists()


@pytest.mark.parametrize("left", ["", "pid: [", "- 1\n", "pid: 999999999\n"])
def test_a_holder_whose_name_can_not_be_read_has_it_nevertheless(tmp_path: Path, left: str) -> None:
    file = tmp_path / "lock.yaml"
    process = holder(file)
    file.write_text(left)
    with pytest.raises(DlError, match="It is taken"):
        take(file)
    process.communicate("\n")


def test_of_many_one_at_a_time_has_it(tmp_path: Path) -> None:
    processes = [start(TAKE_TURNS, tmp_path / "lock.yaml", tmp_path / "alone") for _ in range(3)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


WAIT = """
import sys
from pathlib import Path
from dlcli.files.locks import held

with held(Path(sys.argv[1]), "It is taken", wait=True):
    print("held", flush=True)
"""


@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_who_waits_says_for_whom_once_and_has_it_next(tmp_path: Path, end: str) -> None:
    file = tmp_path / "lock.yaml"
    process = holder(file)
    waiting = [
        subprocess.Popen(
            [sys.executable, "-c", WAIT, str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = []
    for each in waiting:
        assert each.stderr is not None
        said.append(each.stderr.readline())
    process.kill() if end == "is killed" else process.communicate("\n")
    for each, first in zip(waiting, said, strict=True):
        out, err = each.communicate(timeout=60)
        assert (each.returncode, out, err) == (0, "held\n", "")
        assert first.startswith(f"Waiting: It is taken by process {process.pid} of ")
        assert first.count("\n") == 1
    process.communicate()
    assert not file.exists()


def test_who_waits_for_a_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def end(text: str) -> None:
        said.append(text)
        os.close(other)

    monkeypatch.setattr(locks, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(locks, "say", end)
    with alone_in(tmp_path):
        pass
    assert said == []
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with alone_in(tmp_path):
        pass
    assert said == [f"Waiting: another process has locked {tmp_path}"]


def test_what_was_locked_may_be_removed_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with held(folder / "lock.yaml", "It is taken"):
        shutil.rmtree(folder)
    assert not folder.exists()


def test_a_lock_that_went_with_its_folder_leaves_the_next_ones_alone(tmp_path: Path) -> None:
    file = tmp_path / "run" / "lock.yaml"
    with held(file, "It is taken", make_folder=True):
        shutil.rmtree(file.parent)
        file.parent.mkdir()
        process = holder(file)
    with pytest.raises(DlError, match="It is taken"):
        take(file)
    process.communicate("\n")
    assert not file.exists()


def test_a_folder_may_go_while_it_is_locked_in(tmp_path: Path) -> None:
    file, turns = tmp_path / "made" / "lock.yaml", iter(range(3))
    os_open = os.open

    def late(path: str, flags: int, *rest: int, **folder: int) -> int:
        # another process, at its end, removes the folder
        if path == file.name and next(turns, None) is not None:
            file.parent.rmdir()
        return os_open(path, flags, *rest, **folder)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "open", late)
        with held(file, "It is taken", make_folder=True):
            assert file.exists()
    with pytest.raises(FileNotFoundError), held(tmp_path / "none" / "lock.yaml", "It is taken"):
        pass


def test_a_holder_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    file = tmp_path / "lock.yaml"
    with held(file, "It is taken"):
        os.utime(file, (0, 0))
        end = time.monotonic() + 10
        while file.stat().st_mtime < 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert time.time() - file.stat().st_mtime < 10


def link_to(other: Path, lock: Path) -> None:
    lock.symlink_to(other)


def second_name_of(other: Path, lock: Path) -> None:
    other.write_text("")
    lock.hardlink_to(other)


def folder_behind_a_link(other: Path, lock: Path) -> None:
    lock.parent.rmdir()
    lock.parent.symlink_to(other.parent)


def file_of_others(other: Path, lock: Path) -> None:
    shutil.copy(other, lock)


def named_pipe(other: Path, lock: Path) -> None:
    os.mkfifo(lock)


@pytest.mark.parametrize(
    "instead", [link_to, second_name_of, folder_behind_a_link, file_of_others, named_pipe]
)
def test_what_others_keep_at_its_place_stays_as_it_is(
    tmp_path: Path, instead: Callable[[Path, Path], None]
) -> None:
    other, lock = tmp_path / "theirs" / "thesis.txt", tmp_path / "pets" / ".dl" / "lock"
    for folder in (other.parent, lock.parent):
        folder.mkdir(parents=True)
    other.write_text("precious")
    instead(other, lock)
    before = {path: path.lstat() for path in tmp_path.rglob("*")}
    with pytest.raises(NotOwnError, match=r"pets/\.dl"):
        held(lock, "It is taken", root=tmp_path / "pets", make_folder=True).__enter__()
    assert {path: path.lstat() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"pid",
        b"pid: 1\nhost: x\n",
        b"`dl data split`, pr",
        b"by process 7061 on laptop",
        bytes(9),
    ],
)
def test_what_a_stopped_process_left_is_no_hindrance(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "lock"
    file.write_bytes(left)
    take(file)
    assert not file.exists()


def test_the_folder_that_is_locked_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "pets").symlink_to("real")
    with held(tmp_path / "pets/.dl/lock", "x", root=tmp_path / "pets", make_folder=True):
        assert (tmp_path / "real/.dl/lock").exists()
