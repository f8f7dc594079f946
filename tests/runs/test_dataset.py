"""Runs that were copied to another machine, another home, another data folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.small_run import SMALL

import dlcli
from dlcli.files.formats import read_csv, write_yaml
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3")


@pytest.fixture
def moved(dl_once: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of another machine: two runs, and in `elsewhere/` their dataset, as rsync copies."""
    for seed in range(2):
        ok(dl_once(*LINEAR, "-d", tiny, "--seed", seed))
    return moved_to(home, tiny, monkeypatch)


def moved_to(home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy runs and dataset to another home, and go there; nothing stays."""
    there = home / "there"
    shutil.copytree(home / "runs", there / "runs")
    shutil.copytree(tiny, there / "elsewhere" / "tiny")
    for gone in (home / "runs", home / "data", home / ".local"):
        shutil.rmtree(gone)
    monkeypatch.setenv("HOME", str(there))
    monkeypatch.chdir(there)
    return there


def runs_of(home: Path) -> list[Run]:
    return [Run(path) for path in sorted((home / "runs" / "tiny").iterdir())]


def test_all_commands_work_where_the_dataset_is_found_by_its_name(
    dl: Dl, home: Path, moved: Path
) -> None:
    write_yaml(moved / "dl.yaml", {"data_dir": "elsewhere"})
    taken = f"{home}/data/tiny is gone. Using ~/elsewhere/tiny, the dataset of that name.\n"
    first, second = runs_of(moved)
    listed = ok(dl("runs", "--all"))
    assert first.name in listed.stdout
    assert second.name in listed.stdout
    assert f"{first.name}\n" in ok(dl("runs", "show", first.name)).stdout
    said = ok(dl("evaluate", first.name)).stderr
    assert taken in said
    assert "predicting" not in said  # a copy with the times of files is the same
    assert f"next: `dl submit {first.name}`\n" in said
    assert taken in ok(dl("submit", first.name)).stderr
    assert len(read_csv(first.submission_file)) == 6
    assert ok(dl("runs", "compare", first.name, second.name)).stdout
    model = dlcli.Run.open(f"~/runs/tiny/{first.name}").model()
    assert model.output_shape == (None, 2)

    photos = ok(dl("predict", first.name, "elsewhere/tiny/test", "--csv")).stdout
    assert len(photos.splitlines()) == 6

    said = ok(dl("evaluate", "-d", "tiny")).stderr  # the dataset is named, the run is not
    assert taken in said
    assert f"Run ~/runs/tiny/{second.name} (the newest finished run of tiny" in said


def test_a_dataset_that_is_not_found_is_asked_for(dl: Dl, home: Path, moved: Path) -> None:
    run, _ = runs_of(moved)
    said = ok(dl("evaluate", run.name)).stderr  # by what is there
    assert "The dataset is gone. Using its predictions in ~/runs/tiny/" in said
    result = refused(
        dl("submit", run.name),
        f"The dataset of {run.name} is gone, so test can't be predicted: "
        f"neither {home}/data/tiny nor a dataset of that name exists\n"
        "Put it back, or name it, `-d PATH`, or its parent folder, `--data-dir`.",
    )
    assert "taking" not in result.stderr
    said = ok(dl("evaluate", run.name, "--data-dir", "elsewhere")).stderr
    (after,) = [line for line in said.splitlines() if line.startswith("Report: ")]
    command = after.partition("next: `dl ")[2].rstrip("`").split()
    assert command[:2] == ["submit", run.name]
    ok(dl(*command))  # which names the folder again


def test_a_folder_that_happens_to_have_the_name_is_not_taken(
    dl: Dl, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = runs_of(moved)
    monkeypatch.chdir(moved / "runs")  # where the runs of `tiny` lie in `tiny`
    assert "taking" not in ok(dl("evaluate", run.name)).stderr


def test_a_folder_of_another_name_is_taken_for_its_images(dl: Dl, home: Path, moved: Path) -> None:
    run, _ = runs_of(moved)
    pets = (moved / "elsewhere" / "tiny").rename(moved / "elsewhere" / "pets")
    said = ok(dl("evaluate", run.name, "-d", pets)).stderr
    assert (
        f"{home}/data/tiny is gone. Using ~/elsewhere/pets, which holds the same images.\n" in said
    )
    assert "predicting" not in said
    assert f"next: `dl submit {run.name} --dataset " in said
    ok(dl("submit", run.name, "-d", pets))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_folder_of_another_name_with_other_images_is_refused(
    dl: Dl, home: Path, moved: Path, split: str
) -> None:
    run, _ = runs_of(moved)
    pets = (moved / "elsewhere" / "tiny").rename(moved / "elsewhere" / "pets")
    next((pets / split / "cat").iterdir()).unlink()
    for command in ("evaluate", "submit"):
        refused(
            dl(command, run.name, "-d", pets),
            f"{run.name} is a run of tiny, not of ~/elsewhere/pets: {home}/data/tiny is gone, and "
            f"~/elsewhere/pets/{split} holds other images\n"
            "Name a copy of the run's dataset. Make copies with `cp -a` or `rsync -a`: these keep "
            "the times of files, by which `dl` recognises images.",
            exit_code=2,
        )


def test_a_run_on_stored_features_answers_judges_and_is_exported_there(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-2", *SMALL))
    known = ok(dl("predict", tiny / "test", "--csv")).stdout.replace(str(tiny), "tiny")
    there = moved_to(home, tiny, monkeypatch)
    (run,) = runs_of(there)
    shutil.rmtree(run.engine)  # Keras answers then, with the backbone's weights as they are here
    found = ok(dl("predict", run.name, "elsewhere/tiny/test", "--csv")).stdout
    for ours, theirs in zip(found.splitlines()[1:], known.splitlines()[1:], strict=True):
        assert ours.split(",")[1] == theirs.split(",")[1]
        assert float(ours.split(",")[2]) == pytest.approx(float(theirs.split(",")[2]), abs=1e-5)
    run.predictions_file("valid").unlink()
    ok(dl("evaluate", run.name, "--data-dir", "elsewhere"))
    said = ok(dl("export", run.name, "--format", "openvino", "--data-dir", "elsewhere")).stderr
    assert "Checked on 8 validation images" in said


def test_what_lay_in_a_home_that_is_closed_to_us_counts_as_gone(
    dl_once: Dl, bound: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*LINEAR, "-d", tiny))
    (run,) = runs_of(home)
    closed = home / "somebody"
    (closed / "pets").mkdir(parents=True)
    config = run.config
    config["run"]["dataset"]["path"] = str(closed / "pets" / "tiny")
    write_yaml(run.config_file, config)
    closed.chmod(0)
    try:
        assert (
            f"{closed}/pets/tiny is gone".replace(str(home), "~")
            in ok(bound("evaluate", run.name)).stderr
        )
    finally:
        closed.chmod(0o755)
