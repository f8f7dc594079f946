"""Host keys: read from a console's text, kept in a file of our own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sshd import program

from dlcli.aws.host_keys import (
    HostKey,
    forget,
    known,
    known_hosts_file,
    read_console,
    remember,
)

ED25519 = HostKey(
    "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIAtgnDYo4x02YAKOLjAe3zYBmgeMP9XvdGBLWkAU0xpZ"
)
BEGIN, END = "-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HostKey]:
    """One of each kind that sshd makes."""
    folder, made = tmp_path_factory.mktemp("keys"), {}
    for kind in ("rsa", "ecdsa", "ed25519"):
        file = folder / kind
        words = [program("ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", str(file)]
        subprocess.run(words, check=True)
        made[kind] = HostKey(*file.with_suffix(".pub").read_text().split()[:2])
    return made


def console(*keys: HostKey, end: str = "\r\n") -> str:
    """What cloud-init writes, among what the kernel and others do."""
    lines = [f"{key.kind} {key.data} root@ip-172-31-4-7" for key in keys]
    return end.join(["[   12.3] Linux version 6.8", BEGIN, *lines, END, "ip-172-31-4-7 login: "])


def test_all_keys_are_read_the_preferred_first(keys: dict[str, HostKey]) -> None:
    text = console(keys["rsa"], keys["ecdsa"], keys["ed25519"])
    assert read_console(text) == (keys["ed25519"], keys["ecdsa"], keys["rsa"])


def test_fingerprints_are_those_of_ssh_keygen(keys: dict[str, HostKey], tmp_path: Path) -> None:
    for key in keys.values():
        (tmp_path / "key.pub").write_text(f"{key.kind} {key.data}\n")
        words = [program("ssh-keygen"), "-lf", str(tmp_path / "key.pub")]
        assert key.fingerprint == subprocess.check_output(words, text=True).split()[1]


def test_the_newest_block_counts(keys: dict[str, HostKey]) -> None:
    other = HostKey(ED25519.kind, ED25519.data)
    text = console(keys["ed25519"]) + "\n" + console(other)
    assert read_console(text) == (other,)


@pytest.mark.parametrize("text", ["", "login:", BEGIN, f"{BEGIN}\n{ED25519.kind} {ED25519.data}\n"])
def test_a_block_that_is_not_complete_yet_holds_none(text: str) -> None:
    assert read_console(text) == ()


def test_a_key_that_another_message_cuts_in_two_is_left_out(keys: dict[str, HostKey]) -> None:
    whole, cut = keys["ed25519"], keys["rsa"]
    half = HostKey(cut.kind, cut.data[:60] + "\r\n[   13.1] audit: type=1400\r\n" + cut.data[60:])
    assert read_console(console(half, whole)) == (whole,)


def test_a_line_with_another_programs_name_before_it_is_read() -> None:
    text = console(ED25519).replace("ssh-ed25519", "ec2: ssh-ed25519")
    assert read_console(text) == (ED25519,)


@given(st.integers(1, len(ED25519.data) - 1))
def test_no_part_of_a_key_is_taken_for_one(length: int) -> None:
    part = HostKey(ED25519.kind, ED25519.data[:length])
    assert read_console(console(part)) == ()


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_console(text + BEGIN + text + END)


def test_what_is_remembered_is_known_and_what_is_forgotten_is_not(keys: dict[str, HostKey]) -> None:
    remember("i-1", [keys["rsa"], keys["ed25519"]])
    remember("i-2", [ED25519])
    assert known("i-1") == (keys["ed25519"], keys["rsa"])
    assert (known("i-2"), known("i-3")) == ((ED25519,), ())
    remember("i-1", [ED25519])
    assert known("i-1") == (ED25519,)
    forget("i-1")
    forget("i-3")
    assert (known("i-1"), known("i-2")) == ((), (ED25519,))


def test_the_file_is_one_that_opensshs_own_programs_read(home: Path) -> None:
    remember("i-1", [ED25519])
    assert known_hosts_file() == home / ".local" / "state" / "dl" / "aws" / "known_hosts"
    words = [program("ssh-keygen"), "-F", "i-1", "-f", str(known_hosts_file())]
    assert ED25519.data in subprocess.check_output(words, text=True)
    assert not (home / ".ssh").exists()


def test_a_line_that_somebody_mangled_is_none() -> None:
    remember("i-1", [ED25519])
    with known_hosts_file().open("a") as file:
        file.write(
            "\n# a note\ni-2\ni-3 ssh-rsa\n\udcff".encode("utf-8", "surrogateescape").decode(
                "latin1"
            )
        )
    assert known("i-1") == (ED25519,)
    assert (known("i-2"), known("i-3")) == ((), ())
