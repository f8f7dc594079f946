"""`dl runs show` as it is typed: one run, as far as its files tell."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.listed_runs import listed_run
from support.pictures import make_pictures
from support.terminal import at_terminal

from dlcli.process import this_process
from dlcli.runs.run import Run


@pytest.mark.parametrize("command", ["show", "rm --yes"])
def test_a_run_that_there_is_not_is_an_error_that_names_the_nearest(
    dl: Dl, three: list[Run], command: str
) -> None:
    said = dl("runs", *command.split(), "202611231410-cnn-e4")
    assert said.exit_code == 1
    assert "Did you mean `202611231410-cnn-e3`" in said.stderr


def test_one_run_is_shown_with_what_differs_what_it_found_and_its_files(
    dl: Dl, dataset: Path
) -> None:
    finding = {
        "kind": "overfitting",
        "sentence": "Overfitting: a sentence.",
        "evidence": "Evidence.",
        "next": ["more images"],
    }
    run = listed_run(settings={"seed": 3}, record={"command": "dl train x"}, diagnosis=finding)
    run.best_model.parent.mkdir()
    run.best_model.write_bytes(bytes(12_345))
    os.link(run.best_model, run.last_model)
    said = ok(dl("runs", "show", run.name))
    lines = said.stdout.splitlines()
    assert lines[0] == "run             202611231409-finetune-e3"
    assert "command         dl train x" in lines
    assert "epochs          3" in lines
    assert "best epoch      2" in lines
    assert "valid accuracy  0.9" in lines
    changed = lines[lines.index("") + 1 :]
    assert changed[0].split() == ["setting", "value", "default"]
    assert changed[2].split() == ["seed", "3", "0"]
    assert "Overfitting: a sentence." in lines
    assert "Try more images." in lines
    assert "models/best.keras  12,345" in lines
    assert "models/last.keras  12,345  the same file as models/best.keras" in lines
    assert said.stderr == f"Next: `dl evaluate {run.name}`\n"
    shown = json.loads(ok(dl("runs", "show", run.name, "--json")).stdout)
    assert shown["diagnosis"]["kind"] == "overfitting"
    assert shown["settings"]["seed"] == {"key": "seed", "value": 3, "default": 0, "known": True}
    assert {"models/best.keras", "status.yaml"} <= {file["name"] for file in shown["files"]}


def test_what_resuming_changed_is_shown(dl: Dl, dataset: Path) -> None:
    plain = {"schedule": "3e-3x8,3e-4x4"}
    change = {"after": 12, "phase": 0, "phase_epochs": 12, "learning_rate": 1e-4, "batch_size": 32}
    ends = {"after": 13, "phase": 0, "phase_epochs": 13, "epochs": 14}
    run = listed_run(hyperparameters=plain, record={"changes": [change, ends]})
    shown = ok(dl("runs", "show", run.name)).stdout
    assert "Changed from epoch 13 on: a learning rate of 0.0001, batches of 32.\n" in shown
    assert "Changed from epoch 14 on: 14 epochs in all.\n" in shown
    assert "All settings have their defaults." not in shown
    found = json.loads(ok(dl("runs", "show", run.name, "--json")).stdout)
    assert found["changes"] == [change, ends]
    unchanged = listed_run("plain", hyperparameters=plain)
    assert "All settings have their defaults.\n" in ok(dl("runs", "show", unchanged.name)).stdout


def test_sentences_are_broken_between_words_on_a_terminal(dataset: Path) -> None:
    words = "a sentence about what went wrong that is longer than a terminal is wide, and more"
    finding = {"kind": "overfitting", "sentence": words, "evidence": words, "next": [words]}
    run = listed_run(state="failed", reason=words, diagnosis=finding)
    lines = at_terminal("-m", "dlcli", "runs", "show", run.name).splitlines()
    assert max(map(len, lines)) <= 80
    assert (
        "reason          a sentence about what went wrong that is longer than a terminal" in lines
    )
    assert "                is wide, and more" in lines
    assert words[:76] in lines


def test_what_comes_next_hangs_on_the_state(dl: Dl, dataset: Path, home: Path) -> None:
    for number, (status, following) in enumerate(
        [
            ({"state": "failed"}, "Next: `dl resume 0`, or `dl runs rm 0`"),
            ({"state": "interrupted"}, "Next: `dl resume 1`, or `dl runs rm 1`"),
            ({"state": "running", **this_process()}, "The run is being trained. Wait for it."),
            ({"state": "odd"}, "Damaged: status.yaml has a state that this version doesn't know"),
        ]
    ):
        listed_run(str(number), **status)
        assert ok(dl("runs", "show", str(number))).stderr.startswith(following)
    run = listed_run("judged")
    run.report_file.touch()
    assert ok(dl("runs", "show", "judged")).stderr == "Next: `dl predict judged PHOTO...`\n"
    make_pictures(dataset, ("test",), 1)
    elsewhere = ("--runs-dir", str(home / "runs"))
    said = ok(dl("runs", "show", "judged", *elsewhere))
    assert said.stderr == f"Next: `dl submit judged --runs-dir {'~/runs'}`\n"


@pytest.mark.parametrize("name", ["config.yaml", "status.yaml", "history.csv", "classes.yaml"])
def test_a_damaged_run_is_shown_as_far_as_it_goes(dl: Dl, dataset: Path, name: str) -> None:
    run = listed_run(diagnosis={"kind": "of a newer version"})
    for damage in (b"\x00\xff", b"", None):
        (run.path / name).unlink() if damage is None else (run.path / name).write_bytes(damage)
        said = ok(dl("runs", "show", run.name))
        assert "state           damaged" in said.stdout
        assert f"problem         {name}" in said.stdout
        ok(dl("runs", "show", run.name, "--json"))
        ok(dl("runs", "du"))


def test_without_a_name_the_newest_run_of_the_dataset_is_shown(dl: Dl, three: list[Run]) -> None:
    said = ok(dl("runs", "show"))
    assert f"Run ~/runs/tiny/{three[2].name} (the newest of tiny)\n" in said.stderr
    assert said.stdout == ok(dl("runs", "show", three[2].name)).stdout
    assert f"`dl evaluate {three[2].name}`" in said.stderr


def test_d_says_whose_run_is_shown(dl: Dl, three: list[Run]) -> None:
    listed_run("202611231500-finetune-e3", "fish")
    (Path.home() / "data/fish").mkdir()
    for word in ("finetune-e3", "202611231500-finetune-e3"):
        assert "dataset         fish\n" in ok(dl("runs", "show", word, "-d", "fish")).stdout
    said = dl("runs", "show", "cnn-e3", "-d", "fish")
    assert said.exit_code == 2
    assert "202611231410-cnn-e3 is a run of tiny, not of fish\n" in said.stderr


def test_without_a_run_there_is_none_to_show(dl: Dl, dataset: Path) -> None:
    said = dl("runs", "show")
    assert said.exit_code == 1
    assert "No run in ~/runs/tiny\nTrain one: `dl train finetune`." in said.stderr


def test_the_word_best_shows_how_the_best_run_is_named(dl: Dl, three: list[Run]) -> None:
    said = dl("runs", "show", "best")
    assert said.exit_code != 0
    assert "`dl runs show $(dl runs best)`" in said.stderr
