"""The key that opens boxes: made once, readable by its owner alone, never written over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.children import fork, wait
from support.sshd import program

from dlcli.aws.keys import own_key
from dlcli.errors import DlError


def keygen(*words: object) -> str:
    return subprocess.check_output([program("ssh-keygen"), *map(str, words)], text=True)


def test_a_key_is_made_that_opensshs_own_program_reads(home: Path) -> None:
    key = own_key()
    assert key.path == home / ".config" / "dl" / "ssh" / "id_ed25519"
    assert keygen("-y", "-f", key.path).split()[:2] == key.public.split()
    assert keygen("-lf", key.path).split()[1] == key.fingerprint
    assert key.public.startswith("ssh-ed25519 ")
    assert key.path.with_name("id_ed25519.pub").read_text() == key.public + "\n"


def test_it_is_its_owners_alone(home: Path) -> None:
    path = own_key().path
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(file.name for file in path.parent.iterdir()) == ["id_ed25519", "id_ed25519.pub"]


def test_the_second_call_finds_the_first_ones(home: Path) -> None:
    first = own_key()
    content = first.path.read_bytes()
    first.path.with_name("id_ed25519.pub").unlink()  # the private half says all
    assert own_key() == first
    assert first.path.read_bytes() == content


@pytest.mark.forks
def test_processes_at_once_have_the_same_key(home: Path) -> None:
    def note() -> None:
        (home / str(own_key().fingerprint.replace("/", "_"))).touch()

    for pid in [fork(note) for _ in range(8)]:
        assert wait(pid) == 0
    assert len(list(home.glob("SHA256:*"))) == 1


def test_a_key_of_ones_own_is_used_as_it_is(home: Path) -> None:
    mine = home / "mine"
    keygen("-q", "-t", "rsa", "-b", 2048, "-N", "", "-f", mine)
    before = mine.read_bytes()
    key = own_key(mine)
    assert key.path == mine
    assert key.public.split() == keygen("-y", "-f", mine).split()[:2]
    assert mine.read_bytes() == before
    assert not (home / ".config").exists()


def test_a_key_with_a_passphrase_is_known_by_its_public_half(home: Path) -> None:
    mine = home / "mine"
    keygen("-q", "-t", "ed25519", "-N", "secret", "-f", mine)
    assert own_key(mine).fingerprint == keygen("-lf", mine).split()[1]
    mine.with_name("mine.pub").unlink()
    with pytest.raises(DlError, match=r"~/mine cannot be used as a key") as error:
        own_key(mine)
    assert "`ssh-keygen -y -f ~/mine > ~/mine.pub`" in error.value.hint


def test_a_file_that_is_no_key_is_said(home: Path) -> None:
    (home / "mine").write_text("hello\n")
    (home / "mine").chmod(0o600)
    with pytest.raises(DlError, match="cannot be used as a key"):
        own_key(home / "mine")


def test_a_key_that_others_may_read_is_refused(home: Path) -> None:
    own_key().path.chmod(0o644)
    with pytest.raises(DlError, match="Other users can read") as error:
        own_key()
    assert error.value.hint == "Run `chmod 600 ~/.config/dl/ssh/id_ed25519`."


def test_a_key_that_is_not_there_is_said(home: Path) -> None:
    with pytest.raises(DlError, match="The key ~/nowhere does not exist"):
        own_key(home / "nowhere")
