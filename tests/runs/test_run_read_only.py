"""Runs whose folder can't be written: what is there is used, what is made goes elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.predicted_run import predicted_run
from support.small_run import only_run

from dlcli.data.choice import remember
from dlcli.files.formats import read_csv, read_yaml
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3")
VALID = [f"valid/{kind}/{kind}.100{n}.png" for kind in ("cat", "dog") for n in range(4)]
TEST = [f"test/{n}.png" for n in range(1, 6)]


def closed(folder: Path) -> set[Path]:
    """Let nothing in a folder be written any more; the files there are."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return set(folder.rglob("*"))


def kept(home: Path) -> list[Run]:
    """The folders that stand in for runs."""
    return [Run(path) for path in sorted((home / ".local/state/dl/runs/tiny").iterdir())]


@pytest.fixture
def two(home: Path, tiny: Path) -> list[Run]:
    """Two runs that were predicted and that can't be written, of the dataset last named."""
    remember(tiny)
    sure, unsure = dict.fromkeys(VALID, (0.9, 0.1)), dict.fromkeys(VALID, (0.6, 0.4))
    test = dict.fromkeys(TEST, (0.8, 0.2))
    runs = [predicted_run(tiny, "sure", sure, test), predicted_run(tiny, "unsure", unsure, test)]
    closed(home / "runs" / "tiny")
    return runs


def test_what_is_made_goes_elsewhere_is_said_and_found_again(
    dl_once: Dl, bound: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*LINEAR, "-d", tiny))
    run = only_run(home)
    run.predictions_file("valid").unlink()
    before = closed(run.path)

    said = ok(bound("evaluate")).stderr
    (place,) = kept(home)
    folder = f"~/.local/state/dl/runs/tiny/{place.name}"
    assert place.name.startswith(f"{run.name}-")
    where = f"~/runs/tiny/{run.name} can't be written: new files go to {folder}.\n"
    assert said.count(where) == said.count("can't be written") == 1
    assert f"Report: {folder}/report.html; next: `dl submit`" in said
    assert read_yaml(place.metrics_file)["images"] == 8
    assert (place.figures / "confusion.png").is_file()

    made = place.predictions_file("valid").stat().st_mtime_ns
    said = ok(bound("submit")).stderr
    assert said.count(where) == said.count("can't be written") == 1
    assert f"Saved {folder}/submission.csv\n" in said
    assert place.predictions_file("valid").stat().st_mtime_ns == made  # used, not made again
    assert len(read_csv(place.submission_file)) == 6
    assert place.predictions_file("test").is_file()
    ok(bound("predict", tiny / "test"))
    said = ok(bound("export", "--format", "openvino")).stderr
    assert said.count(where) == 1
    assert (place.exports / "openvino" / "model.xml").is_file()
    assert set(run.path.rglob("*")) == before

    run.path.chmod(0o755)
    (run.path / "predictions").chmod(0o755)
    (tiny / "test" / "1.png").unlink()  # what was made elsewhere is not of these images
    assert "can't be written" not in ok(bound("evaluate")).stderr
    assert run.report_file.is_file()


def test_what_a_member_lacks_is_made_said_and_compared(
    dl_once: Dl, bound: Dl, home: Path, tiny: Path
) -> None:
    for seed in range(2):
        ok(dl_once(*LINEAR, "-d", tiny, "--seed", seed))
    lacking, other = map(Run, sorted((home / "runs" / "tiny").iterdir()))
    lacking.predictions_file("valid").unlink()
    closed(lacking.path)

    said = ok(bound("ensemble", lacking.name, other.name)).stderr
    (place,) = kept(home)
    assert (
        f"Can't write to ~/runs/tiny/{lacking.name}: its predictions of valid are in "
        f"~/.local/state/dl/runs/tiny/{place.name}.\n"
    ) in said
    assert ok(bound("runs", "compare", lacking.name, other.name)).stdout
    (whole,) = (home / "runs" / "tiny").glob("*-ensemble-*")
    assert list(Run(whole).status["predicted"]) == ["valid"]


def test_what_the_run_has_is_used(bound: Dl, home: Path, two: list[Run]) -> None:
    assert ok(bound("submit", "sure")).stdout.startswith("rows            5\n")
    (place,) = kept(home)
    assert [path.name for path in place.path.iterdir()] == ["submission.csv"]


def test_members_that_cant_be_written_make_an_ensemble(
    bound: Dl, home: Path, two: list[Run]
) -> None:
    (home / "runs" / "tiny").chmod(0o755)
    said = ok(bound("ensemble", "sure", "unsure"))
    assert "can't be written" not in said.stderr  # nothing had to be made
    assert "can't be written" not in ok(bound("evaluate")).stderr


def test_runs_of_one_name_are_kept_apart(bound: Dl, home: Path, two: list[Run]) -> None:
    predictions = dict.fromkeys(VALID, (0.2, 0.8)), dict.fromkeys(TEST, (0.2, 0.8))
    other = predicted_run(home / "data" / "tiny", "sure", *predictions, runs_dir=home / "more")
    other.config_file.write_text(other.config_file.read_text() + "seed: 1\n")
    closed(other.path)
    for run in (two[0], other):
        ok(bound("submit", run.path))
    first, second = kept(home)
    assert read_csv(first.submission_file) != read_csv(second.submission_file)


def test_where_nothing_can_be_written_it_says_so(bound: Dl, home: Path, two: list[Run]) -> None:
    (home / ".local" / "state" / "dl" / "runs").mkdir(parents=True)
    closed(home / ".local")
    for command in ("evaluate", "submit"):
        refused(
            bound(command, "sure"),
            "Error: ~/runs/tiny/sure can't be written, and neither can "
            "~/.local/state/dl/runs/tiny/sure-",
            ": Permission denied\nCopy the run to a folder of your own, or ",
        )
