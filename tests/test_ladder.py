"""A ladder: all steps on one dataset, going on wherever it was stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from children import killed_before_change
from climbed import train_at_once
from pictures import picture
from typed import Dl, ok

from dlcli import checkpoint, climbing, training
from dlcli.climbing import climb
from dlcli.config import Config, load_config
from dlcli.course import RUNGS, Rung
from dlcli.files import read_csv, write_yaml
from dlcli.ladder import Ladder
from dlcli.launch import train
from dlcli.run import Run

SHORT = (Rung("linear"), Rung("linear", {"augment": True}), Rung("finetune"))
STEPS = [rung.name for rung in SHORT]
LINEAR, AUGMENT, FINETUNE = STEPS


@pytest.fixture
def short(home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset, settings that make each step quick, and a course of three steps."""
    linear = {"schedule": "1e-3x2", "batch_size": 4}
    finetune = {"schedule": "1e-2x60", "batch_size": 4}
    write_yaml(
        home / "dl.yaml", {"image_size": 64, "train": {"linear": linear, "finetune": finetune}}
    )
    monkeypatch.setattr(climbing, "RUNGS", SHORT)
    return tiny


def ladders(home: Path) -> list[Ladder]:
    return [Ladder(file.parent) for file in sorted(home.glob("runs/*/*/ladder.yaml"))]


def only_ladder(home: Path) -> Ladder:
    (ladder,) = ladders(home)
    return ladder


def run_of(ladder: Ladder, step: str) -> Run:
    run = ladder.run(step)
    assert run is not None
    return run


def stop_after_saves(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Ctrl-C after so many epochs."""
    saves = 0

    def stop(*arguments: object) -> None:
        nonlocal saves
        checkpoint.save_checkpoint(*arguments)  # type: ignore[arg-type]
        saves += 1
        if saves == number:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", stop)


def test_the_course_goes_from_the_pixels_to_a_pretrained_network() -> None:
    assert [rung.name for rung in RUNGS] == [
        *("linear", "dense", "cnn", "cnn +augment", "cnn +batchnorm", "cnn +dropout"),
        *("imagenet-linear", "finetune", "fc", "bn"),
    ]


def test_a_step_never_has_what_a_later_one_adds() -> None:
    plain, *_, last = [rung.hyperparameters for rung in RUNGS if rung.recipe == "cnn"]
    assert plain == {"augment": False, "batchnorm": False, "dropout": 0.0}
    assert last == {"augment": True, "batchnorm": True, "dropout": 0.5}


def test_each_step_is_a_run_and_the_folder_holds_table_and_picture(
    dl: Dl, home: Path, short: Path
) -> None:
    said = ok(dl("ladder", "-d", short, "--full"))
    for number, step in enumerate(STEPS, start=1):
        assert f"Step {number} of 3: {step}" in said.stderr
    ladder = only_ladder(home)
    assert ladder.name.endswith("-ladder")
    assert ladder.record()["state"] == "finished"
    runs = [run_of(ladder, step) for step in STEPS]
    assert [run.record()["recipe"] for run in runs] == ["linear", "linear", "finetune"]
    assert [run.config()["train"]["linear"]["augment"] for run in runs[:2]] == [False, True]
    assert {run.state for run in runs} == {"finished"}
    header, *rows = read_csv(ladder.path / "ladder.csv")
    assert [row[0] for row in rows] == STEPS
    for run, row in zip(runs, rows, strict=True):
        found, status = dict(zip(header, row, strict=True)), run.status()
        assert found["run"] == run.name
        assert float(found["val_loss"]) == status["val_loss"]
        assert int(found["parameters"]) == status["parameters"]
    page = (ladder.path / "ladder.md").read_text()
    assert "16 images to train on, 8 to judge by. Guessing: 50.0" in page
    assert all(f"| {step} |" in page and f"- **{step}**: " in page for step in STEPS)
    assert (ladder.path / "ladder.png").read_bytes().startswith(b"\x89PNG")


def test_a_ladders_folder_is_no_run(dl: Dl, home: Path, short: Path) -> None:
    ok(dl("ladder", "-d", short, "--full"))
    ladder = only_ladder(home)
    assert ladder.path not in [run.path for run in Run.all(home / "runs")]
    assert run_of(ladder, FINETUNE).name in ok(dl("evaluate", "-d", short)).stderr
    assert dl("evaluate", ladder.path).exit_code == 1


@pytest.mark.parametrize("epochs", [1, 2, 3, 5])
def test_after_ctrl_c_the_same_command_goes_on(
    dl: Dl, home: Path, short: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """After the first epoch of a step, and after its last."""
    command = ("ladder", "-d", short, "--full", "--again")
    with monkeypatch.context() as patched:
        stop_after_saves(patched, epochs)
        said = dl(*command)
    assert said.exit_code == 130
    assert f"Go on with `dl ladder -d {short} --full`." in said.stderr
    ladder = only_ladder(home)
    begun = {step: run.name for step in STEPS if (run := ladder.run(step))}
    assert len(begun) == (epochs + 1) // 2
    said = ok(dl(*command[:-1]))
    assert f"-ladder, {(epochs - 1) // 2} of 3 steps done" in said.stderr
    assert only_ladder(home).record()["state"] == "finished"
    assert ladder.record()["runs"].items() >= begun.items()
    assert len(Run.all(home / "runs")) == 3
    assert [row["epoch"] for row in run_of(ladder, LINEAR).history()] == [1, 2]


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """`dl` in a process of its own, in which the course is short too."""
    script = (
        "import sys; from dlcli import climbing; from dlcli.cli import main; "
        "from dlcli.course import Rung; "
        f"climbing.RUNGS = tuple(Rung(*each) for each in {[(r.recipe, r.values) for r in SHORT]}); "
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_epochs(home: Path, recipe: str, count: int) -> Run:
    for _ in range(1200):
        for path in home.glob(f"runs/*/*-{recipe}-*/history.csv"):
            if len(Run(path.parent).history()) >= count:
                return Run(path.parent)
        time.sleep(0.05)
    raise AssertionError("no epoch in a minute")


def test_a_killed_ladder_goes_on_within_the_step(dl: Dl, home: Path, short: Path) -> None:
    process = start("ladder", "-d", short, "--full")
    run = wait_for_epochs(home, "finetune", 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ladder = only_ladder(home)
    assert FINETUNE not in ladder.record()["runs"]  # nobody could write it down
    begun = run.history()
    assert 2 <= len(begun) < 60
    said = ok(dl("ladder", "-d", short, "--full"))
    assert "2 of 3 steps done" in said.stderr
    assert "Going on after epoch" in said.stderr
    assert run_of(ladder, FINETUNE).path == run.path
    assert run.history()[: len(begun)] == begun
    assert len(run.history()) == 60
    assert len(Run.all(home / "runs")) == 3


@pytest.mark.forks
def test_killed_before_any_change_no_finished_step_is_trained_again(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home)
    monkeypatch.setattr(climbing, "RUNGS", RUNGS[:2])
    # what a kill leaves of it is written again by the next call
    monkeypatch.setattr(climbing, "write_results", lambda *given: None)

    def climb_it() -> Any:
        return climb(load_config(), tiny)

    for number in range(1, 100):
        if not killed_before_change(number, climb_it):
            break
        if not any(ladder.record()["state"] == "finished" for ladder in ladders(home)):
            climb_it()
        (ladder,) = ladders(home)
        assert ladder.record()["state"] == "finished"
        assert [run_of(ladder, step).state for step in ("linear", "dense")] == ["finished"] * 2
        trained = (home / "trained").read_text().splitlines()
        # the kill may have been between a training's end and its note in the test's own file
        assert len(trained) == len(set(trained)) <= 2
        shutil.rmtree(home / "runs")
        (home / "trained").unlink()
    assert number > 10


def stopped(dl: Dl, monkeypatch: pytest.MonkeyPatch, *command: object) -> None:
    with monkeypatch.context() as patched:
        stop_after_saves(patched, 3)
        assert dl("ladder", "--full", *command).exit_code == 130


def test_with_other_settings_it_begins_anew_and_says_why(
    dl: Dl, home: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(dl, monkeypatch, "-d", short)
    (first,) = ladders(home)
    said = ok(dl("ladder", "--full", "--seed", "1"))
    assert f"Beginning a new ladder, since `seed` is 1, no more 0: {first.name} " in said.stderr
    assert len(ladders(home)) == 2
    assert "`schedule` of finetune is 1e-2, no more 1e-2x60" in said_after(
        dl, monkeypatch, "DL_TRAIN__FINETUNE__SCHEDULE", "1e-2"
    )
    assert len(ladders(home)) == 3
    assert first.record()["state"] == "unfinished"
    said = ok(dl("ladder", "--full"))
    assert f"Going on with ~/runs/tiny/{first.name}, 1 of 3 steps done" in said.stderr


def said_after(dl: Dl, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    with monkeypatch.context() as patched:
        patched.setenv(name, value)
        return ok(dl("ladder", "--full")).stderr


def test_with_other_images_it_begins_anew_and_says_why(
    dl: Dl, home: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(dl, monkeypatch, "-d", short)
    picture(0, 77).save(short / "test" / "new.png")  # of no consequence
    picture(0, 78).save(short / "valid" / "cat" / "new.png")
    said = ok(dl("ladder", "--full"))
    assert "the images of valid/ have changed" in said.stderr
    assert len(ladders(home)) == 2


def test_images_that_change_under_way_stop_it(
    dl: Dl, home: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(config: Config, recipe: str, root: Path) -> Run:
        run = train(config, recipe, root)
        picture(0, 78).save(short / "valid" / "cat" / "new.png")
        return run

    monkeypatch.setattr(climbing, "train", change)
    said = dl("ladder", "-d", short, "--full")
    assert said.exit_code == 1
    assert "have changed since the ladder began" in said.stderr


def test_a_step_that_diverges_is_noted_and_the_others_go_on(
    dl: Dl, home: Path, short: Path
) -> None:
    write_yaml(
        home / "dl.yaml",
        {"image_size": 64, "train": {"linear": {"schedule": "1e38x3", "batch_size": 4}}},
    )
    said = ok(dl("ladder", "-d", short, "--full"))
    assert "linear failed. The numbers have left all bounds in epoch" in said.stderr
    assert "linear" in said.stdout
    assert "Failed. The numbers have left all bounds" in said.stdout
    ladder = only_ladder(home)
    assert run_of(ladder, LINEAR).state == "failed"
    assert run_of(ladder, FINETUNE).state == "finished"
    _, row, *_ = read_csv(ladder.path / "ladder.csv")
    assert row[2:8] == [""] * 6


def test_what_no_step_can_do_without_is_refused_before_the_first(
    dl: Dl, home: Path, short: Path
) -> None:
    said = dl("ladder", "-d", short, "--full", "--backbone", "vgg")
    assert said.exit_code != 0
    assert "Did you mean" in said.stderr
    assert not (home / "runs").exists()
    said = dl("ladder", "-d", short, "--full", "--preset", "none")
    assert said.exit_code == 2
    assert "would change nothing" in said.stderr
    assert not (home / "runs").exists()


def test_one_process_at_a_time_climbs_a_ladder(
    dl: Dl, home: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(dl, monkeypatch, "-d", short)
    with only_ladder(home).held():
        said = dl("ladder", "--full")
    assert said.exit_code == 1
    assert "is being climbed" in said.stderr


def test_a_run_that_was_removed_is_trained_again(
    dl: Dl, home: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(dl, monkeypatch, "-d", short)
    ladder = only_ladder(home)
    shutil.rmtree(run_of(ladder, LINEAR).path)
    ok(dl("ladder", "--full"))
    assert run_of(ladder, LINEAR).state == "finished"


def test_a_damaged_ladder_keeps_no_new_one_from_beginning(dl: Dl, home: Path, short: Path) -> None:
    for name, text in (("1-ladder", "state: [\n"), ("2-ladder", ""), ("3-ladder", "a: 1\n")):
        (home / "runs" / "tiny" / name).mkdir(parents=True)
        (home / "runs" / "tiny" / name / "ladder.yaml").write_text(text)
    ok(dl("ladder", "-d", short, "--full"))
    assert len(ladders(home)) == 4
