"""The bootstrap in a real shell: what it sets up, once, whatever happened before."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from support.box_home import SCRIPT, VERSION, BoxHome, write_package

pytestmark = pytest.mark.slow


@pytest.fixture
def box(tmp_path: Path, template: Path) -> BoxHome:
    return BoxHome(tmp_path / "box", template)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, template: Path) -> BoxHome:
    """A box that is set up; a copy of it without its packages lies beside it."""
    box = BoxHome(tmp_path_factory.mktemp("kept") / "box", template)
    assert box.set_up()[0] == 0, box.log
    but_packages = shutil.ignore_patterns("venv")
    shutil.copytree(box.folder, box.folder.with_name("copy"), symlinks=True, ignore=but_packages)
    return box


@pytest.fixture
def whole_box(kept: BoxHome) -> BoxHome:
    """A box that was set up, as it then was, for tests that leave its packages alone.

    It lies at the same place for all of them, as its programs name it: pip takes its time.
    """
    venv, aside = kept.home / ".dl/venv", kept.folder.with_name("venv")
    venv.rename(aside)
    shutil.rmtree(kept.folder)
    shutil.copytree(kept.folder.with_name("copy"), kept.folder, symlinks=True)
    aside.rename(venv)
    return kept


def begin(box: BoxHome) -> str:
    """Begin in the background; the folder to follow it by."""
    code, out, err = box.run(["bash", str(SCRIPT), "start", VERSION, box.wheel()])
    assert (code, err) == (0, "")
    return out.strip()


def follow(box: BoxHome, folder: str) -> tuple[int, str]:
    """Follow to the end; the exit code, and all that was said."""
    code, heard = 75, ""
    while code == 75:
        code, out, err = box.run(["bash", str(SCRIPT), "follow", folder, str(len(heard))])
        assert err == ""
        heard += out
    return code, heard


def test_a_box_is_set_up_and_set_up_again_with_nothing_left_to_do(box: BoxHome) -> None:
    code, steps = box.set_up()
    assert code == 0, box.log
    assert steps[0].startswith("Making ~/.dl/venv with Python 3.")
    assert steps[1].startswith(f"Installing dlcli {VERSION} with TensorFlow's CUDA libraries")
    assert steps[-2:] == ["Starting Jupyter and TensorBoard on localhost", "The box is set up"]
    assert box.dl() == f"dlcli {VERSION}"
    for program in ("jupyterlab", "tensorboard", "tensorflow"):
        assert (box.home / ".dl/venv/bin" / program).exists()
    assert box.noted("sudos") == [f"-n loginctl enable-linger {os.environ.get('USER', 'root')}"]
    started = box.noted("systemctls")
    assert [line for line in started if "restart" in line] == [
        "--user restart dl-jupyter.service",
        "--user restart dl-tensorboard.service",
    ]
    code, steps = box.set_up()
    assert code == 0
    assert steps == ["Starting Jupyter and TensorBoard on localhost", "The box is set up"]
    # a restart of Jupyter would end its kernels
    assert len([line for line in box.noted("systemctls") if "restart" in line]) == 2


def test_jupyter_and_tensorboard_listen_on_localhost_alone(whole_box: BoxHome) -> None:
    units = whole_box.home / ".config/systemd/user"
    jupyter = (units / "dl-jupyter.service").read_text()
    board = (units / "dl-tensorboard.service").read_text()
    assert "--ip=127.0.0.1 --port=8888" in jupyter
    assert "PATH=%h/.dl/venv/bin:" in jupyter  # for `!dl ...` in a notebook
    assert "token" not in jupyter.lower()  # Jupyter makes one of its own at each start
    assert "--host 127.0.0.1 --port 6006" in board
    assert "enable dl-jupyter.service" in " ".join(whole_box.noted("systemctls"))


def test_a_service_is_started_again_where_it_has_stopped_or_changed(whole_box: BoxHome) -> None:
    (whole_box.folder / "systemctls").write_text("")
    assert whole_box.set_up()[0] == 0
    assert len([line for line in whole_box.noted("systemctls") if "restart" in line]) == 2
    (whole_box.home / ".config/systemd/user/dl-jupyter.service").write_text(
        "of an earlier version\n"
    )
    (whole_box.folder / "systemctls").write_text("restart dl-jupyter restart dl-tensorboard\n")
    whole_box.fake("systemctl", 'echo "$*" >>"$FAKE/systemctls"')
    assert whole_box.set_up()[0] == 0
    assert [line for line in whole_box.noted("systemctls") if "--user restart" in line] == [
        "--user restart dl-jupyter.service"
    ]


def test_a_setup_that_failed_half_way_is_finished_by_the_next(box: BoxHome) -> None:
    (box.index / "jupyterlab-1.0-py3-none-any.whl").rename(box.folder / "kept.whl")
    code, steps = box.set_up()
    assert code == 1
    assert steps[-1].startswith("Installing dlcli")
    assert "No matching distribution found for jupyterlab" in box.log
    assert box.log.splitlines()[-1].endswith("failed with exit code 1")
    (box.folder / "kept.whl").rename(box.index / "jupyterlab-1.0-py3-none-any.whl")
    code, steps = box.set_up()
    assert (code, steps[-1]) == (0, "The box is set up")
    assert box.dl() == f"dlcli {VERSION}"


def test_a_broken_virtual_environment_is_made_anew(box: BoxHome) -> None:
    assert box.set_up()[0] == 0
    (box.home / ".dl/venv/bin/python").unlink()
    code, steps = box.set_up()
    assert code == 0
    assert [step.split(" ")[0] for step in steps[:2]] == ["Making", "Installing"]
    assert box.dl() == f"dlcli {VERSION}"


def test_a_wheel_is_installed_anew_when_it_changed_and_not_otherwise(box: BoxHome) -> None:
    wheels = box.home / ".dl/wheels"
    wheels.mkdir(parents=True)
    wheel = write_package(wheels, "dlcli", VERSION, says="as of monday")
    arguments = (VERSION, f".dl/wheels/{wheel.name}")
    assert box.set_up(*arguments)[0] == 0, box.log
    assert box.dl() == f"dlcli {VERSION} as of monday"
    code, steps = box.set_up(*arguments)
    assert (code, len(steps)) == (0, 2)
    write_package(wheels, "dlcli", VERSION, says="as of tuesday")
    assert box.set_up(*arguments)[0] == 0
    assert box.dl() == f"dlcli {VERSION} as of tuesday"


def test_dl_is_not_exchanged_under_a_job_at_work(box: BoxHome) -> None:
    assert box.set_up()[0] == 0
    job = box.home / ".dl/jobs/20261123-1409"
    job.mkdir(parents=True)
    (job / "pid").write_text(f"{os.getpid()}\n")
    write_package(box.index, "dlcli", "9.9.10")
    code, steps = box.set_up("9.9.10")
    assert (code, box.dl()) == (0, f"dlcli {VERSION}")
    assert steps[0] == "A job is running: dl is not updated now; run the setup again after it"
    (job / "rc").write_text("0\n")
    assert box.set_up("9.9.10")[0] == 0
    assert box.dl() == "dlcli 9.9.10"


def test_the_owners_script_runs_last_and_once_for_each_version_of_it(whole_box: BoxHome) -> None:
    script = whole_box.home / ".dl/own-bootstrap"
    script.write_text('#!/bin/sh\ndl >>"$FAKE/own"; pwd >>"$FAKE/own"\n')
    code, steps = whole_box.set_up()
    assert (code, steps[-2]) == (0, "Running your own bootstrap script"), whole_box.log
    assert whole_box.set_up()[0] == 0
    assert whole_box.noted("own") == [f"dlcli {VERSION} ", str(whole_box.home)]
    script.write_text("#!/bin/sh\necho that went wrong; exit 3\n")
    for _ in range(2):
        assert whole_box.set_up()[0] == 3
        assert whole_box.log.splitlines()[-2] == "that went wrong"


def test_python_is_installed_where_its_venv_is_missing(box: BoxHome) -> None:
    """As on Ubuntu, where it is a package of its own."""
    whole = (box.bin / "python3.12").read_text()
    box.fake("python3.12", "exit 1")
    box.fake("python3.11", "exit 1")
    (box.folder / "whole").write_text(whole)
    box.fake(
        "sudo",
        'echo "$*" >>"$FAKE/sudos"; case $* in *install*) cp "$FAKE/whole" "$FAKE/bin/python3.12";'
        ' chmod +x "$FAKE/bin/python3.12";; esac',
    )
    code, steps = box.set_up()
    assert (code, steps[0]) == (0, "Installing python3.12-venv"), box.log
    installs = [line for line in box.noted("sudos") if "install" in line]
    assert len(installs) == 1
    assert installs[0].endswith("apt-get -o DPkg::Lock::Timeout=300 install -y python3.12-venv")
    assert box.noted("cloud-inits") == ["status --wait"]


def test_one_in_the_background_is_followed_to_its_end(box: BoxHome) -> None:
    code, said = follow(box, begin(box))
    assert code == 0
    assert said.startswith("Making ~/.dl/venv")
    assert said.endswith("The box is set up\n")


def test_one_in_the_background_that_fails_says_how(whole_box: BoxHome) -> None:
    whole_box.fake("sudo", "exit 7")
    code, said = follow(whole_box, begin(whole_box))
    assert (code, said.splitlines()[-1]) == (7, "Starting Jupyter and TensorBoard on localhost")


def test_one_that_was_killed_has_an_end_too_and_the_next_does_the_rest(whole_box: BoxHome) -> None:
    whole_box.fake("sudo", "sleep 60")
    folder = Path(begin(whole_box))
    while "Jupyter" not in (folder / "steps").read_text():
        time.sleep(0.05)
    os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)
    assert follow(whole_box, str(folder))[0] == 1
    whole_box.fake("sudo", ":")
    assert whole_box.set_up()[1][-1] == "The box is set up"


def test_the_second_of_two_waits_and_finds_everything_done(box: BoxHome) -> None:
    box.fake("sudo", 'until [ -e "$FAKE/go" ]; do sleep 0.05; done')
    first = begin(box)
    while "Jupyter" not in Path(first, "steps").read_text():
        time.sleep(0.05)
    second = begin(box)
    while "Waiting" not in Path(second, "steps").read_text():
        time.sleep(0.05)
    (box.folder / "go").touch()
    code, said = follow(box, second)
    assert code == 0
    assert said.splitlines() == [
        "Waiting for another setup of this box to end",
        "Starting Jupyter and TensorBoard on localhost",
        "The box is set up",
    ]
    assert follow(box, first)[0] == 0
