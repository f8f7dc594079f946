"""Many runs as rows: the newest first, with the state that is true now, damaged ones as well."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support.listed_runs import listed_run

from dlcli.errors import DlError
from dlcli.files.formats import write_yaml
from dlcli.process import this_process
from dlcli.runs.filters import best_first
from dlcli.runs.listing import FIELDS, Row, fields_of, find_listed, list_runs, read_row
from dlcli.runs.run import Run


def rows_of(home: Path) -> list[Row]:
    return list_runs(home / "runs", "tiny")


def only(home: Path) -> Row:
    (row,) = rows_of(home)
    return row


def test_the_newest_comes_first_by_when_it_began(home: Path) -> None:
    listed_run("202611231409-linear")
    listed_run("202611231410-linear", started="2026-11-25T00:00:00.000000Z")
    listed_run("202611241409-linear")
    listed_run("renamed", started="2026-11-22T00:00:00.000000Z")
    names = ["202611231410-linear", "202611241409-linear", "202611231409-linear", "renamed"]
    assert [row.run.name for row in rows_of(home)] == names


def test_runs_of_one_dataset_or_of_all(home: Path) -> None:
    for dataset in ("tiny", "tiny-sample", "[tiny]"):
        listed_run(dataset=dataset)
    assert {row.values["dataset"] for row in list_runs(home / "runs")} == {
        "tiny",
        "tiny-sample",
        "[tiny]",
    }
    assert [row.run.dataset for row in list_runs(home / "runs", "[tiny]")] == ["[tiny]"]
    assert list_runs(home / "runs", "nowhere") == []
    assert list_runs(home / "nowhere") == []


def test_a_row_holds_the_headline_scores_and_the_recipe(home: Path) -> None:
    listed_run(parameters=1000)
    row = only(home)
    assert (row.state, row.problem) == ("finished", "")
    assert (row.values["recipe"], row.values["parameters"]) == ("finetune", 1000)
    assert (row.values["epoch"], row.values["best_epoch"]) == (3, 2)
    assert (row.values["val_loss"], row.values["val_accuracy"]) == (0.25, 0.9)
    assert "dropout" not in row.values


def test_a_run_on_ratings_has_scores_and_labels_of_its_own(home: Path) -> None:
    run = listed_run(record={"kind": "ratings"}, val_accuracy=None, val_rmse=0.87)
    run.classes_file.unlink()
    assert only(home).problem == "users.csv is missing; items.csv is missing"
    run.users_file.write_text("id\n7\n")
    run.items_file.write_text("id,title\n1,Toy Story\n")
    row = only(home)
    assert (row.state, row.problem) == ("finished", "")
    assert row.values["val_rmse"] == 0.87
    assert fields_of([row]) == (*FIELDS, "val_rmse")
    assert best_first([row], "val_rmse") == [row]
    assert best_first([row], "val_accuracy") == []
    listed_run("202611231410-finetune-e3", dataset="pets")
    assert fields_of(list_runs(home / "runs", "pets")) == FIELDS


def test_settings_are_read_where_they_are_asked_for(home: Path) -> None:
    listed_run(
        settings={"seed": 7, "kaggle": {"metric": "log_loss"}}, record={"versions": {"keras": "3"}}
    )
    (row,) = list_runs(home / "runs", settings=True)
    assert row.values["dropout"] == row.values["train.finetune.dropout"] == 0.5
    assert (row.values["seed"], row.values["kaggle.metric"], row.values["keras"]) == (
        7,
        "log_loss",
        "3",
    )
    assert (row.values["recipe"], row.values["dataset"]) == ("finetune", "tiny")


def test_of_two_settings_with_one_last_name_the_shared_one_counts(home: Path) -> None:
    listed_run(settings={"backbone": "vgg16"}, record={"forward": {"backbone": "other"}})
    (row,) = list_runs(home / "runs", settings=True)
    assert (row.values["backbone"], row.values["run.forward.backbone"]) == ("vgg16", "other")


def test_a_run_whose_process_is_gone_is_interrupted(home: Path) -> None:
    dead = {"pid": 2**22 + 1, "host": socket.gethostname()}
    listed_run("202611231409-a", state="running", **dead)
    listed_run("202611231410-b", state="running", **this_process())
    listed_run("202611231411-c", state="running", pid=1, host="elsewhere").lock_file.touch()
    listed_run("202611231412-d", state="running", pid=1, host="elsewhere")
    states = [row.state for row in rows_of(home)]
    assert states == ["interrupted", "running", "running", "interrupted"]


def test_what_is_no_run_is_not_listed(home: Path) -> None:
    run = listed_run()
    (run.path.parent / "202611231409-ladder").mkdir()
    write_yaml(run.path.parent / "202611231409-ladder" / "ladder.yaml", {"state": "unfinished"})
    (run.path.parent / "notes.txt").touch()
    (run.path.parent / ".hidden").mkdir()
    assert [row.run for row in rows_of(home)] == [run]


def test_an_ensemble_has_no_epochs_and_is_whole(home: Path) -> None:
    run = listed_run("202611231409-ensemble-m2", recipe="ensemble", epoch=None, best_epoch=None)
    run.history_file.unlink()
    row = only(home)
    assert (row.state, row.values["recipe"], row.values["epoch"]) == ("finished", "ensemble", None)


def write(name: str, data: str | bytes) -> Callable[[Run], object]:
    return lambda run: (run.path / name).write_bytes(
        data if isinstance(data, bytes) else data.encode()
    )


def cut(name: str, by: int) -> Callable[[Run], object]:
    def shorten(run: Run) -> None:
        os.truncate(run.path / name, (run.path / name).stat().st_size - by)

    return shorten


def as_folder(run: Run) -> None:
    run.status_file.unlink()
    run.status_file.mkdir()


DAMAGES = {
    "status missing": (lambda run: run.status_file.unlink(), "status.yaml is missing"),
    "status empty": (write("status.yaml", ""), "status.yaml is empty"),
    "status cut": (cut("status.yaml", 3), "status.yaml ends within a line"),
    "status binary": (write("status.yaml", bytes(range(256))), "status.yaml is not text"),
    "status not utf-8": (write("status.yaml", b"state: \xff\xfe\n"), "is not valid YAML"),
    "status not yaml": (write("status.yaml", "state: [\n"), "status.yaml is not valid YAML"),
    "status a list": (write("status.yaml", "- a\n"), "has no lines of `key: value`"),
    "status all brackets": (write("status.yaml", "[" * 20_000 + "\n"), "is not valid YAML"),
    "status a folder": (as_folder, "status.yaml can't be read: Is a directory"),
    "no state": (write("status.yaml", "epoch: 3\n"), "status.yaml has no state"),
    "nested state": (write("status.yaml", "state: {a: 1}\n"), "status.yaml has no state"),
    "state of a newer version": (
        write("status.yaml", "state: paused\nmood: good\n"),
        "status.yaml has a state that this version doesn't know, paused",
    ),
    "score that is none": (
        write("status.yaml", "state: finished\nval_loss: low\n"),
        "val_loss in status.yaml is not a number",
    ),
    "config missing": (lambda run: run.config_file.unlink(), "config.yaml is missing"),
    "config cut": (cut("config.yaml", 5), "config.yaml ends within a line"),
    "config binary": (write("config.yaml", b"\x00\x01"), "config.yaml is not text"),
    "config without its record": (write("config.yaml", "seed: 1\n"), "lacks the block `run`"),
    "config not yaml": (write("config.yaml", "seed: [\n"), "config.yaml is not valid YAML"),
    "classes missing": (lambda run: run.classes_file.unlink(), "classes.yaml is missing"),
    "history missing": (lambda run: run.history_file.unlink(), "history.csv is missing"),
    "history cut": (cut("history.csv", 2), "history.csv ends within a line"),
    "history half written": (
        write("history.csv", "epoch,loss\n1,0.5\n2\n"),
        "history.csv has rows of different lengths",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_run_is_listed_among_the_others_with_what_is_wrong(home: Path, case: str) -> None:
    damage, problem = DAMAGES[case]
    run, other = listed_run(), listed_run("202611231408-linear")
    damage(run)
    first, second = rows_of(home)
    assert (first.run, first.state) == (run, "damaged")
    assert problem in first.problem
    assert (second.run, second.state, second.problem) == (other, "finished", "")
    assert list_runs(home / "runs", settings=True)[0].state == "damaged"


def test_a_folder_that_may_not_be_read_is_damaged(home: Path) -> None:
    run, root = listed_run(), os.geteuid() == 0  # who may read everything
    run.path.chmod(0)
    try:
        if root:
            os.seteuid(65534)
        row = read_row(run)
    finally:
        if root:
            os.seteuid(0)
        run.path.chmod(0o755)
    assert (row.state, row.problem) == ("damaged", "the folder can't be read: Permission denied")


def test_a_broken_setting_is_found_where_settings_are_read(home: Path) -> None:
    run = listed_run()
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("dropout: 0.5", "dropout: [0.5"))
    assert only(home).state == "finished"
    assert list_runs(home / "runs", settings=True)[0].problem == "config.yaml is not valid YAML"


def test_keys_of_a_newer_version_do_no_harm(home: Path) -> None:
    listed_run(mood="good", when={"nested": [1]}, finished="2026-11-23")
    row = only(home)
    assert (row.state, row.values["mood"]) == ("finished", "good")


def test_dates_are_text_and_what_is_not_plain_makes_a_run_damaged(home: Path) -> None:
    run = listed_run()
    run.status_file.write_text("state: finished\nstarted: 2026-11-23\n# [\n")
    assert only(home).values["started"] == "2026-11-23"
    run.status_file.write_text("state: finished\nx: !!set {a}\n")
    assert "status.yaml is not valid YAML" in only(home).problem


def test_a_failed_runs_reason_of_many_words_is_read(home: Path) -> None:
    reason = (
        "Loss or predictions are not finite numbers: " + "a learning rate of 10 is too high " * 5
    )
    listed_run(state="failed", reason=reason)
    assert only(home).values["reason"] == reason


def test_a_damaged_run_is_found_by_its_name_too(home: Path) -> None:
    run = listed_run()
    run.status_file.unlink()
    for named in (run.name, f"tiny/{run.name}", str(run.path)):
        assert find_listed(named, home / "runs") == run
    assert read_row(run).problem == "status.yaml is missing"
    twin = listed_run(dataset="fish")
    twin.status_file.unlink()
    for named in (run.name, "", "nothing"):
        with pytest.raises(DlError, match="No such run"):
            find_listed(named, home / "runs")


def test_a_run_that_lost_all_is_still_a_row(home: Path) -> None:
    run = listed_run()
    run.status_file.unlink()
    run.config_file.unlink()
    assert rows_of(home) == []
    assert read_row(run).state == "damaged"
