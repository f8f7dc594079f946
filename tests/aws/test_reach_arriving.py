"""A box that `up` has launched, until one can work on it, over a real sshd on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.aws_account import Account
from support.aws_box import CONSOLE
from support.command_result import Dl, ok, refused
from support.project import make_project
from support.sshd import ADDRESS, Sshd
from support.watchdog_box import SEEN

from dlcli.aws import order as order_module
from dlcli.aws import reach
from dlcli.aws.boxes import Box
from dlcli.aws.cloud import Cloud, Named
from dlcli.aws.host_keys import forget, known
from dlcli.aws.keys import Key
from dlcli.aws.order import read_order
from dlcli.aws.setup import Runner
from dlcli.aws.system_ssh import Host
from dlcli.errors import DlError
from dlcli.files.formats import read_yaml
from dlcli.settings.aws import Aws

pytestmark = pytest.mark.slow


@pytest.fixture
def project(home: Path, aws: Account, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose box is the sshd; our key opens it."""
    folder = home / "cats"
    (folder / ".git").mkdir(parents=True)
    make_project(folder, f"aws:\n  ssh_key: {sshd.host().key}\n")
    monkeypatch.chdir(folder)
    aws.console = CONSOLE.format(sshd.host_key.kind, sshd.host_key.data)
    real, user = reach.host_of, sshd.host().user

    def host_of(cloud: Cloud, box: Box, key: Key) -> Host:
        return replace(real(cloud, box, key), address=ADDRESS, port=sshd.port, user=user)

    monkeypatch.setattr(reach, "host_of", host_of)
    monkeypatch.setattr(reach, "POLL_SECONDS", 0.01)
    (sshd.home / "watchdog").write_text(SEEN)
    monkeypatch.setattr(reach, "STATUS", ("cat", str(sshd.home / "watchdog")))
    return folder


@pytest.fixture
def setups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The boxes that were set up, and what the first command on each said."""
    found: list[str] = []

    def provision(box: Named, settings: Aws, run: Runner) -> None:
        found.append(f"{box}: {run(['echo', 'hello'])[1].strip()}")

    monkeypatch.setattr(reach, "provision", provision)
    return found


def test_a_new_box_is_known_by_its_console_and_set_up_once(
    dl: Dl, aws: Account, project: Path, setups: list[str], sshd: Sshd
) -> None:
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    assert known(instance["InstanceId"]) == (sshd.host_key,)
    assert setups == ["cats: hello"]
    assert read_order("us-east-1", "cats") is None
    ok(dl("aws", "up", "-y"))
    assert setups == ["cats: hello"]
    ok(dl("aws", "down", "-y"))
    assert known(instance["InstanceId"]) == ()


def filled_at_the_third_look(aws: Account, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the console be empty for a while; the pauses between looks at it, as they come."""
    full, aws.console = aws.console, ""
    asked: list[float] = []

    def fill(seconds: float) -> None:
        asked.append(seconds)
        aws.console = full if len(asked) > 2 else ""

    monkeypatch.setattr("dlcli.progress.time.sleep", fill)
    return asked


def test_a_console_that_is_empty_yet_is_asked_again(
    dl: Dl, aws: Account, project: Path, setups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = filled_at_the_third_look(aws, monkeypatch)
    ok(dl("aws", "up", "-y"))
    assert len(asked) == 3
    assert setups == ["cats: hello"]


def test_where_the_console_never_shows_keys_the_first_is_trusted_if_asked_for(
    dl: Dl, aws: Account, project: Path, setups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.console = "booting"
    monkeypatch.setattr(reach, "CONSOLE_SECONDS", 0.0)
    refused(
        dl("aws", "up", "-y"), "does not show its host key", "dl aws up -n cats --trust-host-key"
    )
    (instance,) = aws.instances()
    assert (known(instance["InstanceId"]), setups) == ((), [])
    said = ok(dl("aws", "up", "-y", "--trust-host-key")).stderr
    assert "Warning: the host key" in said
    assert setups == ["cats: hello"]


def test_a_start_trusts_the_first_key_if_asked_for(
    dl: Dl, aws: Account, project: Path, setups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "install_watchdog", lambda *rest, anew: None)
    ok(dl("aws", "up", "-y"))
    (instance,) = aws.instances()
    ok(dl("aws", "stop", "-y"))
    forget(instance["InstanceId"])
    aws.console = "booting"
    assert "but not verified" in ok(dl("aws", "start", "-y", "--trust-host-key")).stderr


def test_another_machine_that_answers_in_its_place_is_refused(
    dl: Dl, aws: Account, project: Path, setups: list[str]
) -> None:
    other = "AAAAC3NzaC1lZDI1NTE5AAAAIEwqWjrkXcTVeyeZWIUEHgGMbyvaZpdCrRKSpYx8WvBd"
    aws.console = CONSOLE.format("ssh-ed25519", other)
    refused(dl("aws", "up", "-y"), "host key")
    assert setups == []
    assert len(aws.instances()) == 1


def test_a_setup_that_failed_is_gone_on_with_by_the_next_up(
    dl: Dl, aws: Account, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [DlError("The setup of cats failed", hint="Try again."), None]

    def provision(*rest: object) -> None:
        if answer := answers.pop(0):
            raise answer

    monkeypatch.setattr(reach, "provision", provision)
    refused(dl("aws", "up", "-y"), "The setup of cats failed")
    order = order_module.Order(**read_yaml(order_module.journal_file("us-east-1", "cats")))
    order_module.write_order("us-east-1", "cats", replace(order, sent=order.sent - 86400))
    ok(dl("aws", "up", "-y"))
    assert answers == []
    assert len(aws.instances()) == 1


def test_a_box_is_extended_where_its_watchdog_takes_it(
    dl: Dl,
    aws: Account,
    project: Path,
    sshd: Sshd,
    setups: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ok(dl("aws", "up", "-y"))
    (sshd.home / "watchdog").unlink()  # `ls` then shows the limit
    monkeypatch.setattr("dlcli.aws.launch.extend_command", lambda by: ["false"])
    refused(dl("aws", "extend", "30h"), "could not be extended")
    assert "24 h at most" in ok(dl("aws", "ls")).stdout
    monkeypatch.setattr("dlcli.aws.launch.extend_command", lambda by: ["true"])
    said = ok(dl("aws", "extend", "30h")).stderr
    assert "cats stays up for 30 h: $0.824/h; stops in 30 h, even if it is busy" in said
    assert "30 h at most" in ok(dl("aws", "ls")).stdout
    ok(dl("aws", "extend", "1h"))
    assert "30 h at most" in ok(dl("aws", "ls")).stdout


def test_a_box_that_was_started_takes_todays_limits_and_one_that_runs_none(
    dl: Dl, aws: Account, project: Path, setups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[str, int, bool]] = []

    def install(box: Named, settings: Aws, run: Runner, *, anew: bool) -> None:
        found.append((run(["echo", box.name])[1].strip(), settings.max_hours, anew))

    monkeypatch.setattr(reach, "install_watchdog", install)
    ok(dl("aws", "up", "-y"))
    ok(dl("aws", "up", "-y"))
    assert found == []
    for words in (("up", "-y", "--max-hours", "5"), ("start", "-y", "--max-hours", "5")):
        refused(dl("aws", *words), "`--max-hours 5` has no effect", "dl aws extend", exit_code=2)
    refused(dl("aws", "up", "-y", "--disk", "200"), "`--disk 200` has no effect", exit_code=2)
    ok(dl("aws", "stop", "-y"))
    ok(dl("aws", "start", "-y", "--max-hours", "5"))
    ok(dl("aws", "stop", "-y"))
    ok(dl("aws", "up", "-y", "--max-hours", "6"))
    assert found == [("cats", 5, True), ("cats", 6, True)]


def test_up_repairs_a_watchdog_that_does_not_run(
    dl: Dl,
    aws: Account,
    project: Path,
    sshd: Sshd,
    setups: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [DlError("The watchdog of cats does not run"), None]

    def install(box: Named, settings: Aws, run: Runner, *, anew: bool) -> None:
        assert not anew
        if answer := answers.pop(0):
            raise answer

    monkeypatch.setattr(reach, "install_watchdog", install)
    ok(dl("aws", "up", "-y"))
    assert "Installing it again" not in ok(dl("aws", "up", "-y")).stderr
    (sshd.home / "watchdog").write_text(SEEN.replace("now=1010", "now=1200"))
    monkeypatch.setattr("dlcli.aws.launch.extend_command", lambda by: ["false"])
    refused(dl("aws", "extend", "2h"), "Repair its watchdog: `dl aws up -n cats`")
    refused(dl("aws", "up", "-y"), "The watchdog of cats does not run")
    assert "Installing it again" in ok(dl("aws", "up", "-y")).stderr
    assert answers == []


@pytest.mark.parametrize("command", ["up", "start"])
def test_ctrl_c_while_it_waits_says_what_goes_on_and_what_ends_it(
    dl: Dl,
    aws: Account,
    project: Path,
    setups: list[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    if command == "start":
        ok(dl("aws", "up", "-y"))
        ok(dl("aws", "stop", "-y"))

    def interrupted(*rest: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reach, "wait_for_ssh" if command == "up" else "reach", interrupted)
    said = refused(dl("aws", command, "-y"), "a minute or two", exit_code=130).stderr
    assert (
        "Interrupted: cats may be costing money. Continue with `dl aws up -n cats`, or end it "
        "with `dl aws down -n cats`."
    ) in said


def test_a_long_wait_says_how_long_it_has_been(
    dl: Dl, aws: Account, project: Path, setups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled_at_the_third_look(aws, monkeypatch)
    monkeypatch.setattr("dlcli.progress.MESSAGE_SECONDS", 0.0)
    said = ok(dl("aws", "up", "-y")).stderr
    assert said.count("Waiting for the host keys of cats, 0 s so far, 300 s at most") == 3
