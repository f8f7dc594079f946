"""What the damage of `formats` found, each once more by itself."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.listed_runs import listed_run
from torture.formats import CORPUS, LINEAR, STORE

from dlcli.aws.order import journal_file, read_order
from dlcli.data.choice import last_named
from dlcli.errors import DlError
from dlcli.features.compute import _create, _open
from dlcli.features.split_log import StoredSplit, read_split
from dlcli.features.store import stored_features
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.inference.predictions import read_predictions
from dlcli.kaggle.record import best_score, read_log
from dlcli.runs.ladder import Ladder
from dlcli.runs.listing import list_runs
from dlcli.runs.run import Run
from dlcli.settings.fields import Refused
from dlcli.settings.schedule import Schedule


@pytest.fixture
def store(home: Path) -> Path:
    """The features of `~/data/pets`."""
    shutil.copytree(CORPUS / STORE, home / STORE)
    return home / STORE


def log_of(store: Path, change: Callable[[dict[str, Any]], object], line: int = 1) -> None:
    """Change a line of a split's log."""
    lines = (store / "valid.done").read_text().splitlines()
    held = json.loads(lines[line])
    change(held)
    lines[line] = json.dumps(held)
    (store / "valid.done").write_text("\n".join([*lines, ""]))


def file_of(store: Path, name: str, content: bytes) -> None:
    """Change a file of a split's array, and the log's checksum of it."""
    (store / "valid.bc" / name).write_bytes(content)
    if name.startswith("data"):
        log_of(store, lambda chunk: chunk.update(crc32=zlib.crc32(content)))
        return
    crc = zlib.crc32((store / "valid.bc/__attrs__").read_bytes(), zlib.crc32(content))
    log_of(store, lambda header: header.update(storage=crc), line=0)


@pytest.mark.parametrize(
    "values",
    [
        {"rows": "8"},
        {"rows": 7},
        {"images": -8},
        {"images": 10**30},
        {"skipped": ["x"]},
        {"skipped": {"/etc/passwd": "why"}},
        {"changed": {"valid/cat/cat.0.png": ["melted"]}},
        {"more": 1},
    ],
)
def test_a_store_whose_log_has_other_values_has_to_be_computed(
    store: Path, home: Path, values: dict[str, Any]
) -> None:
    log_of(store, lambda chunk: chunk.update(values))
    assert read_split(store, "valid") is None
    (found,) = stored_features(home / "data" / "pets")
    assert (found.rows, found.unfinished) == ({"train": 12, "test": 6}, ("valid",))


@pytest.mark.parametrize(
    "values",
    [
        {"dtype": "|O"},  # bcolz unpickles the rows of such an array: it runs what they name
        {"dtype": "float64"},
        {"chunklen": 0},
        {"chunklen": 10**12},
        {"cparams": {"clevel": 5, "shuffle": 0, "cname": "new"}},
    ],
)
def test_an_array_that_the_store_did_not_make_is_not_opened(
    store: Path, values: dict[str, Any]
) -> None:
    held = json.loads((store / "valid.bc/meta/storage").read_bytes())
    file_of(store, "meta/storage", json.dumps(held | values).encode())
    found = read_split(store, "valid")
    assert found is not None
    assert not found.believed().chunks


def test_a_chunk_shorter_than_it_says_is_not_decompressed(store: Path) -> None:
    content = (store / "valid.bc/data/__0.blp").read_bytes()
    file_of(store, "data/__0.blp", content[:-100])
    found = read_split(store, "valid")
    assert found is not None
    assert not found.believed().chunks


def test_a_chunk_whose_rows_are_damaged_is_named(store: Path) -> None:
    content = bytearray((store / "valid.bc/data/__0.blp").read_bytes())
    content[36:100] = bytes(64)
    file_of(store, "data/__0.blp", bytes(content))
    found = read_split(store, "valid")
    assert found is not None
    with pytest.raises(DlError, match="The features of valid in"):
        _open(found.believed(), "r")


def test_a_damaged_chunk_before_the_last_is_named_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.features.compute.CHUNK_ROWS", 4)
    rows = np.repeat(np.arange(48, dtype=np.float32), 100).reshape(12, 400)
    made = _create(tmp_path, "train", rows)
    made.append(rows)
    made.flush()
    chunk = tmp_path / "train.bc/data/__1.blp"
    chunk.write_bytes(chunk.read_bytes()[:36] + b"\xff" * (chunk.stat().st_size - 36))
    opened = _open(StoredSplit(tmp_path, "train", (), (400,), None, finished=True), "r")
    assert (opened[:4] == rows[:4]).all()
    for read in (lambda: opened[:], lambda: opened[5], lambda: opened[4:8]):
        with pytest.raises(DlError, match="The features of train in"):
            read()


@pytest.mark.parametrize(
    "diagnosis",
    [{"kind": "x", "sentence": 1.5, "evidence": "", "next": []}, {"next": [3]}, [], "x"],
)
def test_a_run_is_shown_without_a_damaged_diagnosis(dl: Dl, home: Path, diagnosis: Any) -> None:
    run = listed_run(diagnosis=diagnosis)
    ok(dl("runs", "show", run.name))


def test_values_of_another_type_in_a_status_count_as_missing(home: Path) -> None:
    run = listed_run(predicted="x", best_epoch=[2], started=20261129)
    assert not {"predicted", "best_epoch", "started"} & run.status.keys()
    run.add_to_status("predicted", {"valid": "0123"})
    assert run.status["predicted"] == {"valid": "0123"}


@pytest.mark.parametrize("name", ["status.yaml", "config.yaml", "classes.yaml", "history.csv"])
def test_a_pipe_or_an_endless_file_in_a_run_hides_no_other(home: Path, name: str) -> None:
    whole, other = listed_run(), listed_run("202611231410-cnn-e3")
    (other.path / name).unlink()
    os.mkfifo(other.path / name)
    assert {row.run.name: row.problem for row in list_runs(home / "runs")} == {
        whole.name: "",
        other.name: f"{name} can't be read: it is a pipe or a device",
    }
    (other.path / name).unlink()
    with (other.path / name).open("wb") as file:
        file.truncate(1 << 40)
    states = {row.run.name: row.state for row in list_runs(home / "runs")}
    assert states == {whole.name: "finished", other.name: "damaged"}


def test_ten_thousand_brackets_or_a_bomb_in_a_run_hide_no_other(dl: Dl, home: Path) -> None:
    whole, other = listed_run(), listed_run("202611231410-cnn-e3")
    other.config_file.write_text("run: " + "[" * 10_000 + "\n")
    other.classes_file.write_text("&a [*a]\n")
    said = ok(dl("runs", "ls", "--all", "lr>0")).stdout
    assert whole.name in said


@pytest.mark.parametrize(
    "values",
    [
        {"file": "../../x"},
        {"expected_range": [0.1, 0.2, 0.3]},
        {"expected": float("inf")},
        {"metric": ["x"]},
        {"views": "many"},
        {"x" * 5000: 1},
    ],
)
def test_a_damaged_submission_is_named_in_few_words(home: Path, values: dict[str, Any]) -> None:
    shutil.copytree(CORPUS / LINEAR, home / LINEAR)
    run = Run(home / LINEAR)
    held = read_yaml(run.kaggle_file)
    write_yaml(run.kaggle_file, {"submissions": [held["submissions"][0] | values]})
    with pytest.raises(DlError, match=r"kaggle\.yaml is damaged") as error:
        best_score(read_log(run))
    assert len(str(error.value)) < 800


def test_a_damaged_probability_or_class_is_named_in_few_words(tmp_path: Path) -> None:
    file = tmp_path / "valid.csv"
    file.write_text(f"path,true_class,cat,dog\na.png,cat,{'x' * 9000},0.5\n")
    with pytest.raises(DlError, match="damaged") as error:
        read_predictions(file)
    assert len(str(error.value)) < 800
    file.write_text(f"path,true_class,cat,dog\na.png,{'x' * 9000},0.5,0.5\n")
    with pytest.raises(DlError, match="does not know") as error:
        _ = read_predictions(file).y_true
    assert len(str(error.value)) < 800


@pytest.mark.parametrize(
    "values",
    [
        {"plan": 1.5},
        {"plan": {"steps": None}},
        {"runs": {"linear": "../../elsewhere"}},
        {"runs": {"linear": 3}},
        {"failed": []},
        {"started": 2026},
        {"at": {"step": "linear"}},
    ],
)
def test_a_damaged_ladder_is_passed_over(home: Path, values: dict[str, Any]) -> None:
    ladder = Ladder.create(home / "runs", "pets", {"steps": {"linear": {}}})
    assert Ladder.all(home / "runs", "pets") == [ladder]
    ladder.update(**values)
    assert Ladder.all(home / "runs", "pets") == []


def test_a_damaged_order_of_a_box_is_no_order(home: Path) -> None:
    file = journal_file("eu-west-1", "box")
    file.parent.mkdir(parents=True)
    write_yaml(file, {"token": "x", "wanted": "x", "request": {}, "sent": "x"})
    assert read_order("eu-west-1", "box") is None


@pytest.mark.parametrize("text", ["1e-3x99999999999", "1e-3x600000,1e-4x600000"])
def test_a_schedule_has_an_end(text: str) -> None:
    with pytest.raises(Refused, match="at most 1,000,000 epochs"):
        Schedule.parse(text)


@pytest.mark.parametrize("kind", ["folder", "link to itself", "pipe", "huge"])
def test_a_record_of_the_last_dataset_that_is_none_is_named_and_passed_over(
    home: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    file = home / ".local/state/dl/dataset"
    file.parent.mkdir(parents=True)
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "huge":
            file.write_bytes(b"/" * 100_000)
        case _:
            file.symlink_to(file)
    assert last_named() is None
    assert "can't read ~/.local/state/dl/dataset" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "\n", "pets", "/data/\0pets\n"])
def test_a_record_of_the_last_dataset_that_is_no_path_is_passed_over(home: Path, text: str) -> None:
    file = home / ".local/state/dl/dataset"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert last_named() is None
