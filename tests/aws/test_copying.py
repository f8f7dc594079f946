"""Folders copied through a real sshd: by real rsync, and by SFTP where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aws.sshd import Sshd, Wire, program, through

from dlcli.aws import copying
from dlcli.aws.connecting import Unreachable, connect
from dlcli.aws.copying import Prepared, copy, delete_at_goal, prepare
from dlcli.aws.host_keys import HostKey, remember
from dlcli.aws.system_ssh import Host
from dlcli.aws.transfer_plan import Direction, Folders
from dlcli.errors import DlError

HOSTILE = [
    "a b",
    "two\nlines",
    "-rf",
    "--delete",
    "it's",
    'say "hi"',
    "$(touch stolen)",
    "`touch stolen`",
    "; touch stolen",
    "*",
    "[a-z]?",
    "#comment",
    ";comment",
    "back\\slash",
    "back\\#065",
    "\udcff\udcfe",
    "\u00fcml\u00e4ut",
    "tab\tcr\r",
    "host:path",
    "~",
    " ",
    "x" * 255,
]


@pytest.fixture(params=["rsync", "sftp"])
def way(request: pytest.FixtureRequest, sshd: Sshd) -> str:
    """How files are copied: where the other side has no rsync, by SFTP."""
    program("rsync")
    if request.param == "sftp":
        sshd.stop()
        sshd.without("rsync")
        sshd.start()
    return str(request.param)


@pytest.fixture
def data(home: Path) -> Path:
    """A folder with a few files in folders."""
    folder = home / "data" / "dogs"
    for name, size in (("train/cat/1.jpg", 3000), ("train/dog/1.jpg", 0), ("run.sh", 10)):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size))
    (folder / "run.sh").chmod(0o755)
    return folder


def tree(folder: Path) -> dict[bytes, object]:
    """Each file below a folder: link, or content, time and whether it can be run."""
    found: dict[bytes, object] = {}
    for file in folder.rglob("*"):
        name = os.fsencode(file.relative_to(folder))
        if file.is_symlink():
            found[name] = os.fspath(file.readlink())
        elif file.is_file():
            status = file.stat()
            found[name] = (file.read_bytes(), int(status.st_mtime), bool(status.st_mode & 0o100))
    return found


def dogs(here: Path, **others: object) -> Folders:
    return replace(Folders("dataset dogs", here, "data/dogs"), **others)  # type: ignore[arg-type]


def copied(host: Host, direction: Direction, folders: Folders, **options: bool) -> Prepared:
    """A copy from the look to the last deletion."""
    with connect(host) as client:
        prepared = prepare(client, direction, folders, **options)
    copy(host, prepared)
    if prepared.plan.delete:
        with connect(host) as client:
            delete_at_goal(client, prepared)
    return prepared


def test_a_folder_goes_there_and_comes_back_as_it_was(
    sshd: Sshd, way: str, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host = sshd.host()
    (data / "first").symlink_to("train/cat/1.jpg")
    before = tree(data)
    copied(host, "put", dogs(data))
    assert tree(sshd.home / "data" / "dogs") == before
    assert ("copying by SFTP" in capfd.readouterr().err) == (way == "sftp")
    back = data.parent / "back"
    copied(host, "get", dogs(back))
    assert tree(back) == before


def test_what_is_there_already_is_not_copied_again(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    assert len(copied(host, "put", dogs(data)).plan.send) == 3
    again = copied(host, "put", dogs(data))
    assert (again.plan.send, len(again.plan.same)) == ((), 3)
    (data / "run.sh").write_text("other")
    assert copied(host, "put", dogs(data)).plan.send == ("run.sh",)
    assert (sshd.home / "data" / "dogs" / "run.sh").read_text() == "other"


def test_what_is_newer_at_the_goal_stays_unless_told(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    theirs = sshd.home / "data" / "dogs" / "run.sh"
    theirs.write_text("edited there")
    os.utime(theirs, (2e9, 2e9))
    assert copied(host, "put", dogs(data)).plan.newer == ("run.sh",)
    assert theirs.read_text() == "edited there"
    copied(host, "put", dogs(data), overwrite=True)
    assert theirs.read_bytes() == (data / "run.sh").read_bytes()


def test_names_of_any_kind_arrive_as_they_are(sshd: Sshd, way: str, home: Path) -> None:
    host = sshd.host()
    folder = home / "data" / "odd $(touch stolen) * 'it' \"x\"\n"
    for name in HOSTILE:
        (folder / name).mkdir(parents=True)
        (folder / name / name).write_text(name, "utf-8", "surrogateescape")
    before = tree(folder)
    assert len(before) == len(HOSTILE)
    folders = Folders("dataset odd", folder, f"data/{folder.name}")
    copied(host, "put", folders)
    assert tree(sshd.home / "data" / folder.name) == before
    back = home / "back"
    copied(host, "get", replace(folders, here=back))
    assert tree(back) == before
    (folder / "--delete" / "--delete").unlink()
    (folder / "*" / "*").unlink()
    copied(host, "put", folders, delete=True)
    assert tree(sshd.home / "data" / folder.name) == tree(folder)
    assert [*home.rglob("stolen"), *sshd.home.rglob("stolen")] == []


def test_ten_thousand_files_arrive(sshd: Sshd, home: Path) -> None:
    program("rsync")
    folder = home / "data" / "dogs"
    for number in range(10_000):
        file = folder / f"train/{number % 10}/{number}.jpg"
        if number < 10:
            file.parent.mkdir(parents=True)
        file.write_bytes(number.to_bytes(4, "big"))
    host = sshd.host()
    assert len(copied(host, "put", dogs(folder)).plan.send) == 10_000
    assert tree(sshd.home / "data" / "dogs") == tree(folder)
    assert copied(host, "put", dogs(folder)).plan.send == ()


@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_copy_goes_on_from_where_the_connection_was_cut(
    sshd: Sshd,
    way: str,
    home: Path,
    direction: Direction,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(copying, "UNITS", ((0, "bytes", 1),))
    host = sshd.host()
    here, there = home / "data" / "dogs", sshd.home / "data" / "dogs"
    source, goal = (here, there) if direction == "put" else (there, here)
    source.mkdir(parents=True)
    size = 30_000_000
    (source / "big").write_bytes(os.urandom(size))
    (source / "small").write_bytes(b"small")
    with connect(host) as client:
        prepared = prepare(client, direction, dogs(here))
    # the first is the question for rsync, then each copy is one, and each wait another
    wire = Wire(sshd.port, [10**9, 12_000_000, 10**9, 12_000_000])
    copy(through(host, wire), prepared)
    wire.close()
    assert tree(goal) == tree(source)
    assert capfd.readouterr().err.count("Connecting again") == 2
    # resumed, not begun anew: less than half of it went twice
    assert sum(wire.carried) < 1.5 * size
    assert not list(goal.rglob(".dl-partial"))


def test_a_killed_server_is_waited_for(
    sshd: Sshd, way: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = sshd.host()
    folder = home / "data" / "dogs"
    folder.mkdir(parents=True)
    (folder / "big").write_bytes(os.urandom(20_000_000))
    with connect(host) as client:
        prepared = prepare(client, "put", dogs(folder))
    real, calls = copying.wait_for_ssh, []

    def restart(host: Host, seconds: float) -> None:
        calls.append(1)
        sshd.stop()
        sshd.start()
        real(host, seconds)

    monkeypatch.setattr(copying, "wait_for_ssh", restart)
    copy(through(host, Wire(sshd.port, [10**9, 5_000_000])), prepared)
    assert calls == [1]
    assert tree(sshd.home / "data" / "dogs") == tree(folder)


def test_a_machine_that_drops_every_time_is_given_up(
    sshd: Sshd, way: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MOST_DROPS", 1)
    (data / "big").write_bytes(os.urandom(200_000))
    host = sshd.host()
    with connect(host) as client:
        prepared = prepare(client, "put", dogs(data))
    monkeypatch.setattr(copying, "wait_for_ssh", lambda host, seconds: None)
    with pytest.raises(Unreachable):
        copy(through(host, Wire(sshd.port, [10**9, 1000, 1000, 1000, 1000])), prepared)


def test_a_host_key_that_changes_in_mid_copy_ends_it(sshd: Sshd, data: Path) -> None:
    host = sshd.host()
    with connect(host) as client:
        prepared = prepare(client, "put", dogs(data))
    other = Sshd(sshd.folder / "other").host_key
    remember(host.alias, [HostKey(other.kind, other.data)])
    with pytest.raises(DlError, match="its host key has changed"):
        copy(host, prepared)


def test_secrets_stay_here_and_are_named(sshd: Sshd, way: str, data: Path) -> None:
    for name in (
        ".env",
        ".env.local",
        "key.pem",
        "KEY.PEM",
        ".aws/credentials",
        ".ssh/id",
        "a.zip",
    ):
        (data / "deep" / name).parent.mkdir(parents=True, exist_ok=True)
        (data / "deep" / name).write_text("secret")
    prepared = copied(sshd.host(), "put", dogs(data, exclude=("*.zip",)))
    assert {why: len(names) for why, names in prepared.plan.left_out.items()} == {
        "excluded by `.env*`": 2,
        "excluded by `*.pem`": 2,
        "excluded by `.aws/`": 1,
        "excluded by `.ssh/`": 1,
        "excluded by `*.zip`": 1,
    }
    assert not (sshd.home / "data" / "dogs" / "deep").exists()


def test_deletion_spares_what_was_left_out_and_takes_empty_folders(
    sshd: Sshd, way: str, data: Path
) -> None:
    host = sshd.host()
    folders = dogs(data, elsewhere={"features/": "dl aws put features"})
    copied(host, "put", folders)
    there = sshd.home / "data" / "dogs"
    for name in ("train/fish/1.jpg", "train/fish/2.jpg", ".env", "features/x.bc"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text("theirs")
    assert copied(host, "put", folders).plan.delete == ()
    assert copied(host, "put", folders, delete=True).plan.delete == (
        "train/fish/1.jpg",
        "train/fish/2.jpg",
    )
    assert not (there / "train" / "fish").exists()
    assert (there / ".env").exists()
    assert (there / "features" / "x.bc").exists()
    assert tree(there / "train") == tree(data / "train")


def test_deletion_here_follows_what_is_there(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    (data / "train" / "fish").mkdir()
    (data / "train" / "fish" / "1.jpg").write_text("mine")
    (data / ".env").write_text("mine")
    copied(host, "get", dogs(data), delete=True)
    assert not (data / "train" / "fish").exists()
    assert (data / ".env").exists()


def test_links_and_pipes_that_can_not_come_along_are_left_out(
    sshd: Sshd, way: str, data: Path, home: Path
) -> None:
    (data / "outside").symlink_to(home)
    (data / "up").symlink_to("../cats")
    os.mkfifo(data / "pipe")
    prepared = copied(sshd.host(), "put", dogs(data))
    assert prepared.plan.left_out == {
        "a link that leads out of the folder": ("outside", "up"),
        "a pipe": ("pipe",),
    }


def test_nothing_is_written_through_a_link_here(
    sshd: Sshd, way: str, data: Path, home: Path
) -> None:
    """A folder of the data that lies on another disk, behind a link, stays one."""
    host = sshd.host()
    copied(host, "put", dogs(data))
    subprocess.run(["rm", "-r", data / "train"], check=True)
    (home / "disk").mkdir()
    (data / "train").symlink_to(home / "disk")
    prepared = copied(host, "get", dogs(data))
    assert prepared.plan.left_out == {
        "a file or a link at the goal is in the way": ("train/cat/1.jpg", "train/dog/1.jpg")
    }
    assert (data / "train").is_symlink()
    assert list((home / "disk").iterdir()) == []


@pytest.mark.parametrize("here", ["/", "~", "~/..", ""])
@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_home_or_a_disk_is_never_copied(
    sshd: Sshd, home: Path, here: str, direction: Direction
) -> None:
    folder = Path(os.path.normpath(Path(here).expanduser()))
    with connect(sshd.host()) as client, pytest.raises(DlError, match="not copied as a whole"):
        prepare(client, direction, Folders("all", folder, "data/x"), delete=True)


@pytest.mark.parametrize("there", ["", "/", ".", "~", "~/x", "/etc", "../x", "a/../../x"])
def test_a_home_or_a_disk_there_is_never_copied(sshd: Sshd, data: Path, there: str) -> None:
    with connect(sshd.host()) as client, pytest.raises(DlError, match="no folder to copy"):
        prepare(client, "put", Folders("all", data, there), delete=True)


def test_a_source_that_cannot_all_be_listed_deletes_nothing_here(sshd: Sshd, data: Path) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    sshd.stop()
    sshd.without("find")
    find = sshd.folder / "bin" / "find"
    # as for another user where a folder is not readable; root reads all
    find.write_text(
        "#!/bin/sh\nfolder=$2; shift 2\n"
        f'{program("find")} -H "$folder" -name cat -prune -o "$@"; exit 1\n'
    )
    find.chmod(0o755)
    sshd.start()
    before = tree(data)
    with connect(host) as client:
        with pytest.raises(DlError, match="`--delete` is refused") as error:
            prepare(client, "get", dogs(data), delete=True)
        assert prepare(client, "get", dogs(data)).plan.delete == ()
    assert "would be deleted here" in error.value.why
    assert tree(data) == before


def test_an_empty_source_is_refused_before_all_at_the_goal_is_deleted(
    sshd: Sshd, data: Path, home: Path
) -> None:
    host = sshd.host()
    copied(host, "put", dogs(data))
    (home / "empty").mkdir()
    with connect(host) as client:
        with pytest.raises(DlError, match="There is nothing in ~/empty"):
            prepare(client, "put", dogs(home / "empty"), delete=True)
        with pytest.raises(DlError, match=r"nothing in .+/data/cats on the box"):
            prepare(client, "get", Folders("dataset cats", data, "data/cats"), delete=True)
    assert tree(sshd.home / "data" / "dogs") == tree(data)


def test_a_file_that_is_in_the_way_stays(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    there = sshd.home / "data" / "dogs"
    there.mkdir(parents=True)
    (there / "train").write_text("a file")
    prepared = copied(host, "put", dogs(data))
    assert prepared.plan.left_out == {
        "a file or a link at the goal is in the way": ("train/cat/1.jpg", "train/dog/1.jpg")
    }
    assert (there / "train").read_text() == "a file"
    assert (there / "run.sh").exists()


def test_what_can_not_be_copied_is_said(sshd: Sshd, way: str, data: Path) -> None:
    host = sshd.host()
    (sshd.home / "data" / "dogs" / "run.sh" / "x").mkdir(parents=True)
    with pytest.raises(DlError, match="Not all could be copied") as error:
        copied(host, "put", dogs(data))
    assert not isinstance(error.value, Unreachable)


def test_too_little_room_is_said_before_anything_is_copied(sshd: Sshd, data: Path) -> None:
    with (data / "huge").open("wb") as file:
        file.truncate(10**13)  # of which nothing is on disk
    with connect(sshd.host()) as client, pytest.raises(DlError, match="No room for") as error:
        prepare(client, "put", dogs(data))
    assert error.value.what == "No room for 10,000.0 GB in the home folder there"
    assert not (sshd.home / "data").exists()


@pytest.mark.parametrize("direction", ["put", "get"])
def test_after_ctrl_c_the_same_copy_goes_on_from_there(
    sshd: Sshd, way: str, home: Path, direction: Direction
) -> None:
    folder, there = home / "data" / "dogs", sshd.home / "data" / "dogs"
    source, goal = (folder, there) if direction == "put" else (there, folder)
    source.mkdir(parents=True)
    (source / "big").write_bytes(os.urandom(8_000_000))
    host = sshd.host()
    wire = Wire(sshd.port, [10**9, 10**9, 6_000_000], stalls=True)
    stalled = through(host, wire)
    script = f"""
from pathlib import Path
from dlcli.aws.connecting import Host, connect
from dlcli.aws.copying import copy, prepare
from dlcli.aws.transfer_plan import Folders
host = Host({host.alias!r}, {host.address!r}, {host.user!r}, {stalled.port},
            Path({str(host.key)!r}), Path({str(host.known_hosts)!r}))
with connect(host) as client:
    prepared = prepare(client, {direction!r},
                       Folders("dataset", Path({str(folder)!r}), "data/dogs"))
copy(host, prepared)
"""
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 20
        while len(wire.carried) < 3 or wire.carried[2] < 6_000_000:
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert err.rstrip().endswith(b"KeyboardInterrupt")
    wire.close()
    sshd.drop()
    again = Wire(sshd.port, [])
    copied(through(host, again), direction, dogs(folder))
    assert tree(goal) == tree(source)
    assert sum(again.carried) < 6_000_000
