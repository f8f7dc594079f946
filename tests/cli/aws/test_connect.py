"""`dl aws ssh`, `tmux`, `forward`, `ssh-config` as they are typed: EC2 simulated, ssh real."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest
from support.aws_account import Account
from support.aws_box import rented
from support.command_result import Dl, ok, refused
from support.sshd import ADDRESS, Sshd, free_port, program

from dlcli.aws import reach
from dlcli.aws.cloud import Cloud
from dlcli.aws.host_keys import HostKey, forget, known, remember
from dlcli.aws.keys import own_key

pytestmark = pytest.mark.slow


@pytest.fixture
def box(aws: Account, sshd: Sshd, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A running box called dogs, and a folder of that name to be in; its id."""
    (home / "dogs").mkdir()
    monkeypatch.chdir(home / "dogs")
    return rented(aws, sshd, monkeypatch)


def open_to(ec2: object) -> list[str]:
    groups = ec2.describe_security_groups(  # type: ignore[attr-defined]
        Filters=[{"Name": "tag:dl:managed", "Values": ["yes"]}]
    )["SecurityGroups"]
    return [
        each["CidrIp"]
        for group in groups
        for rule in group["IpPermissions"]
        for each in rule["IpRanges"]
    ]


def test_ssh_runs_a_command_and_ends_as_that_ends(dl: Dl, box: str) -> None:
    result = dl("aws", "ssh", "echo here; exit 3")
    assert (result.exit_code, result.stdout) == (3, "here\n")
    result = ok(dl("aws", "ssh", "printf", r"%s\n", "a b", "$(touch stolen)", "-n"))
    assert result.stdout == "a b\n$(touch stolen)\n-n\n"
    assert dl("aws", "ssh", "kill -9 $$").exit_code == 255


def test_the_host_key_is_learned_from_the_console(dl: Dl, box: str, sshd: Sshd) -> None:
    forget(box)
    ok(dl("aws", "ssh", "true"))
    assert known(box) == (sshd.host_key,)


def test_the_door_opens_to_this_address_alone_and_closes_behind_the_last(
    dl: Dl, box: str, aws: Account
) -> None:
    ok(dl("aws", "ssh", "true"))
    assert open_to(aws.ec2()) == ["203.0.113.7/32"]
    aws.address = "198.51.100.9"
    ok(dl("aws", "ssh", "true"))
    assert open_to(aws.ec2()) == ["198.51.100.9/32"]


def test_without_a_known_host_key_it_asks_for_trust(
    dl: Dl, box: str, aws: Account, sshd: Sshd
) -> None:
    aws.console = "login:"
    refused(dl("aws", "ssh", "true"), "The host key of dogs is not known", "--trust-host-key")
    assert known(box) == ()
    result = ok(dl("aws", "ssh", "--trust-host-key", "true"))
    assert "Warning: the host key" in result.stderr
    assert known(box) == (sshd.host_key,)


@pytest.mark.parametrize(
    "words", [["ssh"], ["ssh", "--trust-host-key"], ["tmux"], ["forward"], ["put"]]
)
def test_a_changed_host_key_is_refused_with_what_to_do(
    dl: Dl, box: str, sshd: Sshd, words: list[str]
) -> None:
    other = Sshd(sshd.folder / "other").host_key
    remember(box, [HostKey(other.kind, other.data)])
    subprocess.run([program("git"), "init", "-q"], check=True)
    result = refused(
        dl("aws", *words), "The host key of", "has changed: expected", f"ssh-keygen -R {box}"
    )
    assert sshd.host_key.fingerprint in result.stderr
    assert known(box) == (other,)


def test_what_a_changed_host_key_asks_for_works(dl: Dl, box: str, sshd: Sshd) -> None:
    """Even though the console goes on showing the keys of the first boot."""
    ok(dl("aws", "ssh", "true"))
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    result = refused(dl("aws", "ssh", "true"), "The host key of", "has changed: expected")
    refused(
        dl("aws", "ssh", "--trust-host-key", "true"), "The host key of", "has changed: expected"
    )
    forgetting = result.stderr.split("`")[1]
    subprocess.run(["bash", "-c", forgetting], check=True, capture_output=True)
    refused(dl("aws", "ssh", "true"), "The host key of", "has changed: expected")
    subprocess.run(["bash", "-c", forgetting], check=True, capture_output=True)
    result = ok(dl("aws", "ssh", "--trust-host-key", "true"))
    assert "but not verified" in result.stderr
    assert known(box) == (sshd.host_key,)
    ok(dl("aws", "ssh", "true"))


def test_a_stopped_box_says_how_to_start_it(dl: Dl, box: str, aws: Account) -> None:
    aws.ec2().stop_instances(InstanceIds=[box])
    refused(dl("aws", "ssh"), "dl aws start -n dogs")


def test_a_box_that_is_not_there_is_said(dl: Dl, box: str) -> None:
    refused(dl("aws", "ssh", "-n", "dogz"), "There is no box 'dogz'", "`dogs`")


def test_from_another_computer_its_key_is_let_in(
    dl: Dl, box: str, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 Instance Connect lets a key in for a minute, which here is a line in sshd's file."""
    allowed = sshd.folder / "authorized_keys"
    allowed.write_text("ssh-ed25519 AAAAsomebody\n")

    def push(cloud: Cloud, box: object, user: str, public: str) -> None:
        sshd.let_in(public)

    monkeypatch.setattr(reach, "push_key", push)
    result = ok(dl("aws", "ssh", "echo here"))
    assert result.stdout == "here\n"
    assert "Its keys now include this computer's" in result.stderr
    assert (sshd.home / ".ssh" / "authorized_keys").read_text() == own_key().public + "\n"


def test_where_nobody_lets_it_in_it_says_what_to_copy(
    dl: Dl, box: str, aws: Account, sshd: Sshd
) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    result = refused(dl("aws", "ssh", "true"), "Copy ~/.config/dl/ssh/id_ed25519 from")
    assert own_key().public in result.stderr
    assert "EC2 Instance Connect failed" in result.stderr


def test_a_shell_in_tmux_outlives_its_connection(
    dl: Dl, box: str, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("tmux")
    environ = os.environ | {"TMUX_TMPDIR": str(sshd.folder)}

    def tmux(*words: str) -> str:
        done = subprocess.run(
            [program("tmux"), *words], env=environ, capture_output=True, text=True
        )
        return done.stdout

    said = []

    def work() -> None:
        wait_until(lambda: "attached" in tmux("list-sessions"))
        os.write(ours, b"echo it is $((6 * 7))\r")
        wait_until(lambda: "it is 42" in tmux("capture-pane", "-p", "-t", "dl"))
        sshd.drop()
        wait_until(lambda: "attached" not in tmux("list-sessions"))
        said.append(tmux("capture-pane", "-p", "-t", "dl"))

    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    stdin = os.dup(0)
    os.dup2(theirs, 0)
    person = threading.Thread(target=work)
    person.start()
    try:
        result = dl("aws", "tmux")
        person.join()
    finally:
        tmux("kill-server")
        os.dup2(stdin, 0)
        for descriptor in (stdin, ours, theirs):
            os.close(descriptor)
    assert result.exit_code == 255
    assert "it is 42" in said[0]


def wait_until(condition: object) -> None:
    end = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_tmux_there_it_says_how_to_install_it(dl: Dl, box: str, sshd: Sshd) -> None:
    sshd.stop()
    sshd.without("tmux")
    sshd.start()
    refused(dl("aws", "tmux"), "tmux is not installed on the box", "apt-get install -y tmux")


def test_forward_prints_where_a_service_is(
    dl: Dl, box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("hello")
    handler = partial(Quiet, directory=tmp_path / "pages")
    port = free_port()
    seen = []
    with ThreadingHTTPServer((ADDRESS, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def look() -> None:
            end = time.monotonic() + 20
            while not seen and time.monotonic() < end:
                try:
                    with urlopen(f"http://{ADDRESS}:{port}/", timeout=5) as answer:
                        seen.append(answer.read())
                except OSError:
                    time.sleep(0.1)
            time.sleep(0.5)  # until it has been said
            if seen:  # else the command has ended on its own
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=look, daemon=True).start()
        result = dl("aws", "forward", f"{port}:{server.server_port}")
        server.shutdown()
    assert seen == [b"hello"]
    assert (result.exit_code, result.stdout) == (130, f"http://{ADDRESS}:{port}\n")
    assert "until Ctrl-C" in result.stderr


def test_what_can_not_be_forwarded_is_refused_before_anything_is_asked(dl: Dl, box: str) -> None:
    refused(dl("aws", "forward", "jupiter"), "Cannot forward 'jupiter'", exit_code=2)


def test_plain_ssh_knows_the_boxes(dl: Dl, box: str, home: Path, aws: Account) -> None:
    assert ok(dl("aws", "ssh-config")).stdout == "dl-dogs\n"
    words = ["ssh", "-F", str(home / ".ssh" / "config"), "dl-dogs", "echo", "here"]
    assert subprocess.check_output(words, text=True) == "here\n"
    aws.ec2().stop_instances(InstanceIds=[box])
    result = ok(dl("aws", "ssh-config"))
    assert (result.stdout, "0 running boxes" in result.stderr) == ("", True)
    assert "dl-dogs" not in (home / ".config" / "dl" / "ssh" / "config").read_text()


@pytest.mark.parametrize("command", ["ssh", "tmux", "forward", "ssh-config", "put", "get"])
def test_each_has_a_page_of_help(dl: Dl, command: str) -> None:
    assert f"dl aws {command}" in ok(dl("aws", command, "--help")).stdout


def test_help_brings_in_neither_boto3_nor_paramiko() -> None:
    script = (
        "import sys; from dlcli.cli import main; main(['aws', 'put', '--help']); "
        "main(['aws', 'ssh', '--help']); "
        "sys.exit(any(name in sys.modules for name in ('boto3', 'paramiko', 'numpy', 'rich')))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
