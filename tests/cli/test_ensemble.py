"""`dl ensemble` as it is typed: what it shows, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.loaded_modules import BACKENDS, loaded
from support.pictures import make_dataset, make_pictures
from support.predicted_run import predicted_run

from dlcli.files.formats import write_yaml
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

VALID = ("valid/cat/cat.1000.png", "valid/dog/dog.1000.png")


@pytest.fixture
def root(home: Path) -> Path:
    root = make_dataset(home / "data" / "pets", train=2, valid=1, test=0)
    predicted_run(root, "one", {VALID[0]: (0.9, 0.1), VALID[1]: (0.7, 0.3)})
    predicted_run(root, "two", {VALID[0]: (0.5, 0.5), VALID[1]: (0.1, 0.9)})
    return root


def refused(dl: Dl, *words: object, code: int = 1) -> str:
    """What `dl ensemble` says that has to refuse these runs, and makes nothing."""
    said = dl("ensemble", *words)
    assert said.exit_code == code, said
    assert "Traceback" not in said.stderr
    assert not list(Path.home().glob("runs/*/*-ensemble-*"))
    return said.stderr


def test_it_shows_the_members_their_mean_and_the_ensemble(dl: Dl, root: Path) -> None:
    said = ok(dl("ensemble", "one", "two"))
    (path,) = (Path.home() / "runs" / "pets").glob("*-ensemble-m2")
    name = Run(path).name
    width = len(name)
    assert said.stdout.splitlines() == [
        f"{'run':{width}}  valid accuracy  log loss",
        f"{'one':{width}}          0.5000    0.6547",
        f"{'two':{width}}          1.0000    0.3993",
        f"{'mean score of members':{width}}          0.7500    0.5270",
        f"{name}          1.0000    0.4338",
    ]
    assert "two alone has a lower log loss, 0.3993, than the ensemble, 0.4338." in said.stderr
    assert f"Saved ~/runs/pets/{path.name}; next: `dl evaluate -d ~/data/pets`" in said.stderr


def test_its_members_and_no_settings_are_shown(dl: Dl, root: Path) -> None:
    ok(dl("ensemble", "one", "two"))
    (path,) = (Path.home() / "runs" / "pets").glob("*-ensemble-m2")
    lines = ok(dl("runs", "show", path.name)).stdout.splitlines()
    place = lines.index("member  valid accuracy  log loss")
    assert lines[place + 1 : place + 3] == [
        "one             0.5000    0.6547",
        "two             1.0000    0.3993",
    ]
    assert not any("defaults" in line or line.startswith("epochs") for line in lines)
    told = json.loads(ok(dl("runs", "show", path.name, "--json")).stdout)
    assert [each["name"] for each in told["members"]] == ["one", "two"]


def test_of_an_ensemble_that_is_the_best_nothing_is_said(dl: Dl, root: Path) -> None:
    predicted_run(root, "four", {VALID[0]: (0.6, 0.4), VALID[1]: (0.6, 0.4)})
    predicted_run(root, "five", {VALID[0]: (0.4, 0.6), VALID[1]: (0.4, 0.6)})
    assert "alone" not in ok(dl("ensemble", "four", "five")).stderr


def test_json_holds_the_same(dl: Dl, root: Path) -> None:
    made = json.loads(ok(dl("ensemble", "one", "two", "--json")).stdout)
    assert Run(Path(made["run"])).state == "finished"
    assert [Path(each["run"]).name for each in made["members"]] == ["one", "two"]
    assert made["members_mean"]["val_accuracy"] == 0.75
    assert made["val_loss"] < made["members_mean"]["val_loss"]


def test_predictions_that_are_there_need_no_backend(root: Path) -> None:
    for words, end in (
        (("ensemble", "one", "two"), "Saved"),
        (("evaluate", "-d", "pets"), "Report"),
    ):
        modules, output = loaded(*words)
        assert end in output
        assert not modules & (BACKENDS | {"bcolz"})


def test_fewer_than_two_runs_are_refused(dl: Dl, root: Path) -> None:
    for words in ((), ("one",)):
        assert "at least two runs" in refused(dl, *words, code=2)


def test_the_same_run_twice_is_refused_however_it_is_named(dl: Dl, root: Path) -> None:
    folder = Path.home() / "runs" / "pets" / "one"
    assert "one is named twice" in refused(dl, "one", "two", folder, code=2)


def test_a_run_that_is_not_there_or_not_finished_is_refused(dl: Dl, root: Path) -> None:
    assert "Did you mean `two`?" in refused(dl, "one", "twoo")
    run = Run(Path.home() / "runs" / "pets" / "two")
    write_yaml(run.status_file, {"state": "interrupted"})
    assert "dl resume two" in refused(dl, "one", "two")


def test_runs_of_other_images_are_refused(dl: Dl, root: Path, home: Path) -> None:
    other = make_dataset(home / "data" / "dogscats", train=2, valid=2, test=0)
    predicted_run(other, "three", dict.fromkeys(VALID, (0.5, 0.5)))
    said = refused(dl, "one", "three")
    assert "different validation images" in said
    assert "~/data/pets and ~/data/dogscats" in said


def test_runs_before_and_after_a_change_of_the_images_are_refused(dl: Dl, root: Path) -> None:
    make_pictures(root / "valid", each=1, first=2000)
    predicted_run(root, "three", dict.fromkeys(VALID, (0.5, 0.5)))
    assert "those of ~/data/pets changed between the two runs" in refused(dl, "one", "three")


def test_runs_with_other_classes_are_refused_and_the_classes_named(dl: Dl, root: Path) -> None:
    make_pictures(root / "train", ("cat", "dog", "fox", "hen"), 2)
    columns = ("cat", "dog", "fox", "hen")
    predicted_run(root, "three", dict.fromkeys(VALID, (0.4, 0.4, 0.1, 0.1)), columns=columns)
    assert "`fox`, `hen` are only in three" in refused(dl, "one", "three")
    assert "`fox`, `hen` are only in three" in refused(dl, "three", "one")


@pytest.mark.parametrize("count", ["0", "1", "-3", "few"])
def test_an_ensemble_of_fewer_than_two_is_not_trained(dl: Dl, root: Path, count: str) -> None:
    said = dl("train", "linear", "-d", root, "--members", count)
    assert said.exit_code == 2
    assert "--members" in said.stderr
    assert len(list((Path.home() / "runs" / "pets").iterdir())) == 2


def test_seeds_beyond_the_last_are_refused_before_any_training(dl: Dl, root: Path) -> None:
    said = dl("train", "linear", "-d", root, "--members", "2", "--seed", str(2**32 - 1))
    assert said.exit_code == 2
    assert "`seed` can't be 4294967296" in said.stderr
    assert len(list((Path.home() / "runs" / "pets").iterdir())) == 2


def test_it_is_no_recipe(dl: Dl, root: Path) -> None:
    assert dl("train", "ensemble", "-d", root).exit_code == 2
    assert "ensemble" not in ok(dl("recipes")).stdout
