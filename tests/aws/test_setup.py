"""What a setup over ssh gives a box, and what it says where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.box_home import BoxHome, write_package
from support.sshd import Sshd
from support.watchdog_box import SEEN

from dlcli.aws import setup, ssh
from dlcli.aws.cloud import Named
from dlcli.aws.setup import STATUS, Runner, install_watchdog, own_script, provision, user_data
from dlcli.errors import DlError
from dlcli.progress import heard_by
from dlcli.settings.aws import Aws

if TYPE_CHECKING:
    from paramiko import SSHClient

pytestmark = pytest.mark.slow


FISH = Named("fish", " --region eu-west-1")


class Remote:
    """A box as ssh shows it: programs run in a home folder of their own; root's are noted."""

    def __init__(self, home: BoxHome, watchdog: str = SEEN) -> None:
        self.home, self.watchdog = home, watchdog

    def __call__(self, argv: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
        if tuple(argv) == STATUS:
            return 0, self.watchdog, ""
        return self.home.run(argv, stdin)


def over_ssh(client: SSHClient, home: BoxHome) -> Runner:
    """The same through a true connection."""
    environ = [f"{name}={value}" for name, value in home.environ.items()]

    def run(argv: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
        if tuple(argv) == STATUS:
            return 0, SEEN, ""
        return ssh.run(client, ["env", "-C", str(home.home), *environ, *argv], stdin)

    return run


@pytest.fixture
def home_of_box(tmp_path: Path, template: Path) -> BoxHome:
    return BoxHome(tmp_path / "box", template)


@pytest.fixture
def small_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel without the packages that the true one needs."""
    monkeypatch.setattr(
        setup, "write_wheel", lambda folder: write_package(folder, "dlcli", "0.1.0", "mine")
    )
    monkeypatch.setattr(setup, "version", lambda: "0.1.0")


@pytest.mark.usefixtures("small_wheel")
def test_a_box_gets_watchdog_dl_and_the_owners_script(
    home_of_box: BoxHome, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "mine.sh").write_text('#!/bin/sh\ndl >>"$FAKE/own"\n')
    settings = Aws(bootstrap=Path("~/mine.sh"), idle=None, max_hours=3)
    provision(FISH, settings, Remote(home_of_box))
    data = (home_of_box.home / ".dl/user-data.sh").read_text()
    assert data == user_data(None, 3)
    assert home_of_box.noted("sudos")[0] == "-n bash .dl/user-data.sh"
    assert home_of_box.dl() == "dlcli 0.1.0 mine"
    assert home_of_box.noted("own") == ["dlcli 0.1.0 mine"]
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("Making ~/.dl/venv with Python")
    assert said[-2:] == ["Running your own bootstrap script", "The box is set up"]
    provision(FISH, settings, Remote(home_of_box))
    assert len(home_of_box.noted("own")) == 1


@pytest.mark.usefixtures("small_wheel")
def test_a_setup_that_fails_brings_the_end_of_its_log_back(home_of_box: BoxHome) -> None:
    (home_of_box.index / "jupyterlab-1.0-py3-none-any.whl").unlink()
    with pytest.raises(DlError) as failed:
        provision(FISH, Aws(), Remote(home_of_box))
    assert failed.value.what == "fish is running but not set up"
    assert "its setup ended with exit code 1; the end of ~/.dl/bootstrap.log" in failed.value.why
    assert "No matching distribution found for jupyterlab" in failed.value.why
    assert "`dl aws up -n fish --region eu-west-1`" in failed.value.hint
    assert "`dl aws stop -n fish --region eu-west-1`" in failed.value.hint


@pytest.mark.usefixtures("small_wheel")
def test_a_setup_goes_on_when_the_connection_is_dropped_and_the_next_call_joins_it(
    home_of_box: BoxHome, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    until_gone_on = 'case $* in *linger*) until [ -e "$FAKE/go" ]; do sleep 0.05; done;; esac'
    home_of_box.fake("sudo", f'{until_gone_on}; echo "$*" >>"$FAKE/sudos"')
    host = sshd.host()

    def drop(said: str) -> None:
        if "Jupyter and TensorBoard" in said:
            sshd.drop()

    def go_on(said: str) -> None:
        if "Waiting for another" in said:
            (home_of_box.folder / "go").touch()

    with (
        closing(ssh.connect(host)) as client,
        heard_by(drop),
        pytest.raises(ssh.Unreachable),
    ):
        provision(FISH, Aws(), over_ssh(client, home_of_box))
    capsys.readouterr()
    with closing(ssh.connect(host)) as client, heard_by(go_on):
        provision(FISH, Aws(), over_ssh(client, home_of_box))
    assert capsys.readouterr().err.splitlines() == [
        "Waiting for another setup of this box to end",
        "Starting Jupyter and TensorBoard on localhost",
        "The box is set up",
    ]
    assert home_of_box.dl() == "dlcli 0.1.0 mine"
    assert home_of_box.log.count("The box is set up") == 2


@pytest.mark.usefixtures("small_wheel")
def test_dl_never_comes_from_the_index_which_has_another_project_of_its_name(
    home_of_box: BoxHome,
) -> None:
    write_package(home_of_box.index, "dlcli", "0.1.0", "of a stranger")
    write_package(home_of_box.index, "dlcli", "9.9.9", "of a stranger")
    provision(FISH, Aws(), Remote(home_of_box))
    assert home_of_box.dl() == "dlcli 0.1.0 mine"


@pytest.mark.parametrize(
    ("sudo", "watchdog", "why"),
    [("echo no tty >&2; exit 1", SEEN, "no tty"), (":", "now=12\n", "it has not written")],
)
def test_a_box_without_a_watchdog_at_work_is_an_error(
    home_of_box: BoxHome, sudo: str, watchdog: str, why: str
) -> None:
    home_of_box.fake("sudo", sudo)
    with pytest.raises(DlError, match="The watchdog of fish does not run") as refused:
        install_watchdog(FISH, Aws(), Remote(home_of_box, watchdog))
    assert refused.value.why.startswith(why)
    assert "stops two hours after its start, idle or busy" in refused.value.hint


def test_a_full_disk_is_said(home_of_box: BoxHome) -> None:
    (home_of_box.home / ".dl").write_text("no folder")
    with pytest.raises(DlError, match="fish is running but not set up") as failed:
        install_watchdog(FISH, Aws(), Remote(home_of_box))
    assert "~/.dl/user-data.sh cannot be written there" in failed.value.why


def test_a_script_of_ones_own_that_is_not_there_is_refused_early(home: Path) -> None:
    with pytest.raises(DlError, match=r"~/nowhere\.sh does not exist") as refused:
        own_script(Aws(bootstrap=Path("~/nowhere.sh")))
    assert "`aws.bootstrap`" in refused.value.why
    assert own_script(Aws()) is None
