"""A run that is somebody else's: links in it, and files that `dl` did not make."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.listed_runs import last_named_dataset, listed_run

from dlcli.errors import DlError
from dlcli.files.own import NotOwnError
from dlcli.inference.export.export import EXAMPLE, RECORD
from dlcli.inference.export.formats import FORMATS
from dlcli.process import machine_id
from dlcli.runs.choice import find_finished_run
from dlcli.runs.disk import remove_checkpoint, remove_run
from dlcli.runs.listing import list_runs
from dlcli.runs.run import Run
from dlcli.runs.stand_in import runs_to_read, writable_run
from dlcli.runs.tensorboard import SIDES
from dlcli.training import checkpoint
from dlcli.training.resume import resume


@pytest.fixture
def theirs(home: Path) -> Path:
    folder = home / "theirs"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*")}


NAMES = [
    "log.txt",
    "status.yaml",
    "config.yaml",
    "history.csv",
    "classes.yaml",
    "metrics.yaml",
    "report.html",
    "submission.csv",
    "kaggle.yaml",
    "lock.yaml",
    "models/best.keras",
    "models/engine/network.xml",
    "predictions/valid.csv",
    "checkpoint/state.npz",
    "checkpoint/best-2.npz",
    "figures/confusion.png",
    "submissions/0123abcd.csv",
    "models",
    "predictions",
    "checkpoint",
    "figures",
    "exports",
    "tensorboard",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_a_run_is_named_and_nothing_is_written(
    home: Path, theirs: Path, name: str
) -> None:
    run, other = listed_run(), listed_run("202611231408-linear")
    place = run.path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(theirs / "precious" if "." in name else theirs)
    before = sorted(run.path.rglob("*"))
    for act in (
        lambda: resume(run),
        lambda: writable_run(run),
        lambda: runs_to_read(run),
        lambda: find_finished_run(run.name, home / "runs"),
        run.require_whole,
    ):
        with pytest.raises(NotOwnError, match=f"{name} is a link to ~/theirs"):
            act()
    assert find_finished_run(other.name, home / "runs") == other
    assert sorted(run.path.rglob("*")) == before
    assert contents(theirs) == {"precious": "precious"}
    remove_run(run)
    assert contents(theirs) == {"precious": "precious"}


def test_a_pipe_in_a_run_hangs_nobody(home: Path) -> None:
    run = listed_run()
    os.mkfifo(run.log_file)
    for act in (run.require_own, lambda: run.log("text")):
        with pytest.raises(NotOwnError, match=r"log\.txt is a named pipe"):
            act()


@pytest.mark.parametrize("name", NAMES)
def test_a_list_says_which_run_has_a_link(home: Path, theirs: Path, name: str) -> None:
    run, other = listed_run(), listed_run("202611231408-linear")
    place, target = run.path / name, theirs / "taken"
    if place.exists():
        place.rename(target)
    elif "." in name:
        target.touch()
    else:
        target.mkdir()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
    rows = {row.run: row for row in list_runs(home / "runs")}
    assert (rows[run].state, rows[run].problem) == ("damaged", f"{name} is a link")
    assert rows[other].state == "finished"


@pytest.mark.parametrize("name", ["log.txt", "predictions/valid.csv", "models"])
def test_a_list_says_which_run_has_a_pipe(home: Path, name: str) -> None:
    run = listed_run()
    (run.path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(run.path / name)
    (row,) = list_runs(home / "runs")
    assert (row.state, row.problem) == (
        "damaged",
        f"{name} can't be read: it is a pipe or a device",
    )


def test_a_list_follows_no_link_of_others_and_reads_what_it_may(home: Path, theirs: Path) -> None:
    run = listed_run()
    (run.path / "my-links").mkdir()
    (run.path / "my-links" / "log.txt").symlink_to(theirs / "precious")
    (run.path / "notes").symlink_to(theirs)
    (row,) = list_runs(home / "runs")
    assert (row.state, row.problem) == ("finished", "")


def test_what_a_link_leads_to_is_not_read(home: Path, theirs: Path) -> None:
    run = listed_run()
    for file in (run.status_file, run.config_file, run.classes_file, run.history_file):
        file.rename(theirs / file.name)
        file.symlink_to(theirs / file.name)
    assert run.is_damaged
    assert run.history == []
    for read in (lambda: run.config, lambda: run.classes):
        with pytest.raises(DlError, match="is damaged"):
            read()


@pytest.mark.parametrize("name", ["log.txt", "predictions", "models"])
def test_a_training_writes_through_no_link(home: Path, theirs: Path, name: str) -> None:
    run = listed_run()
    (run.path / name).symlink_to(theirs / "precious" if "." in name else theirs)
    with pytest.raises(NotOwnError, match=f"{name} is a link"):
        run.start("linear", 3)
        run.log("text")
    assert contents(theirs) == {"precious": "precious"}


def test_a_checkpoint_behind_a_link_is_neither_written_nor_removed(
    home: Path, theirs: Path
) -> None:
    run = listed_run()
    run.checkpoint.symlink_to(theirs)
    (theirs / "state.npz").write_text("theirs")
    for act in (
        lambda: checkpoint.save_checkpoint(run.checkpoint, checkpoint.Progress(), [], []),
        lambda: checkpoint.remove_checkpoint(run.checkpoint),
        lambda: remove_checkpoint(run),
    ):
        with pytest.raises(NotOwnError, match="checkpoint is a link"):
            act()
    assert (theirs / "state.npz").read_text() == "theirs"


def test_others_files_in_a_checkpoint_stay_and_are_named(dl: Dl, home: Path) -> None:
    last_named_dataset()
    run = listed_run()
    run.checkpoint.mkdir()
    for name in ("state.npz", "best-2.npz", "best-of-all.npz", ".DS_Store"):
        (run.checkpoint / name).write_bytes(bytes(1_000_000))
    said = ok(dl("runs", "rm", "--checkpoints", run.name, "--yes"))
    assert f"~/runs/tiny/{run.name}/checkpoint: 2.0 MB" in said.stderr
    place = f"~/runs/tiny/{run.name}/checkpoint/best-of-all.npz"
    assert said.stderr.endswith(f"{place} stays: `dl` did not make it.\n")
    assert [path.name for path in run.checkpoint.iterdir()] == ["best-of-all.npz"]
    said = ok(dl("runs", "rm", "--checkpoints", run.name, "--yes"))
    assert said.stderr == f"~/runs/tiny/{run.name} has no checkpoint.\n"


def test_what_a_killed_save_left_goes_with_its_checkpoint(home: Path) -> None:
    run = listed_run()
    run.checkpoint.mkdir()
    (run.checkpoint / "state.npz").touch()
    above_any_process = 2**22 + 1
    (run.checkpoint / f".dl-{above_any_process}-{machine_id()}-0123abcd").mkdir()
    assert remove_checkpoint(run) == []
    assert not run.checkpoint.exists()


def test_a_run_that_is_a_link_is_judged_elsewhere_and_not_resumed(home: Path) -> None:
    run = listed_run()
    link = Run(home / "runs" / "tiny" / "linked")
    link.path.symlink_to(run.path)
    assert writable_run(link).path.is_relative_to(home / ".local")
    with pytest.raises(DlError, match="linked is a link to"):
        resume(link)


def test_others_files_are_named_before_a_run_is_removed(dl: Dl, home: Path) -> None:
    last_named_dataset()
    run = listed_run()
    (run.path / "notes.txt").write_text("mine")
    (run.path / ".DS_Store").write_text("")
    said = refused(dl("runs", "rm", run.name, "--yes"), "notes.txt is not a file of `dl`")
    assert "notes.txt would be removed too, and `dl` did not make it." in said.stderr
    assert run.is_run
    ok(dl("runs", "rm", run.name, "--yes", "--force"))
    assert not run.path.exists()


@pytest.mark.parametrize(
    "name",
    [
        "exports/my-notes.txt",
        "exports/dir/thesis.tex",
        "exports/onnx/my-notes.txt",
        "tensorboard/train/events.mine",
        "figures/my.png",
        "before-epoch-4/figures/my.png",
    ],
)
def test_a_file_among_results_may_be_somebody_elses(dl: Dl, home: Path, name: str) -> None:
    last_named_dataset()
    run = listed_run()
    (file := run.path / name).parent.mkdir(parents=True)
    file.write_text("mine")
    said = refused(dl("runs", "rm", run.name, "--yes"), "is not a file of `dl`")
    assert len(re.findall("Warning: .* would be removed too", said.stderr)) == 1
    assert file.read_text() == "mine"


def test_exports_and_events_are_not_of_others(home: Path) -> None:
    run = listed_run()
    saved = ["fingerprint.pb", "saved_model.pb"]
    saved += [f"variables/variables.{end}" for end in ("index", "data-00000-of-00001")]
    names = [
        *(f"tensorboard/{side}/events.out.tfevents.1790000000.123456.dl" for side in SIDES),
        *(f"exports/tf/saved_model/{name}" for name in saved),
        *(f"exports/{each}/{FORMATS[each].name}" for each in FORMATS if each != "tf"),
        *(f"exports/{each}/{name}" for each in FORMATS for name in (RECORD, EXAMPLE)),
        "exports/openvino/model.bin",
    ]
    for name in [*names, *(f"before-epoch-4/{name}" for name in names if "exports" in name)]:
        (file := run.path / name).parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (run.exports / "tf" / "saved_model" / "assets").mkdir()
    assert run.others() == []


def test_a_whole_run_has_nothing_of_others(home: Path) -> None:
    corpus = Path(__file__).parents[1] / "data" / "0.1.0" / "home" / "runs" / "pets"
    for path in corpus.iterdir():
        if Run(path).is_run:
            assert Run(path).others() == []
            Run(path).require_own()
