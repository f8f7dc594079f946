"""Reaching a real sshd: waiting, running, and who is refused."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.sshd import ADDRESS, ALIAS, Sshd, Wire, free_port, program, through

from dlcli.aws.host_keys import HostKey, forget, known, known_hosts_file, remember, trust_first
from dlcli.aws.keys import own_key
from dlcli.aws.ssh import NoEntry, Unreachable, add_key, connect, home_of, run, wait_for_ssh
from dlcli.aws.system_ssh import Host, ssh_argv
from dlcli.errors import DlError

pytestmark = pytest.mark.slow


HOSTILE = [
    "a b",
    "two\nlines",
    "-rf",
    "it's",
    '"',
    "$(touch stolen)",
    "`id`",
    "*",
    "",
    "\udcff",
    "ü",
]


def stranger_key(sshd: Sshd) -> HostKey:
    """A key that some other server would show."""
    other = Sshd(sshd.folder / "other").host_key
    assert other != sshd.host_key
    return other


def test_a_program_that_never_ends_is_given_up_after_its_time(sshd: Sshd) -> None:
    with connect(sshd.host()) as client:
        begun = time.monotonic()
        with pytest.raises(Unreachable) as error:
            run(client, ["sleep", "30"], seconds=1)
        assert time.monotonic() - begun < 20
        assert error.value.why == "no answer within 1 s"
        assert run(client, ["echo", "well"], seconds=20)[1] == "well\n"


def test_a_program_runs_with_its_arguments_as_they_are(sshd: Sshd) -> None:
    with connect(sshd.host()) as client:
        code, out, err = run(client, ["printf", r"%s\0", *HOSTILE])
        assert (code, out.split("\0")[:-1], err) == (0, HOSTILE, "")
        assert run(client, ["sh", "-c", "echo no >&2; exit 3"]) == (3, "", "no\n")
        assert home_of(client) == str(sshd.home)
    assert not (sshd.home / "stolen").exists()


def test_a_program_may_read_and_write_more_than_any_buffer_holds(sshd: Sshd) -> None:
    data = bytes(range(256)) * 40_000
    with connect(sshd.host()) as client:
        code, out, err = run(client, ["sh", "-c", "tee /dev/stderr"], stdin=data)
    assert code == 0
    assert out.encode("utf-8", "surrogateescape") == data
    assert err.encode("utf-8", "surrogateescape") == data


def test_a_program_that_reads_nothing_is_not_waited_for(sshd: Sshd) -> None:
    with connect(sshd.host()) as client:
        assert run(client, ["true"], stdin=bytes(10_000_000))[0] == 0


def test_ctrl_c_does_not_wait_for_a_program(sshd: Sshd) -> None:
    host = sshd.host()
    script = f"""
from pathlib import Path
from dlcli.aws.system_ssh import Host
from dlcli.aws.ssh import connect, run
host = Host({host.alias!r}, {host.address!r}, {host.user!r}, {host.port},
            Path({str(host.key)!r}), Path({str(host.known_hosts)!r}))
with connect(host) as client:
    run(client, ["sh", "-c", "touch ~/started; exec sleep 60"])
"""
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 20
        while not (sshd.home / "started").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert err.rstrip().endswith(b"KeyboardInterrupt")


def test_a_connection_that_drops_under_a_program_is_said(sshd: Sshd) -> None:
    with connect(sshd.host()) as client:
        threading.Timer(0.3, sshd.drop).start()
        with pytest.raises(Unreachable, match="cannot be reached"):
            run(client, ["sleep", "60"])


def test_it_waits_for_a_machine_that_is_booting(sshd: Sshd) -> None:
    host = sshd.host()
    sshd.stop()
    threading.Timer(0.5, sshd.start).start()
    wait_for_ssh(host, 20)


def test_it_waits_for_a_key_that_is_put_in_place_after_sshd_answers(sshd: Sshd) -> None:
    host = sshd.host()
    allowed = sshd.folder / "authorized_keys"
    keys = allowed.read_text()
    allowed.write_text("")
    threading.Timer(0.5, allowed.write_text, [keys]).start()
    wait_for_ssh(host, 20)


def test_nobody_there_is_said_when_the_time_is_over(sshd: Sshd) -> None:
    gone = replace(sshd.host(), port=free_port())
    begin = time.monotonic()
    with pytest.raises(Unreachable) as error:
        wait_for_ssh(gone, 0.5)
    assert time.monotonic() - begin < 5
    assert str(error.value).startswith(
        f"{ALIAS} at {ADDRESS} cannot be reached: connection refused"
    )
    assert "dl aws ls" in error.value.hint


def test_something_that_is_no_ssh_server_is_said(sshd: Sshd, capfd: pytest.CaptureFixture) -> None:
    wire = Wire(sshd.port, [0])
    with pytest.raises(Unreachable):
        connect(through(sshd.host(), wire))
    assert capfd.readouterr().err == ""


def test_a_machine_that_does_not_know_our_key_says_what_to_copy(sshd: Sshd) -> None:
    host = sshd.host()
    (sshd.folder / "authorized_keys").write_text("")
    with pytest.raises(NoEntry, match=r"does not let \w+ in") as error:
        connect(host)
    assert "copy ~/.config/dl/ssh/id_ed25519 from there" in error.value.hint


def test_without_a_known_host_key_nobody_is_connected_to(sshd: Sshd) -> None:
    host = sshd.host()
    forget(ALIAS)
    with pytest.raises(DlError, match=r"The host key of i-\w+ is not known") as error:
        connect(host)
    assert "--trust-host-key" in error.value.hint
    assert "Accepted publickey" not in (sshd.folder / "log").read_text()


def test_a_wrong_host_key_is_refused_before_our_key_is_shown(sshd: Sshd) -> None:
    host = sshd.host()
    expected, received = stranger_key(sshd), known(ALIAS)[0]
    remember(ALIAS, [expected])
    with pytest.raises(DlError, match=r"The host key of .* has changed") as error:
        connect(host)
    assert expected.fingerprint in error.value.why
    assert received.fingerprint in error.value.why
    assert not isinstance(error.value, Unreachable | NoEntry)
    assert "publickey" not in (sshd.folder / "log").read_text()


def test_a_changed_host_key_is_refused_with_what_to_do_and_that_works(
    sshd: Sshd, capfd: pytest.CaptureFixture[str]
) -> None:
    host = sshd.host()
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    with pytest.raises(DlError, match=r"The host key of .* has changed") as error:
        wait_for_ssh(host, 30)
    _, command, _, then, *_ = error.value.hint.split("`")
    assert then == "dl aws ssh --trust-host-key"
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert known(ALIAS) == ()
    trust_first(host)
    said = " ".join(capfd.readouterr().err.split())
    assert "Warning: the host key" in said
    assert sshd.host_key.fingerprint in said
    connect(host).close()


def test_a_known_key_is_not_replaced_by_trusting_what_answers(sshd: Sshd) -> None:
    host = sshd.host()
    remember(ALIAS, [stranger_key(sshd)])
    before = known_hosts_file().read_bytes()
    with pytest.raises(DlError, match="is already known"):
        trust_first(host)
    assert known_hosts_file().read_bytes() == before


def test_the_systems_ssh_reaches_the_machine_whatever_the_users_own_settings(
    sshd: Sshd, home: Path
) -> None:
    program("ssh")
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text("Host *\n  Port 1\n  ProxyCommand false\n")
    words = [*ssh_argv(sshd.host()), "echo", "here"]
    assert subprocess.check_output(words, text=True) == "here\n"
    assert not (home / ".ssh" / "known_hosts").exists()


def test_the_systems_ssh_refuses_a_wrong_host_key_and_an_unknown_one(sshd: Sshd) -> None:
    words = [*ssh_argv(sshd.host()), "echo", "here"]
    remember(ALIAS, [stranger_key(sshd)])
    wrong = subprocess.run(words, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout) == (255, "")
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in wrong.stderr
    forget(ALIAS)
    unknown = subprocess.run(words, capture_output=True, text=True)
    assert (unknown.returncode, unknown.stdout) == (255, "")
    assert known(ALIAS) == ()


@pytest.mark.parametrize("name", ["with space", 'quo"te', "100%", "back\\slash"])
def test_files_of_any_name_hold_keys(sshd: Sshd, name: str) -> None:
    host = sshd.host()
    folder = sshd.folder / name
    folder.mkdir()
    key, keys = folder / "key", folder / "known_hosts"
    host.key.rename(key)
    keys.write_bytes(known_hosts_file().read_bytes())
    odd: Host = replace(host, key=key, known_hosts=keys)
    assert subprocess.check_output([*ssh_argv(odd), "echo", "here"], text=True) == "here\n"
    connect(odd).close()


def test_a_key_with_a_passphrase_is_taken_from_the_agent(
    sshd: Sshd, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = home / "locked"
    words = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)]
    subprocess.run(words, check=True)
    host = replace(sshd.host(), key=key)
    sshd.let_in(own_key(key).public)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(DlError, match="cannot be opened") as error:
        connect(host)
    assert error.value.hint == "Run `ssh-add ~/locked`, then try again."
    agent = subprocess.check_output([program("ssh-agent"), "-a", str(home / "s")], text=True)
    pid = agent.split("SSH_AGENT_PID=")[1].split(";")[0]
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "s"))
    monkeypatch.setenv("SSH_AGENT_PID", pid)
    answer = home / "answer"
    answer.write_text("#!/bin/sh\necho secret\n")
    answer.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(answer))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    try:
        subprocess.run(["ssh-add", "-q", str(key)], check=True)
        connect(host).close()
    finally:
        subprocess.run(["ssh-agent", "-k"], check=True, stdout=subprocess.DEVNULL)


def test_another_key_is_let_in_once(sshd: Sshd) -> None:
    allowed = sshd.home / ".ssh" / "authorized_keys"
    with connect(sshd.host()) as client:
        for _ in range(2):
            add_key(client, "ssh-ed25519 AAAAother")
    assert allowed.read_text() == "ssh-ed25519 AAAAother\n"
    assert allowed.stat().st_mode & 0o777 == 0o600
