"""Files and folders are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.children import killed_before_change, no_file_above

from dlcli.files.atomic import aside, atomic, atomic_folder, atomic_write, remove_leftovers
from dlcli.files.formats import write_csv, write_yaml
from dlcli.files.own import MARKER, NotOwnError

pytestmark = pytest.mark.forks


def in_a_child(action: Callable[[], None]) -> int:
    """Run something in a forked process; answers with its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    file.write_text("old")

    def fail_half_way() -> None:
        with atomic(file) as temporary:
            assert temporary.suffixes == file.suffixes  # Keras' savers insist on theirs
            temporary.write_text("new, but")
            raise ValueError

    with pytest.raises(ValueError):
        fail_half_way()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("model.keras", "old")]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "status.yaml"
    file.write_text("old")

    def die_half_way() -> None:
        with atomic(file) as temporary:
            temporary.write_text("new, but")
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_a_child(die_half_way)) == signal.SIGKILL
    assert file.read_text() == "old"


@pytest.mark.parametrize(
    "write",
    [
        lambda file: atomic_write(file, "x" * 100_000),
        lambda file: write_yaml(file, ["x" * 100] * 1000),
        lambda file: write_csv(file, [["x" * 100]] * 1000),
    ],
    ids=["text", "yaml", "csv"],
)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    file = tmp_path / "history.csv"
    file.write_text("old")

    def write_too_much() -> None:
        no_file_above(10_000)
        write(file)

    assert os.WEXITSTATUS(in_a_child(write_too_much)) == errno.EFBIG
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("history.csv", "old")]


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()

    def die_writing() -> None:
        with atomic(folder / "best.keras") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_a_child(die_writing)) == signal.SIGKILL
    (left,) = folder.iterdir()
    own = (".2024-notes.txt", ".dl-notes", ".dl-my-notes", "dl-1-a", ".dl-1-a-b-c")
    kept = [folder / name for name in own]
    for file in kept:
        file.touch()
    with atomic(folder / "at-work") as ours:
        ours.touch()
        remove_leftovers(tmp_path)
        assert not left.exists()
        assert sorted(folder.iterdir()) == sorted([*kept, ours.parent])


def test_a_temporary_folder_with_half_a_mark_is_removed_and_one_with_a_file_stays(
    tmp_path: Path,
) -> None:
    def die_marking(mark: bytes) -> None:
        with aside(tmp_path / "history.csv") as folder:
            whole = (folder / ".made-by-dl").read_bytes()
            (folder / ".made-by-dl").write_bytes(mark or whole[:20])
            os.kill(os.getpid(), signal.SIGKILL)

    for mark in (b"mine", b""):
        assert os.WTERMSIG(in_a_child(lambda mark=mark: die_marking(mark))) == signal.SIGKILL
    remove_leftovers(tmp_path)
    (left,) = tmp_path.iterdir()
    assert (left / ".made-by-dl").read_bytes() == b"mine"


def test_two_writers_of_one_file_have_a_temporary_file_each(tmp_path: Path) -> None:
    file = tmp_path / "status.yaml"
    with atomic(file) as one, atomic(file) as other:
        one.write_text("one")
        other.write_text("other")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("status.yaml", "one")]


def test_what_earlier_versions_left_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / ".dl-4194305-best.keras"
    later = tmp_path / "models" / ".dl-4194305-0123abcd-4567cdef.old-engine"
    later.mkdir(parents=True)
    old.touch()
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path)
    assert (old.exists(), later.exists()) == (True, True), "they have no mark that nothing else has"
    said = capsys.readouterr().err
    assert said.count("may be what a stopped command of an earlier version left") == 2
    assert ".dl-4194305-best.keras" in said


def killed_while_it_wrote(file: Path) -> Path:
    """The temporary folder that is left."""

    def die_writing() -> None:
        with atomic(file) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_a_child(die_writing)) == signal.SIGKILL
    (left,) = file.parent.glob(".dl-*")
    return left


def test_what_others_put_among_leftovers_stays_and_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = killed_while_it_wrote(tmp_path / "best.keras")
    (left / "thesis.txt").write_text("precious")
    remove_leftovers(tmp_path)
    assert contents(left)["thesis.txt"] == "precious"
    assert not (left / "best.keras").exists()
    assert f"{left.name} stays: it holds something" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["copied", "renamed", "without its mark", "with another's mark"])
def test_what_only_looks_like_a_leftover_stays(
    tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    left = killed_while_it_wrote(tmp_path / "best.keras")
    if change == "copied":
        copy = tmp_path / "copy"
        shutil.copytree(left, copy)
        shutil.rmtree(left)
        copy.rename(left)
    elif change == "renamed":
        left.rename(left.with_name(f"{left.name[:-8]}01234567"))
    elif change == "without its mark":
        (left / MARKER).unlink()
    else:
        (left / MARKER).write_text('{"dl": "write", "pid": 4194305}')
    day = time.time() - 25 * 3600
    for path in tmp_path.rglob("*"):
        os.utime(path, (day, day))
    before = contents(tmp_path)
    remove_leftovers(tmp_path)
    atomic_write(tmp_path / "other", "text")
    make(tmp_path / "best.keras", "new")
    assert before.items() <= contents(tmp_path).items()
    said = capsys.readouterr().err.count("it is a copy of a temporary folder of `dl`")
    assert said == (change in ("copied", "renamed")), "once"


def test_links_are_not_followed_for_leftovers(tmp_path: Path) -> None:
    left = killed_while_it_wrote(tmp_path / "best.keras")
    far = tmp_path / "far"
    far.mkdir()
    (tmp_path / "run" / "models").mkdir(parents=True)
    left.rename(far / left.name)
    (tmp_path / "run" / "link").symlink_to(far)
    (tmp_path / "run" / left.name).symlink_to(far / left.name)
    remove_leftovers(tmp_path / "run")
    assert (far / left.name / "best.keras").read_text() == "half"


@pytest.mark.parametrize(
    "write",
    [
        lambda place, root: atomic_write(place, "new", root),
        lambda place, root: atomic_folder(place, root, replace=True).__enter__(),
    ],
    ids=["file", "folder"],
)
def test_no_link_is_followed_below_the_root(
    tmp_path: Path, write: Callable[[Path, Path], None]
) -> None:
    far, run = tmp_path / "far", tmp_path / "run"
    for folder in (far / "engine", run):
        folder.mkdir(parents=True)
    (far / "engine" / "model.bin").write_text("precious")
    (run / "models").symlink_to(far)
    place = run / "models" / "engine"
    with pytest.raises(NotOwnError, match="run/models is a link to"):
        write(place, run)
    assert contents(far) == {"engine/model.bin": "precious"}


def test_a_folder_that_is_a_link_is_not_replaced(tmp_path: Path) -> None:
    make(tmp_path / "far", "precious")
    (tmp_path / "onnx").symlink_to("far")
    with pytest.raises(NotOwnError, match="onnx is a link to far"):
        make(tmp_path / "onnx", "new", replace=True)
    assert contents(tmp_path / "far") == {"model.bin": "precious"}
    assert (tmp_path / "onnx").is_symlink()


def test_what_another_machine_writes_stays_until_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_process_here(pid: int) -> bool:
        return False

    with monkeypatch.context() as other:
        other.setattr("socket.gethostname", lambda: "gpu-box")
        writing = atomic(tmp_path / "best.keras")
        theirs = writing.__enter__()
    theirs.write_text("half")
    monkeypatch.setattr("dlcli.process.exists", no_process_here)
    remove_leftovers(tmp_path)
    assert theirs.exists()
    day = time.time() - 25 * 3600
    os.utime(theirs.with_name(MARKER), (day, day))
    remove_leftovers(tmp_path)
    assert not theirs.exists()


def make(
    path: Path,
    text: str,
    *,
    replace: bool = False,
    keep_others: bool = False,
    at_end: Callable[[], None] = int,
) -> None:
    with atomic_folder(path, replace=replace, keep_others=keep_others) as built:
        (built / "model.bin").write_text(text)
        at_end()


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_appears_whole_and_its_parent_with_it(tmp_path: Path) -> None:
    make(tmp_path / "exports" / "onnx", "new")
    assert contents(tmp_path) == {"exports/onnx/model.bin": "new"}


def test_a_folder_that_is_there_gives_way_only_where_that_is_asked_for(tmp_path: Path) -> None:
    make(tmp_path / "onnx", "old")
    (tmp_path / "onnx" / "mine").write_text("mine")
    with pytest.raises(OSError, match="not empty"):
        make(tmp_path / "onnx", "new")
    assert contents(tmp_path) == {"onnx/model.bin": "old", "onnx/mine": "mine"}
    make(tmp_path / "onnx", "new", replace=True, keep_others=True)
    assert contents(tmp_path) == {"onnx/model.bin": "new", "onnx/mine": "mine"}
    make(tmp_path / "onnx", "newer", replace=True)
    assert contents(tmp_path) == {"onnx/model.bin": "newer"}


def test_what_others_put_into_a_folder_survives_its_replacement_killed_anywhere(
    tmp_path: Path,
) -> None:
    mine = {"onnx/mine/deep/a.txt": "a", "onnx/b.txt": "b"}
    for number in range(1, 50):
        folder = tmp_path / str(number) / "onnx"
        make(folder, "old")
        (folder / "mine" / "deep").mkdir(parents=True)
        for name, text in mine.items():
            (folder.parent / name).write_text(text)
        again = partial(make, folder, replace=True, keep_others=True)
        killed = killed_before_change(number, lambda again=again: again("new"))  # type: ignore[misc]
        again("newer")
        assert contents(folder.parent) | mine == contents(folder.parent)
        if not killed:
            break
    assert number > 10


def test_a_failing_block_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path / "onnx", "old")

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        make(tmp_path / "onnx", "new", replace=True, at_end=fail)
    assert contents(tmp_path) == {"onnx/model.bin": "old"}


def test_what_a_killed_maker_of_a_folder_left_goes_with_the_next(tmp_path: Path) -> None:
    make(tmp_path / "onnx", "old")

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    for path in (tmp_path / "onnx", tmp_path / "tf"):
        child = in_a_child(lambda path=path: make(path, "new", replace=True, at_end=die))  # type: ignore[misc]
        assert os.WTERMSIG(child) == signal.SIGKILL
    assert contents(tmp_path / "onnx") == {"model.bin": "old"}
    make(tmp_path / "onnx", "newer", replace=True)
    assert len(list(tmp_path.iterdir())) == 2, "only what was to become this folder"
    remove_leftovers(tmp_path)
    assert contents(tmp_path) == {"onnx/model.bin": "newer"}


def test_a_kill_while_a_folder_is_replaced_leaves_a_whole_one(tmp_path: Path) -> None:
    make(tmp_path / "onnx", "old")

    def die_removing(folder: Path, ignore_errors: bool) -> None:
        if folder.exists():
            (folder / "model.bin").unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def replace() -> None:
        shutil.rmtree = die_removing  # type: ignore[assignment]
        make(tmp_path / "onnx", "new", replace=True)

    assert os.WTERMSIG(in_a_child(replace)) == signal.SIGKILL
    assert contents(tmp_path / "onnx") == {"model.bin": "new"}
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["onnx"]


def test_killed_at_any_change_the_next_call_replaces_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "onnx"
    for number in range(1, 50):
        make(folder, "old", replace=True)
        killed = killed_before_change(number, partial(make, folder, "new", replace=True))
        assert not folder.exists() or contents(folder)["model.bin"] in ("old", "new")
        make(folder, "newer", replace=True)
        assert contents(folder) == {"model.bin": "newer"}
        if not killed:
            break
    assert number > 5
    for left in tmp_path.glob(".dl-*"):
        os.utime(left, (0, 0))  # killed before it had its mark
    make(folder, "last", replace=True)
    assert contents(tmp_path) == {"onnx/model.bin": "last"}


@pytest.mark.parametrize("name", ["x" * 250 + ".npy", "\u00e9" * 125 + ".npy", "y" * 255])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, name: str) -> None:
    atomic_write(tmp_path / name, "text")
    with atomic(tmp_path / name) as temporary:
        assert temporary.suffix == (tmp_path / name).suffix
        temporary.write_text("new")
    assert contents(tmp_path) == {name: "new"}

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    folder = tmp_path / f"z{name[1:]}"
    assert os.WTERMSIG(in_a_child(lambda: make(folder, "half", at_end=die))) == signal.SIGKILL
    make(folder, "old")
    make(folder, "new", replace=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, folder.name})


def test_a_kill_between_the_two_renames_loses_no_folder(tmp_path: Path) -> None:
    make(tmp_path / "onnx", "old")
    rename = Path.rename

    def once(path: Path, target: Path) -> Path:
        rename(path, target)
        os.kill(os.getpid(), signal.SIGKILL)
        return target

    def replace() -> None:
        Path.rename = once  # type: ignore[method-assign,assignment]
        make(tmp_path / "onnx", "new", replace=True)

    def fail() -> None:
        raise ValueError

    assert os.WTERMSIG(in_a_child(replace)) == signal.SIGKILL
    assert not (tmp_path / "onnx").exists()
    with pytest.raises(ValueError):
        make(tmp_path / "onnx", "newer", replace=True, at_end=fail)
    assert contents(tmp_path) == {"onnx/model.bin": "old"}


def test_ctrl_c_while_a_folder_is_replaced_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "onnx", "old")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if rename_calls.pop():
            raise KeyboardInterrupt
        return rename(path, target)

    rename_calls = [False, True, False]
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "onnx", "new", replace=True)
    assert contents(tmp_path) == {"onnx/model.bin": "old"}
