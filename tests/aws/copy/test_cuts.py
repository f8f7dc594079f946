"""Copies that are cut off, by the connection, the server or Ctrl-C, and go on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.box_copies import copied, dogs, tree
from support.sshd import Sshd, Wire, through

from dlcli.aws.copy import copy as copy_module
from dlcli.aws.copy.copy import copy, prepare
from dlcli.aws.copy.plan import Direction
from dlcli.aws.host_keys import HostKey, remember
from dlcli.aws.ssh import Unreachable, connect
from dlcli.aws.system_ssh import Host
from dlcli.errors import DlError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_copy_goes_on_from_where_the_connection_was_cut(
    sshd: Sshd,
    way: str,
    home: Path,
    direction: Direction,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(copy_module, "UNITS", ((0, "bytes", 1),))
    host = sshd.host()
    here, there = home / "data" / "dogs", sshd.home / "data" / "dogs"
    source, goal = (here, there) if direction == "put" else (there, here)
    source.mkdir(parents=True)
    size = 12_000_000
    (source / "big").write_bytes(os.urandom(size))
    (source / "small").write_bytes(b"small")
    with connect(host) as client:
        prepared = prepare(client, direction, dogs(here))
    # the first is the question for rsync, then each copy is one, and each wait another
    wire = Wire(sshd.port, [10**9, 5_000_000, 10**9, 5_000_000])
    copy(through(host, wire), prepared)
    wire.close()
    assert tree(goal) == tree(source)
    assert capfd.readouterr().err.count("Reconnecting") == 2
    # resumed, not begun anew: less than half of it went twice
    assert sum(wire.carried) < 1.5 * size
    assert not list(goal.rglob(".dl-partial"))


def test_a_killed_server_is_waited_for(
    sshd: Sshd, way: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = sshd.host()
    folder = home / "data" / "dogs"
    folder.mkdir(parents=True)
    (folder / "big").write_bytes(os.urandom(8_000_000))
    with connect(host) as client:
        prepared = prepare(client, "put", dogs(folder))
    real, calls = copy_module.wait_for_ssh, []

    def restart(host: Host, seconds: float) -> None:
        calls.append(1)
        sshd.stop()
        sshd.start()
        real(host, seconds)

    monkeypatch.setattr(copy_module, "wait_for_ssh", restart)
    copy(through(host, Wire(sshd.port, [10**9, 3_000_000])), prepared)
    assert calls == [1]
    assert tree(sshd.home / "data" / "dogs") == tree(folder)


def test_a_machine_that_drops_every_time_is_given_up(
    sshd: Sshd, way: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_module, "MOST_DROPS", 1)
    (data / "big").write_bytes(os.urandom(200_000))
    host = sshd.host()
    with connect(host) as client:
        prepared = prepare(client, "put", dogs(data))
    monkeypatch.setattr(copy_module, "wait_for_ssh", lambda host, seconds: None)
    with pytest.raises(Unreachable):
        copy(through(host, Wire(sshd.port, [10**9, 1000, 1000, 1000, 1000])), prepared)


def test_a_host_key_that_changes_in_mid_copy_ends_it(sshd: Sshd, data: Path) -> None:
    host = sshd.host()
    with connect(host) as client:
        prepared = prepare(client, "put", dogs(data))
    other = Sshd(sshd.folder / "other").host_key
    remember(host.alias, [HostKey(other.kind, other.data)])
    with pytest.raises(DlError, match=r"The host key of .* has changed"):
        copy(host, prepared)


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
from dlcli.aws.system_ssh import Host
from dlcli.aws.ssh import connect
from dlcli.aws.copy.copy import copy, prepare
from dlcli.aws.copy.plan import Folders
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
