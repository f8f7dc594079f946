"""Organise, split, sample and undo: on real folders, killed at every step, refused, at once.

For each kill a child process is forked, which dies by SIGKILL right before its n-th system call
that changes the disk, for every n there is. Then the next call must end as if nothing had been.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy.random  # noqa: F401 - nobody, whom a child becomes, may not be let into this folder
import pytest

from dlcli import arranging
from dlcli.dataset import open_dataset
from dlcli.errors import DlError
from dlcli.journal import hold, journals
from dlcli.transfer import PARTIAL

pytestmark = pytest.mark.forks

Tree = dict[str, bytes]
Act = Callable[[Path], Any]

# Each is announced by the interpreter before it happens (PEP 578); so is "open".
CHANGES = {
    "fcntl.flock",
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

KAGGLE = {
    **{f"train/cat.{i}.jpg": f"cat {i}".encode() for i in range(2)},
    **{f"train/dog.{i}.jpg": f"dog {i}".encode() for i in range(2)},
    "test1/1.jpg": b"test 1",
    "sample_submission.csv": b"id,label\n1,0.5\n",
}
DATASET = {
    **{f"train/cat/{i}.jpg": f"cat {i}".encode() for i in range(3)},
    **{f"train/dog/{i}.jpg": f"dog {i}".encode() for i in range(3)},
    "dataset.yaml": b"kaggle: {positive: dog}\n",
}
SPLIT = {
    path.replace("train/", "valid/") if path.endswith("/0.jpg") else path: content
    for path, content in DATASET.items()
}


def plant(root: Path, files: Tree) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def tree(root: Path, *, hidden: bool = False) -> Tree:
    """Every file below a folder, and its content; hidden ones, as `.dl/`, only when asked for."""
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if hidden or not any(part.startswith(".") for part in Path(name).parts)
    }


def folders(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir())


def fork(act: Callable[[], Any]) -> int:
    """Run in a forked child; its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
    return pid


def wait(pid: int) -> int:
    """How a child ended: 0, 1 after an exception, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_before_change(number: int, act: Callable[[], Any]) -> bool:
    """Run in a child that dies before its n-th change; False where it ended before that."""

    def act_and_die() -> None:
        left = [number]

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            if event in CHANGES or (event == "open" and arguments[2] & WRITING):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        act()

    code = wait(fork(act_and_die))
    assert code in (0, -signal.SIGKILL)
    return code != 0


def kills(act: Act, start: Tree, base: Path, before: Act | None = None) -> Iterator[Path]:
    """For each step there is, a fresh folder in which `act` was killed at that step."""
    number = 1
    while True:
        folder = plant(base / str(number), start)
        if before:
            before(folder)
        if not killed_before_change(number, partial(act, folder)):
            assert number > 10, "the kills must have reached the work itself"
            return
        kept = list(tree(folder, hidden=True).values())
        assert all(content in kept for content in start.values()), "a file was lost"
        yield folder
        shutil.rmtree(folder)
        number += 1


def organize_copy(base: Path) -> Any:
    return arranging.organize(base / "kaggle", base / "dogscats")


def organize_move(base: Path) -> Any:
    return arranging.organize(base / "kaggle", base / "dogscats", move=True)


def organize_in_place(base: Path) -> Any:
    return arranging.organize(base / "kaggle", base / "kaggle")


def split(base: Path) -> Any:
    return arranging.split(base / "dogscats", 2, 0)


def sample(base: Path) -> Any:
    return arranging.sample(base / "dogscats", 3, 2, 0)


def other_sample(base: Path) -> Any:
    return arranging.sample(base / "dogscats", 2, 2, 0, replace=True)


def again(act: Act, folder: Path) -> None:
    """Call again; a split that was killed after its very end says that it was done."""
    try:
        act(folder)
    except DlError as error:
        assert act is split
        assert "already holds images" in str(error)


def undo(name: str, base: Path) -> Any:
    return arranging.undo(base / name)


def under(folder: str, files: Tree) -> Tree:
    return {f"{folder}/{path}": content for path, content in files.items()}


DOWNLOADED = under("kaggle", KAGGLE)
MADE = under("dogscats", DATASET)
MADE_AND_SPLIT = under("dogscats", SPLIT)

ON_EACH_DISK = [
    pytest.param("links", organize_copy, "dogscats", DOWNLOADED, id="organize-copy"),
    pytest.param("links", organize_move, "dogscats", DOWNLOADED, id="organize-move"),
    pytest.param("links", organize_in_place, "kaggle", DOWNLOADED, id="organize-in-place"),
    pytest.param("links", split, "dogscats", MADE, id="split"),
    pytest.param("links", sample, "dogscats-sample", MADE_AND_SPLIT, id="sample"),
    pytest.param("no links", organize_copy, "dogscats", DOWNLOADED, id="organize-copy-no-links"),
    pytest.param("no links", split, "dogscats", MADE, id="split-no-links"),
]
on_each_disk = pytest.mark.parametrize(
    ("disk", "act", "name", "start"), ON_EACH_DISK, indirect=["disk"]
)


@pytest.fixture
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with hard links, or one that refuses each, as FAT does."""

    def refuse(source: str, target: str, **how: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), target)

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


@on_each_disk
def test_killed_at_any_step_the_same_call_ends_as_if_it_had_not_been(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    whole = plant(tmp_path / "whole", start)
    act(whole)
    expected, shape = tree(whole), folders(whole)
    assert expected != start
    for folder in kills(act, start, tmp_path):
        again(act, folder)
        assert tree(folder) == expected
        assert folders(folder) == shape
        assert not list(folder.rglob(PARTIAL))


@on_each_disk
def test_killed_at_any_step_it_can_be_taken_back(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    for folder in kills(act, start, tmp_path):
        if journals(folder / name):
            undo(name, folder)
        assert tree(folder) == start


@on_each_disk
def test_an_undo_killed_at_any_step_is_finished_by_the_next(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    for folder in kills(partial(undo, name), start, tmp_path, before=act):
        if journals(folder / name):
            undo(name, folder)
        assert tree(folder) == start
        left = set(folders(folder)) - set(folders(plant(tmp_path / "before", start)))
        assert left <= {name, f"{name}/.dl"}, "the next call there would use these, or remove them"


@on_each_disk
def test_killed_twice_it_still_ends_right(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    whole = plant(tmp_path / "whole", start)
    act(whole)
    for number, folder in enumerate(kills(act, start, tmp_path)):
        killed_before_change(number * 7 % 20 + 1, partial(again, act, folder))
        again(act, folder)
        assert tree(folder) == tree(whole)


def test_a_sample_replaced_and_killed_at_any_step_is_whole_after_the_next_call(
    tmp_path: Path,
) -> None:
    whole = plant(tmp_path / "whole", MADE_AND_SPLIT)
    other_sample(whole)
    for folder in kills(other_sample, MADE_AND_SPLIT, tmp_path, before=sample):
        other_sample(folder)
        assert tree(folder) == tree(whole)
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_move_to_another_disk_killed_at_any_step_loses_nothing(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    whole = plant(tmp_path / "whole", DOWNLOADED)
    organize_move(whole)
    expected = tree(whole / "dogscats")
    with TemporaryDirectory(dir=memory) as other:

        def act(folder: Path) -> None:
            arranging.organize(folder / "kaggle", Path(other, folder.name), move=True)

        number = 1
        while True:
            folder, target = plant(tmp_path / str(number), DOWNLOADED), Path(other, str(number))
            killed = killed_before_change(number, partial(act, folder))
            there = tree(target, hidden=True) if target.exists() else {}
            kept = [*tree(folder, hidden=True).values(), *there.values()]
            assert all(content in kept for content in DOWNLOADED.values())
            if not killed:
                break
            if journals(target) and number % 2:
                arranging.undo(target)
                assert tree(folder) == DOWNLOADED
                assert not target.exists()
            else:
                act(folder)
                assert tree(target) == expected
                assert tree(folder) == {}
            number += 1
    assert number > 50


def test_a_half_written_copy_is_written_anew(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    journal_is_written = 6
    while not journals(folder / "dogscats"):
        assert killed_before_change(journal_is_written, partial(organize_copy, folder))
        journal_is_written += 1
    (folder / "dogscats" / "train" / "cat").mkdir(parents=True, exist_ok=True)
    (folder / "dogscats" / "train" / "cat" / PARTIAL).write_bytes(b"ca")
    organize_copy(folder)
    assert (folder / "dogscats/train/cat/cat.0.jpg").read_bytes() == b"cat 0"
    assert not list(folder.rglob(PARTIAL))


def words_of(act: Callable[[], Any], before: Callable[[], Any]) -> str:
    """What a child says that is first put under some restraint and then fails."""
    reader, writer = os.pipe()

    def act_and_tell() -> None:
        before()
        try:
            act()
        except (DlError, OSError) as error:
            os.write(writer, str(error).encode())

    assert wait(fork(act_and_tell)) == 0
    os.close(writer)
    with os.fdopen(reader) as file:
        return file.read()


def no_file_above(size: int) -> None:
    """The kernel then refuses to write on, as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def become_nobody() -> None:
    """Root may write anywhere; nobody may not."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def test_a_full_disk_stops_a_copy_which_goes_on_once_there_is_room(tmp_path: Path) -> None:
    large = {"kaggle/train/dog.0.jpg": b"x" * 50_000}
    folder = plant(tmp_path, DOWNLOADED | large)
    words = words_of(partial(organize_copy, folder), partial(no_file_above, 10_000))
    assert "`organize` stopped after 4 of 6 files: File too large" in words
    assert "Nothing is lost." in words
    assert not list(folder.rglob(PARTIAL)), "half a file only takes room"
    with pytest.raises(DlError, match="is not finished"):
        open_dataset(folder / "dogscats")
    organize_copy(folder)
    assert (folder / "dogscats/train/dog/dog.0.jpg").read_bytes() == b"x" * 50_000


def test_without_room_for_the_journal_nothing_moves(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    words = words_of(partial(split, folder), partial(no_file_above, 100))
    assert "Can't write the journal of `split`" in words
    assert "Nothing was moved" in words
    assert tree(folder, hidden=True) == MADE


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that nobody can reach, as it can't reach pytest's own."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("protected", "act"),
    [("dogscats", split), ("dogscats/train/cat", split), ("dogscats", sample)],
)
def test_without_permission_nothing_moves(open_to_all: Path, protected: str, act: Act) -> None:
    start = MADE if act is split else MADE_AND_SPLIT
    folder = plant(open_to_all, start)
    for path in folders(folder):
        (folder / path).chmod(0o777)
    (folder / protected).chmod(0o555)
    words = words_of(partial(act, folder), become_nobody)
    assert "ermission denied" in words
    assert tree(folder, hidden=True) == start


def test_a_read_only_folder_can_be_copied_from(open_to_all: Path) -> None:
    folder = plant(open_to_all, DOWNLOADED)
    for path in folders(folder):
        (folder / path).chmod(0o555)
    folder.chmod(0o777)
    assert words_of(partial(organize_copy, folder), become_nobody) == ""
    assert len(tree(folder / "dogscats")) == len(KAGGLE)
    assert words_of(partial(undo, "dogscats", folder), become_nobody) == ""
    assert tree(folder, hidden=True) == DOWNLOADED


def test_the_second_of_two_is_told_who_is_at_work(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    with hold(folder / "dogscats", "dl data split"):
        words = words_of(partial(split, folder), lambda: None)
    assert "is being worked on: `dl data split`, process " in words
    assert str(os.getpid()) in words
    assert tree(folder, hidden=True) == MADE


@pytest.mark.parametrize("act", [split, sample, organize_copy, organize_in_place])
def test_many_at_once_do_it_once(tmp_path: Path, act: Act) -> None:
    start = {split: MADE, sample: MADE_AND_SPLIT}.get(act, DOWNLOADED)
    whole = plant(tmp_path / "whole", start)
    act(whole)
    folder = plant(tmp_path / "shared", start)

    def act_or_be_told() -> None:
        try:
            act(folder)
        except DlError as error:
            expected = ("being worked on", "already holds", "not finished")
            assert any(words in str(error) for words in expected), error

    assert [wait(pid) for pid in [fork(act_or_be_told) for _ in range(6)]] == [0] * 6
    assert tree(folder) == tree(whole)


def test_the_same_seed_splits_the_same_files_another_seed_others(tmp_path: Path) -> None:
    files = {f"d/train/{c}/{i}.jpg": b"x" for c in ("cat", "dog") for i in range(50)}
    made = []
    for number, seed in enumerate((1, 1, 2)):
        root = plant(tmp_path / str(number), files) / "d"
        arranging.split(root, 20, seed)
        made.append(open_dataset(root).splits["valid"])
    assert made[0] == made[1] != made[2]


def test_two_operations_are_taken_back_the_later_first(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    root = folder / "kaggle"
    organize_in_place(folder)
    organized = tree(folder)
    arranging.split(root, 2, 0)
    assert arranging.undo(root).operation.name == "split"
    assert tree(folder) == organized
    assert arranging.undo(root).operation.name == "organize"
    assert tree(folder, hidden=True) == DOWNLOADED
    with pytest.raises(DlError, match="Nothing to undo"):
        arranging.undo(root)
    assert tree(folder, hidden=True) == DOWNLOADED


def test_undo_goes_no_further_than_files_that_stand_in_its_way(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    moved = split(folder).operation.moves
    plant(folder / "dogscats", {moved[0].source: b"new"})
    after = tree(folder)
    with pytest.raises(DlError, match="would be overwritten"):
        undo("dogscats", folder)
    assert tree(folder) == after
    assert journals(folder / "dogscats")[-1].state == "done"


def test_undo_leaves_what_was_added_and_tells_what_is_gone(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    moved = split(folder).operation.moves
    (folder / "dogscats" / moved[0].target).unlink()
    plant(folder, {"dogscats/valid/cat/new.jpg": b"new"})
    outcome = undo("dogscats", folder)
    assert outcome.missing == (moved[0].target,)
    left = dict(MADE)
    del left[f"dogscats/{moved[0].source}"]
    assert tree(folder) == left | {"dogscats/valid/cat/new.jpg": b"new"}


def test_undo_keeps_copies_that_are_the_only_ones(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_copy(folder)
    (folder / "kaggle/train/cat.0.jpg").unlink()
    (folder / "dogscats/train/dog/dog.0.jpg").write_bytes(b"retouched")
    outcome = undo("dogscats", folder)
    assert outcome.kept == ("train/cat/cat.0.jpg", "train/dog/dog.0.jpg")
    assert sorted(tree(folder / "dogscats").values()) == [b"cat 0", b"retouched"]


def test_undo_refuses_where_no_copy_could_go(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_copy(folder)
    shutil.rmtree(folder / "kaggle")
    after = tree(folder)
    with pytest.raises(DlError, match="may be the only copies"):
        undo("dogscats", folder)
    assert tree(folder) == after


def test_an_organized_folder_may_be_renamed_before_it_is_taken_back(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_in_place(folder)
    (folder / "kaggle").rename(folder / "pets")
    undo("pets", folder)
    assert tree(folder / "pets") == KAGGLE


def test_organizing_twice_does_it_once(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    assert organize_copy(folder) is not None
    arranging.split(folder / "dogscats", 2, 0)
    after = tree(folder)
    assert organize_copy(folder) is None
    assert tree(folder) == after


def test_organizing_what_is_organized_does_nothing(tmp_path: Path) -> None:
    folder = plant(tmp_path, under("kaggle", DATASET))
    assert organize_in_place(folder) is None
    assert tree(folder, hidden=True) == under("kaggle", DATASET)


@pytest.mark.parametrize("target", ["dogscats", "kaggle/inside"])
def test_a_dataset_is_made_in_a_folder_of_its_own(tmp_path: Path, target: str) -> None:
    folder = plant(tmp_path, DOWNLOADED | {"dogscats/mine.txt": b"mine"})
    before = tree(folder, hidden=True)
    with pytest.raises(DlError, match=r"is not empty|lies in"):
        arranging.organize(folder / "kaggle", folder / target)
    assert tree(folder, hidden=True) == before


def test_a_sample_mirrors_the_dataset_beside_it(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE_AND_SPLIT)
    target, outcome = sample(folder)
    assert outcome is not None
    made = tree(target)
    assert target == folder / "dogscats-sample"
    assert "dataset.yaml" in made
    assert len([path for path in made if path.startswith("train/")]) == 3
    assert len([path for path in made if path.startswith("valid/")]) == 2
    assert all(SPLIT[path] == content for path, content in made.items())
    assert tree(folder / "dogscats", hidden=True) == SPLIT
    assert sample(folder) == (target, None)


def test_another_sample_is_replaced_only_on_demand(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE_AND_SPLIT)
    sample(folder)
    before = tree(folder, hidden=True)
    with pytest.raises(DlError, match="another sample: it was made with --train 3 --valid 2 "):
        arranging.sample(folder / "dogscats", 2, 2, 0)
    assert tree(folder, hidden=True) == before
    assert other_sample(folder)[1] is not None
    assert len(open_dataset(folder / "dogscats-sample").splits["train"]) == 2


def test_a_folder_that_is_no_sample_is_never_replaced(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE_AND_SPLIT | {"dogscats-sample/precious.jpg": b"mine"})
    before = tree(folder, hidden=True)
    with pytest.raises(DlError, match="was not made by `dl data sample`"):
        other_sample(folder)
    assert tree(folder, hidden=True) == before


def test_there_is_no_sample_of_what_can_not_be_trained(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    with pytest.raises(DlError, match=r"No images in .*valid") as error:
        sample(folder)
    assert "dl data split" in error.value.hint
    assert tree(folder, hidden=True) == MADE


def test_hostile_names_survive_every_operation(tmp_path: Path) -> None:
    odd = ["a b", "-rf", "'\"", "new\nline", "猫", os.fsdecode(b"\xff\xfe"), "#{}%", "a,b"]
    files = {
        f"kaggle/train/{label}.{i}.jpg": os.fsencode(f"{label} {i}")
        for label in odd
        for i in range(3)
    }
    folder = plant(tmp_path, files)
    organize_copy(folder)
    dataset = open_dataset(folder / "dogscats")
    assert dataset.classes == tuple(sorted(odd))
    arranging.split(folder / "dogscats", 8, 0)
    arranging.sample(folder / "dogscats", 8, 8, 0)
    assert set(open_dataset(folder / "dogscats-sample").classes) == set(odd)
    assert open_dataset(folder / "dogscats-sample").fingerprint("train")
    for name in ("dogscats-sample", "dogscats", "dogscats"):
        undo(name, folder)
    assert tree(folder, hidden=True) == files
