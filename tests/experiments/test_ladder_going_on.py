"""A ladder goes on wherever it was stopped, and begins anew where it has to."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.children import killed_before_change
from support.command_result import Dl, ok
from support.forked_commands import Forks
from support.pictures import picture
from support.small_ladder import STEPS, ladders, only_ladder, run_of, train_at_once
from support.turned import save_turned

from dlcli.config import load_config
from dlcli.experiments import ladder as ladder_module
from dlcli.experiments.ladder import RUNGS, climb
from dlcli.runs.ladder import Ladder
from dlcli.runs.run import Run
from dlcli.training import checkpoint, fit

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]


@pytest.fixture
def stopped(dl: Dl, home: Path, short_course: Path, monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """A ladder that Ctrl-C stopped in its second step; trainings take no time, then and later."""
    train_at_once(monkeypatch, home, stopping=("finetune",))
    assert dl("ladder", "-d", short_course, "--full").exit_code == 130
    train_at_once(monkeypatch, home)
    return only_ladder(home)


@pytest.mark.parametrize("epochs", [2, 3])
def test_after_ctrl_c_the_same_command_goes_on(
    dl: Dl, home: Path, short_course: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """After the last epoch of the first step, and within the second."""
    saves = 0

    def stop(*arguments: object) -> None:
        nonlocal saves
        checkpoint.save_checkpoint(*arguments)  # type: ignore[arg-type]
        saves += 1
        if saves == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fit, "save_checkpoint", stop)
        said = dl("ladder", "-d", short_course, "--full", "--again")
    assert said.exit_code == 130
    assert f"To resume: `dl ladder -d {short_course} --full`." in said.stderr
    ladder = only_ladder(home)
    begun = ladder.record()["runs"]
    assert len(begun) == epochs - 1
    said = ok(dl("ladder", "-d", short_course, "--full"))
    assert f"-ladder, {epochs - 2} of 2 steps done" in said.stderr
    assert only_ladder(home).record()["state"] == "finished"
    assert ladder.record()["runs"].items() >= begun.items()
    assert len(Run.all(home / "runs")) == 2
    for step in STEPS:
        assert [row["epoch"] for row in run_of(ladder, step).history] == [1, 2]


# in a process of its own the course is short too
SHORT_COURSE = (
    "from dlcli.experiments import ladder; "
    f"ladder.RUNGS = tuple(rung for rung in ladder.RUNGS if rung.name in {STEPS})"
)


def wait_for_epochs(home: Path, recipe: str, count: int) -> Run:
    for _ in range(6000):
        for path in home.glob(f"runs/*/*-{recipe}-*/history.csv"):
            if len(Run(path.parent).history) >= count:
                return Run(path.parent)
        time.sleep(0.01)
    raise AssertionError("no epoch in a minute")


def test_a_killed_ladder_goes_on_within_the_step(
    dl: Dl, forks: Forks, home: Path, short_course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DL_TRAIN__FINETUNE__SCHEDULE", "1e-3x60")
    pid = forks.start("ladder", "-d", short_course, "--full", first=SHORT_COURSE)
    run = wait_for_epochs(home, "finetune", 2)
    os.kill(pid, signal.SIGKILL)
    assert forks.end().exit_code == -signal.SIGKILL
    ladder = only_ladder(home)
    assert "finetune" not in ladder.record()["runs"]  # nobody could write it down
    begun = run.history
    assert 2 <= len(begun) < 60
    said = ok(dl("ladder", "-d", short_course, "--full"))
    assert "1 of 2 steps done" in said.stderr
    assert "Resuming after epoch" in said.stderr
    assert run_of(ladder, "finetune").path == run.path
    assert run.history[: len(begun)] == begun
    assert len(run.history) == 60
    assert len(Run.all(home / "runs")) == 2


@pytest.mark.forks
def test_killed_before_any_change_no_finished_step_is_trained_again(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home)
    monkeypatch.setattr(ladder_module, "RUNGS", RUNGS[:2])
    # what a kill leaves of it is written again by the next call
    monkeypatch.setattr(ladder_module, "write_results", lambda *given: None)

    def climb_it() -> Any:
        return climb(load_config(), tiny)

    for number in range(1, 100):
        if not killed_before_change(number, climb_it):
            break
        if not any(ladder.record()["state"] == "finished" for ladder in ladders(home)):
            climb_it()
        ladder = only_ladder(home)
        assert ladder.record()["state"] == "finished"
        assert {run_of(ladder, step).state for step in ("linear", "dense")} == {"finished"}
        trained = (home / "trained").read_text().splitlines()
        # the kill may have been between a training's end and its note in the test's own file
        assert len(trained) == len(set(trained)) <= 2
        shutil.rmtree(home / "runs")
        (home / "trained").unlink()
    assert number > 10


def test_with_other_settings_it_begins_anew_and_says_why(
    dl: Dl, home: Path, stopped: Ladder, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ok(dl("ladder", "--full", "--seed", "1"))
    assert (
        f"Starting a new ladder, because `seed` is 1, not 0 as before. {stopped.name} "
        in said.stderr
    )
    assert len(ladders(home)) == 2
    with monkeypatch.context() as patched:
        patched.setenv("DL_TRAIN__FINETUNE__SCHEDULE", "1e-2")
        said = ok(dl("ladder", "--full"))
    assert "because `schedule` of finetune is 0.01x1, not 0.001x2" in said.stderr
    assert len(ladders(home)) == 3
    assert stopped.record()["state"] == "unfinished"
    said = ok(dl("ladder", "--full"))
    assert f"Resuming ~/runs/tiny/{stopped.name}, 1 of 2 steps done" in said.stderr


def test_with_other_images_it_begins_anew_and_says_why(
    dl: Dl, home: Path, short_course: Path, stopped: Ladder
) -> None:
    picture(0, 77).save(short_course / "test" / "new.png")  # of no consequence
    picture(0, 78).save(short_course / "valid" / "cat" / "new.png")
    said = ok(dl("ladder", "--full"))
    assert "because the images of valid/ have changed" in said.stderr
    assert len(ladders(home)) == 2


def test_it_begins_anew_where_that_is_asked_for(dl: Dl, home: Path, stopped: Ladder) -> None:
    ok(dl("ladder", "--full", "--again"))
    assert len(ladders(home)) == 2


def test_one_process_at_a_time_climbs_a_ladder(dl: Dl, stopped: Ladder) -> None:
    with stopped.held():
        said = dl("ladder", "--full")
    assert said.exit_code == 1
    assert "is being trained" in said.stderr


def test_a_run_that_was_removed_is_trained_again(dl: Dl, home: Path, stopped: Ladder) -> None:
    shutil.rmtree(run_of(stopped, "linear").path)
    ok(dl("ladder", "--full"))
    assert run_of(stopped, "linear").state == "finished"
    assert len((home / "trained").read_text().splitlines()) == 3


def test_a_failed_step_whose_run_was_removed_has_another_try(
    dl: Dl, home: Path, short_course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home, failing=("linear",), stopping=("finetune",))
    assert dl("ladder", "-d", short_course, "--full").exit_code == 130
    ladder = only_ladder(home)
    assert list(ladder.record()["failed"]) == ["linear"]
    shutil.rmtree(run_of(ladder, "linear").path)
    train_at_once(monkeypatch, home)
    assert "Failed" not in ok(dl("ladder", "--full")).stdout
    assert ladder.record()["failed"] == {}


def test_a_damaged_ladder_keeps_no_new_one_from_beginning(
    dl: Dl, home: Path, short_course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home)
    for name, text in (
        ("1-ladder", "state: [\n"),
        ("2-ladder", ""),
        ("3-ladder", "state: unfinished\n"),
    ):
        (home / "runs" / "tiny" / name).mkdir(parents=True)
        (home / "runs" / "tiny" / name / "ladder.yaml").write_text(text)
    ok(dl("ladder", "-d", short_course, "--full"))
    assert len(ladders(home)) == 4


def test_a_ladder_begun_before_images_were_turned_goes_on_where_none_is(
    dl: Dl, home: Path, short_course: Path, stopped: Ladder
) -> None:
    plan = stopped.record()["plan"]
    assert "version" not in plan["steps"]["finetune"]["forward"]["pixels"]
    assert "1 of 2 steps done" in ok(dl("ladder", "--full")).stderr
    turned = next((short_course / "train").rglob("*.*"))
    with Image.open(turned) as image:
        save_turned(image.convert("RGB"), turned.with_name("turned.png"), 6)
    ok(dl("ladder", "--full"))
    newest = ladders(home)[-1].record()["plan"]
    assert newest["steps"]["finetune"]["forward"]["pixels"]["version"] == 2
