"""A model of ratings in other formats: it answers alike, and the ids it needs are beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.collab_run import expected, rated_run
from support.command_result import Dl, ok, refused
from support.small_ratings import HEADER, ROWS, organized

from dlcli.config import Config
from dlcli.data.ratings.splits import split
from dlcli.errors import DlError
from dlcli.files.formats import read_yaml
from dlcli.inference.export.export import EXAMPLE, RECORD, export_run
from dlcli.inference.export.formats import FORMATS
from dlcli.inference.ratings.predict import predictions_of
from dlcli.inference.ratings.predictions import read_predictions, write_predictions
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow


@pytest.fixture
def run(home: Path) -> Run:
    """A run with predictions of its two validation ratings."""
    organized(home / "data", (HEADER, *ROWS))
    root = home / "data" / "films"
    split(root, 2, "random", 0)
    run = rated_run(root)
    predictions_of(run, root, Config({}), "valid")
    shutil.rmtree(root)  # an export needs none
    return run


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_checked_and_its_script_takes_ids(dl: Dl, run: Run, name: str) -> None:
    said = ok(dl("export", run.name, "--format", name)).stderr
    assert "Checked on 2 validation ratings. Each predicted rating differs from that of" in said
    assert said.endswith("example.py USER ITEM`\n")
    folder = run.exports / name
    script = folder / EXAMPLE
    pairs = (("ann", "m3"), ("zoe", "m1"), ("cleo", "m9"))
    printed = [
        subprocess.check_output([sys.executable, script, *pair], text=True) for pair in pairs
    ]
    wanted = expected(run, [(1, 3), (0, 1), (3, 0)])
    assert [float(text) for text in printed] == pytest.approx(wanted, abs=1e-3)
    record = read_yaml(folder / RECORD)
    assert (folder / record["model"]).exists()
    assert (record["input"]["shape"], record["input"]["dtype"]) == ([None, 2], "int32")
    assert ("resize_tensor_input to [n, 2]" in record["input"]["batch"]) == (name == "litert")
    assert record["output"]["shape"] == [None, 1]
    assert (folder / "users.csv").read_text() == run.users_file.read_text()
    assert record["checked"]["pairs"] == 2
    assert record["checked"]["keras"] < 1e-5 and record["checked"]["predictions"] < 1e-5
    assert run.others() == []


def printed_by(script: Path, user: str, item: str) -> float:
    """The rating that the script beside a model prints."""
    return float(subprocess.check_output([sys.executable, script, user, item], text=True))


def test_the_script_knows_unknown_ids(run: Run) -> None:
    folder = export_run(run, "openvino", run.exports / "openvino", None, replace=True).folder
    for (user, item), numbers in ((("zoe", "m1"), (0, 1)), (("cleo", "m9"), (3, 0))):
        printed = printed_by(folder / EXAMPLE, user, item)
        assert printed == pytest.approx(expected(run, [numbers])[0], abs=1e-3)


def test_without_predictions_it_is_checked_on_random_pairs(run: Run) -> None:
    run.predictions_file("valid").unlink()
    made = export_run(run, "openvino", run.exports / "openvino", None, replace=True)
    assert str(made.agreement).startswith("Checked on random pairs.")


def test_an_export_that_differs_from_the_runs_predictions_is_not_kept(run: Run) -> None:
    known = read_predictions(run.predictions_file("valid"))
    write_predictions(
        run.predictions_file("valid"),
        type(known)(known.users, known.items, known.ratings, np.array(known.predicted) + 0.5),
    )
    with pytest.raises(DlError, match=r"the run's predictions: a rating differs by 0\.5"):
        export_run(run, "openvino", run.exports / "openvino", None, replace=True)
    assert not (run.exports / "openvino").exists()


def test_an_unknown_format_is_a_sentence(dl: Dl, run: Run) -> None:
    refused(dl("export", run.name, "--format", "csv"), "onnx", exit_code=2)
