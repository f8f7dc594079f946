"""The user's ssh configuration gets one line; all else of it stays."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.sshd import Sshd, program

from dlcli.aws.boxes import Box
from dlcli.aws.system_ssh import (
    Host,
    entry_name,
    include,
    names_for,
    our_file,
    ssh_options,
    users_file,
    write_entries,
)
from dlcli.errors import DlError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINE = "# mine\nHost work\n  HostName example.org\n  User ich\n\nHost *\n  Port 2222\n"


def test_plain_ssh_reaches_the_machine_by_its_name(sshd: Sshd, home: Path) -> None:
    words = ["ssh", "-F", str(users_file()), "dl-dogs", "echo", "here"]
    program("ssh")
    users_file().parent.mkdir()
    users_file().write_text(MINE)
    assert write_entries({"dogs": sshd.host()}) == ["dl-dogs"]
    assert subprocess.check_output(words, text=True) == "here\n"


def test_the_users_file_gets_one_line_at_its_top_once(sshd: Sshd) -> None:
    users_file().parent.mkdir()
    users_file().write_text(MINE)
    for _ in range(3):
        write_entries({"dogs": sshd.host()})
    assert users_file().read_text() == f'Include "{our_file()}"\n' + MINE
    assert users_file().stat().st_mode & 0o777 == 0o600
    assert our_file().stat().st_mode & 0o777 == 0o600


def test_a_file_is_made_where_there_is_none(sshd: Sshd) -> None:
    write_entries({})
    assert users_file().read_text() == f'Include "{our_file()}"\n'
    assert users_file().parent.stat().st_mode & 0o777 == 0o700
    assert not include()


def test_odd_bytes_and_line_ends_of_the_users_file_stay(home: Path) -> None:
    users_file().parent.mkdir()
    users_file().write_bytes(b"# \xff\r\nHost a\r\n")
    include()
    assert (
        users_file().read_bytes() == f'Include "{our_file()}"\n'.encode() + b"# \xff\r\nHost a\r\n"
    )


def test_a_link_from_somebodys_dotfiles_stays_one(home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "config").write_text(MINE)
    users_file().parent.mkdir()
    users_file().symlink_to(home / "dotfiles" / "config")
    include()
    assert users_file().is_symlink()
    assert (home / "dotfiles" / "config").read_text().endswith(MINE)


def test_a_line_that_somebody_moved_below_others_is_left_there(home: Path) -> None:
    include()
    moved = "# mine\n" + users_file().read_text() + "\nHost work\n"
    users_file().write_text(moved)
    assert not include()
    assert users_file().read_text() == moved


def test_machines_that_are_gone_leave_our_file(sshd: Sshd) -> None:
    host = sshd.host()
    write_entries({"dogs": host, "cats": replace(host, alias="i-2")})
    write_entries({"cats": replace(host, alias="i-2")})
    text = our_file().read_text()
    assert "Host dl-cats\n" in text
    assert "dogs" not in text


@pytest.mark.parametrize(
    ("name", "entry"), [("dogs", "dl-dogs"), ("*", "dl--"), ("a b\nHost *", "dl-a-b-Host--")]
)
def test_a_name_can_not_stand_for_other_hosts(name: str, entry: str) -> None:
    assert entry_name(name) == entry


def test_a_name_never_comes_to_mean_another_box() -> None:
    def box(id: str, region: str) -> Box:
        return Box(id, "dogs", "ada", "dogs", "running", "g6.xlarge", region, "", NOON)

    home, far, farther = box("i-2", "us-east-1"), box("i-1", "eu-west-1"), box("i-3", "us-west-2")
    twin = box("i-4", "us-east-1")
    before: dict[str, Box] = {}
    for there in ([far], [far, farther], [far, farther, home], [far, farther, home, twin]):
        names = names_for(there, "us-east-1")
        assert before.items() <= names.items()
        before = names
    assert list(before) == ["dogs", "dogs-eu-west-1", "dogs-i-4", "dogs-us-west-2"]
    assert before["dogs"] == home


def host_with(key: Path) -> Host:
    return Host("i-1", "192.0.2.1", "ubuntu", 22, key, key.with_name("known_hosts"))


def as_ssh_reads(*options: str) -> dict[str, str]:
    """What ssh makes of a configuration, by option; nothing is connected."""
    lines = subprocess.check_output(["ssh", "-G", *options], text=True).splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


ODD = [
    "a b",
    "it's",
    'q"uote',
    "back\\slash",
    "end\\",
    "100%h",
    "$HOME",
    "#hash",
    "*?[x]",
    "é",
    "a\tb",
]


@pytest.mark.parametrize("name", ODD)
def test_ssh_reads_odd_names_of_folders_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    program("ssh")
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    host = host_with(folder / "key")
    write_entries({"dogs": host})
    for options in (["-F", str(users_file()), "dl-dogs"], [*ssh_options(host), host.alias]):
        read = as_ssh_reads(*options)
        assert read["userknownhostsfile"] == str(host.known_hosts)
        assert read["identityfile"].replace("%%", "%") == str(host.key)
        assert read["hostname"] == "192.0.2.1"


@pytest.mark.parametrize("name", ["a\n  ProxyCommand evil", "a\rb", "a\0b", "${HOME}"])
def test_a_name_that_ssh_would_read_otherwise_is_refused(home: Path, name: str) -> None:
    host = host_with(home / name / "key")
    with pytest.raises(DlError, match="can't stand in ssh's configuration") as caught:
        write_entries({"dogs": host})
    assert not our_file().exists()
    assert not users_file().exists()
    assert "aws.ssh_key" in caught.value.hint
    with pytest.raises(DlError, match="can't stand in ssh's configuration"):
        ssh_options(host)


def test_a_home_that_ssh_would_read_otherwise_leaves_the_users_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users_file().parent.mkdir()
    users_file().write_text(MINE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "a\nProxyCommand evil"))
    with pytest.raises(DlError, match="can't stand in ssh's configuration"):
        include()
    assert users_file().read_text() == MINE
