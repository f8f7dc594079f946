"""`dl evaluate` as it is typed: what comes next."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.pictures import make_dataset
from support.small_run import only_run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3")


def test_after_the_sample_comes_the_whole_dataset(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("data", "sample", tiny, "--train", "8", "--valid", "4"))
    ok(dl(*LINEAR, "-d", "tiny-sample"))
    said = ok(dl("evaluate")).stderr
    assert said.endswith("; this was the sample; next: `dl train linear -d ~/data/tiny`\n")


def test_without_test_images_there_is_nothing_to_submit(dl: Dl, home: Path) -> None:
    pets = make_dataset(home / "data" / "pets", train=4, valid=2, test=0)
    ok(dl(*LINEAR, "-d", pets))
    said = ok(dl("evaluate")).stderr
    assert said.endswith("; there are no test images to submit\n")


def test_a_run_without_its_dataset_is_submitted_by_the_predictions_that_it_has(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*LINEAR, "-d", tiny))
    run = only_run(home)
    ok(dl("submit", run.name, "--no-upload"))
    shutil.rmtree(tiny)
    assert ok(dl("evaluate", run.name)).stderr.endswith(f"; next: `dl submit {run.name}`\n")
    ok(dl("submit", run.name, "--no-upload"))
    run.predictions_file("test").unlink()
    assert "no test images to submit" in ok(dl("evaluate", run.name)).stderr


@pytest.mark.parametrize("command", ["evaluate", "submit", "resume"])
def test_a_damaged_record_is_one_error_that_says_where(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path, command: str
) -> None:
    ok(dl_once(*LINEAR, "-d", tiny))
    run = only_run(home)
    run.config_file.write_text("seed: 0\ntrain:\n  linear: [\n")
    said = refused(dl(command, run.name)).stderr
    assert said.startswith(f"Error: ~/runs/tiny/{run.name}/config.yaml is not valid YAML: line ")
    assert said.endswith("\nRestore it, or take another run: `dl runs` lists them.\n")
