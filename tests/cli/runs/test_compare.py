"""`dl runs diff` and `dl runs compare` as they are typed: what they show, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from support.command_result import Dl, ok
from support.loaded_modules import BACKENDS, loaded
from support.predicted_run import PETS, predicted_run, two_runs_of_pets
from support.small_run import SMALL
from support.terminal import at_terminal

from dlcli.cli.runs.compare import print_differences
from dlcli.files.formats import write_yaml
from dlcli.runs.run import Run
from dlcli.runs.settings import Difference

pytestmark = pytest.mark.slow


@pytest.fixture
def root(home: Path) -> Path:
    """The dataset of two runs, see `two_runs_of_pets`."""
    for run in two_runs_of_pets(home, "one", "two"):
        trained(run)
    return home / "data" / "pets"


def trained(run: Run) -> None:
    """Give a run what a training leaves of its epochs."""
    scores = {"val_loss": 0.5, "accuracy": 0.9, "val_accuracy": 0.95}
    run.write_history([{"epoch": n, "loss": 1 / n, **scores} for n in (1, 2, 3)])
    run.update_status(epoch=3, seconds=1.5)


def run_of(name: str) -> Run:
    return Run(Path.home() / "runs" / "pets" / name)


def test_diff_shows_what_differs_and_nothing_else(dl: Dl, root: Path) -> None:
    said = ok(dl("runs", "diff", "one", "two"))
    assert said.stdout.splitlines() == [
        "setting  one  two",
        "dropout       0.3",
        "seed          1",
    ]
    assert said.stderr == ""


def test_diff_says_that_nothing_differs(dl: Dl, root: Path) -> None:
    said = ok(dl("runs", "diff", "one", "pets/one"))
    assert (said.stdout, said.stderr) == ("", "one and one have the same settings.\n")
    assert json.loads(ok(dl("runs", "diff", "one", "one", "--json")).stdout)["settings"] == {}


def test_diff_as_json_holds_values_as_they_are(dl: Dl, root: Path) -> None:
    found = json.loads(ok(dl("runs", "diff", "two", "one", "--json")).stdout)
    assert found["runs"] == [str(run_of("two").path), str(run_of("one").path)]
    assert found["settings"] == {"dropout": [0.3, None], "seed": [1, None]}


def test_diff_takes_runs_that_are_not_finished(dl: Dl, root: Path) -> None:
    run_of("two").update_status(state="failed")
    assert "dropout" in ok(dl("runs", "diff", "one", "two")).stdout


def test_diff_takes_two_runs_that_are_there(dl: Dl, root: Path) -> None:
    assert "takes two runs, or none for the newest two" in dl("runs", "diff", "one").stderr
    assert dl("runs", "diff", "one").exit_code == 2
    said = dl("runs", "diff", "one", "twoo")
    assert said.exit_code == 1
    assert "Did you mean `two`?" in said.stderr


def test_compare_shows_scores_settings_and_what_chance_explains(dl: Dl, root: Path) -> None:
    said = ok(dl("runs", "compare", "one", "two"))
    *tables, about_loss, about_accuracy = said.stdout.splitlines()
    assert tables == [
        "   run  recipe    epochs  valid accuracy  log loss  seconds",
        "A  one  finetune       3          0.9500    0.3944      1.5",
        "B  two  finetune       3          1.0000    0.3765      1.5",
        "",
        "setting  A  B",
        "dropout     0.3",
        "seed        1",
        "",
    ]
    assert about_loss.startswith("B's log loss is lower than A's by 0.0179 (95 % interval 0.01")
    assert about_loss.endswith(", 20 images): more than chance explains.")
    assert about_accuracy == (
        "Only B is correct on 1 image, only A on 0 (p = 1.00): within chance."
    )
    assert said.stderr == "Curves: ~/runs/pets/compare.png\n"
    assert Image.open(Path.home() / "runs/pets/compare.png").width == 1800


def test_settings_that_are_too_wide_have_a_line_for_each_value(root: Path) -> None:
    for name, schedule in (("three", "0.003x8,0.0003x4,0.00003x2"), ("four", "0.01x8,0.001x4")):
        run = predicted_run(root, name, dict.fromkeys(PETS, (0.5, 0.5)))
        values = {"schedule": schedule, "dropout": 0.3}
        write_yaml(run.config_file, run.config | {"train": {"finetune": values}})
    runs = ("one", "two", "three", "four")
    said = at_terminal("-m", "dlcli", "runs", "compare", *runs, columns=50)
    lines = said.splitlines()
    start = lines.index("setting   runs     value")
    assert lines[start + 1 : start + 5] == [
        "dropout   B, C, D  0.3",
        "schedule  C        0.003x8,0.0003x4,0.00003x2",
        "          D        0.01x8,0.001x4",
        "seed      B        1",
    ]
    assert "setting  " in at_terminal("-m", "dlcli", "runs", "compare", *runs, columns=160)


@pytest.mark.parametrize(("verb", "third"), [("diff", "failed"), ("compare", "finished")])
def test_without_names_the_newest_two_are_taken_the_older_first(
    dl: Dl, root: Path, verb: str, third: str
) -> None:
    three = predicted_run(root, "a", dict.fromkeys(PETS, (0.5, 0.5)))
    for minute, (run, state) in enumerate(
        [(run_of("one"), "finished"), (run_of("two"), "finished"), (three, third)]
    ):
        run.update_status(state=state, started=f"2026-11-23T14:0{minute}:00Z")
    said = ok(dl("runs", verb, "-d", root))
    assert "The newest two: two and a\n" in said.stderr
    assert said.stdout == dl("runs", verb, "two", "a").stdout
    three.update_status(state="failed")
    if verb == "compare":
        assert "The newest two: one and two\n" in ok(dl("runs", verb, "-d", root)).stderr
    three.status_file.write_text("")
    assert "The newest two: one and two\n" in ok(dl("runs", verb, "-d", root)).stderr


@pytest.mark.parametrize("verb", ["diff", "compare"])
def test_without_names_a_rerun_says_how_to_compare_it_with_its_parent(
    dl: Dl, root: Path, verb: str
) -> None:
    rerun = predicted_run(root, "a", dict.fromkeys(PETS, (0.5, 0.5)))
    for minute, run in enumerate((run_of("one"), run_of("two"), rerun)):
        run.update_status(started=f"2026-11-23T14:0{minute}:00Z")
    config = rerun.config
    for parent, said in (
        ("two", "The newest two: two and a, its rerun\n"),
        ("one", f"two and a\na is a rerun of one. To compare these: `dl runs {verb} one a`\n"),
        ("gone", "The newest two: two and a\n"),
    ):
        config["run"]["parent"] = f"pets/{parent}"
        write_yaml(rerun.config_file, config)
        assert said in ok(dl("runs", verb, "-d", root)).stderr


@pytest.mark.parametrize(("verb", "finished"), [("diff", ""), ("compare", "finished ")])
def test_without_names_it_takes_two_runs_that_there_are(
    dl: Dl, root: Path, verb: str, finished: str
) -> None:
    run_of("two").update_status(state="running", host="elsewhere", pid=1)
    run_of("two").config_file.unlink()
    said = dl("runs", verb, "-d", root)
    assert said.exit_code == 1
    assert f"Fewer than two {finished}runs in ~/runs/pets: without names" in said.stderr
    assert "`dl train fc -d ~/data/pets`. `dl runs -d ~/data/pets` lists all." in said.stderr


@pytest.mark.parametrize("verb", ["diff", "compare"])
def test_d_says_whose_runs_are_compared(dl: Dl, root: Path, verb: str) -> None:
    fish = shutil.copytree(root, root.parent / "fish")
    predicted_run(fish, "two", dict.fromkeys(PETS, (0.5, 0.5)))
    assert "is the name of 2 runs" in dl("runs", verb, "one", "two").stderr
    said = ok(dl("runs", verb, "one", "two", "-d", root))
    assert "Dataset ~/data/pets (named)\n" in said.stderr
    assert said.stdout == ok(dl("runs", verb, "pets/one", "pets/two")).stdout


def test_of_many_classes_diff_names_some(dl: Dl, root: Path) -> None:
    for name, kinds in (
        ("one", ["ant", "bee"]),
        ("two", ["ant", *(f"c{n:02}" for n in range(20))]),
    ):
        run = run_of(name)
        write_yaml(run.config_file, run.config | {"run": run.config["run"] | {"classes": kinds}})
    told = ok(dl("runs", "diff", "one", "two")).stdout
    assert "  ant, bee  21, such as c00, c01, c02\n" in told


def test_classes_that_are_told_by_the_same_names_are_still_told_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.cli.parts.tables._room", lambda: 80)
    kinds = (["x1", "x2", "x3", "x4"], ["x1", "x2", "x3", "x5"], ["x4", "x5"], ["x4", "x5"])
    values = tuple([*(f"c{n:02}" for n in range(50)), *own] for own in kinds)
    print_differences([Difference("classes", values)], "ABCD")
    assert capsys.readouterr().out.splitlines() == [
        "setting  runs  value",
        "classes  A     54, such as x1, x2, x3",
        "         B     54, such as x1, x2, x3",
        "         C, D  52, such as x4, x5",
    ]


def test_of_many_classes_the_rarest_are_named() -> None:
    shared = [f"c{n:02}" for n in range(20)]
    values = ([*shared, "x1", "x2", "x3", "x4"], [*shared, "x1", "x2", "x3", "x5"], shared)
    brief = Difference("classes", values).brief
    assert brief == (
        "24, such as x4, x1, x2",
        "24, such as x5, x1, x2",
        "20, such as c00, c01, c02",
    )


def test_the_picture_is_no_run(dl: Dl, root: Path, home: Path) -> None:
    ok(dl("runs", "compare", "one", "two"))
    assert [run.name for run in Run.all(home / "runs")] == ["one", "two"]


def test_runs_that_differ_in_nothing_are_said_to(dl: Dl, root: Path) -> None:
    write_yaml(run_of("two").config_file, run_of("one").config)
    assert "\nAll settings are the same.\n" in ok(dl("runs", "compare", "one", "two")).stdout


def test_with_more_runs_chance_is_corrected_and_that_is_said(dl: Dl, root: Path) -> None:
    predicted_run(root, "three", dict.fromkeys(PETS, (0.5, 0.5)))
    lines = ok(dl("runs", "compare", "one", "two", "three")).stdout.splitlines()
    assert lines[-1] == (
        "With 2 comparisons, chance finds a difference more often than with one. Each p is "
        "corrected for that by Holm's method."
    )
    assert [line[:34] for line in lines[-5:-1:2]] == [
        "B's log loss is lower than A's by ",
        "B's log loss is lower than C's by ",
    ]
    assert all(", p " in line for line in lines[-5:-1:2])


def test_runs_of_the_same_predictions_share_their_sentences(dl: Dl, root: Path) -> None:
    shutil.copytree(run_of("one").path, run_of("twin").path)
    said = ok(dl("runs", "compare", "one", "two", "twin")).stdout
    assert said.count("B's log loss is lower than A and C's by 0.0179 (") == 1
    assert said.count("Only B is correct on 1 image, only A and C on 0 (") == 1
    assert "lower than C's" not in said


def test_json_has_all_numbers(dl: Dl, root: Path) -> None:
    found = json.loads(ok(dl("runs", "compare", "one", "two", "--json")).stdout)
    one, two = found["runs"]
    assert Path(one.pop("run")).name == "one"
    assert one == {
        **{"letter": "A", "recipe": "finetune", "epochs": 3, "seconds": 1.5},
        **{"val_accuracy": 0.95, "val_loss": pytest.approx(0.3944, abs=1e-4)},
    }
    (contrast,) = found["contrasts"]
    assert (contrast["best"], contrast["other"]) == (two["run"], str(run_of("one").path))
    low, high = contrast["loss_interval_95"]
    assert low < contrast["loss_difference"] < high
    assert contrast["loss_p"] == contrast["loss_p_holm"] < 0.05
    assert (contrast["correct_by_best_alone"], contrast["correct_by_other_alone"]) == (1, 0)
    assert contrast["accuracy_p"] == contrast["accuracy_p_holm"] == 1
    assert len(contrast["words"]) == 2
    assert found["images"] == 20
    assert found["settings"] == {"dropout": [None, 0.3], "seed": [None, 1]}
    assert Path(found["picture"]).is_file()


def test_the_picture_goes_where_it_is_wanted(dl: Dl, root: Path, home: Path) -> None:
    said = ok(dl("runs", "compare", "one", "two", "--out", home / "a b.PNG"))
    assert said.stderr == "Curves: ~/a b.PNG\n"
    assert Image.open(home / "a b.PNG").format == "PNG"
    assert not (home / "runs/pets/compare.png").exists()


def test_a_place_for_the_picture_that_will_not_do_is_refused(
    dl: Dl, root: Path, home: Path
) -> None:
    said = dl("runs", "compare", "one", "two", "--out", "a.svg")
    assert (said.exit_code, said.stdout) == (2, "")
    assert "Name it a.png." in said.stderr
    said = dl("runs", "compare", "one", "two", "--out", home / "none" / "a.png")
    assert said.exit_code == 1
    assert "~/none/a.png: No such file or directory" in said.stderr


def test_where_the_usual_place_will_not_do_the_rest_is_shown(dl: Dl, root: Path) -> None:
    (Path.home() / "runs/pets/compare.png").mkdir()
    said = ok(dl("runs", "compare", "one", "two"))
    assert "more than chance explains" in said.stdout
    assert "No figure: ~/runs/pets/compare.png: Is a directory. Name another" in said.stderr


def test_a_run_without_a_history_has_no_curve(dl: Dl, root: Path) -> None:
    ok(dl("ensemble", "one", "two"))
    (path,) = (Path.home() / "runs" / "pets").glob("*-ensemble-m2")
    said = ok(dl("runs", "compare", "one", path.name))
    assert "Without a curve: B. A run without a history has none (ensembles)." in said.stderr
    assert f"B  {path.name}  ensemble" in said.stdout
    assert "members" in said.stdout
    ok(dl("ensemble", "one", path.name))
    third = next(p for p in (Path.home() / "runs" / "pets").glob("*-ensemble-m2*") if p != path)
    found = ok(dl("runs", "compare", path.name, third.name, "--json"))
    assert json.loads(found.stdout)["picture"] is None
    assert "Curves" not in found.stderr


def test_an_ensemble_is_not_compared_with_its_own_member(dl: Dl, root: Path) -> None:
    third = predicted_run(root, "earlier", dict.fromkeys(PETS, (0.5, 0.5)))
    third.update_status(state="finished", started="2026-11-23T13:00:00Z")
    ok(dl("ensemble", "one", "two"))
    (path,) = (Path.home() / "runs" / "pets").glob("*-ensemble-m2")
    said = ok(dl("runs", "compare", "-d", root))
    assert f"The newest two: earlier and {path.name}, without its members\n" in said.stderr
    assert "members" in said.stdout and "forward.layer" not in said.stdout


def test_runs_that_can_not_be_compared_are_refused(dl: Dl, root: Path) -> None:
    for words, code, why in (
        (("one",), 2, "at least two runs"),
        (("one", "one"), 2, "one is named twice"),
        (("one", "twoo"), 1, "Did you mean `two`?"),
    ):
        said = dl("runs", "compare", *words)
        assert (said.exit_code, said.stdout) == (code, "")
        assert why in said.stderr
    run_of("two").update_status(state="interrupted")
    assert "`dl resume two`" in dl("runs", "compare", "one", "two").stderr


def test_neither_needs_a_backend(root: Path) -> None:
    for words in (("diff", "one", "two"), ("compare", "one", "two")):
        modules, output = loaded("runs", *words)
        assert "dropout" in output
        assert not modules & (BACKENDS | {"bcolz", "scipy", "sklearn"})


def test_runs_that_were_trained_are_compared(dl: Dl, tiny: Path) -> None:
    for schedule in ("1e-3x2", "1e-2x2"):
        ok(dl("train", "linear", "-d", tiny, "--schedule", schedule, *SMALL))
    names = sorted(run.name for run in Run.all(Path.home() / "runs"))
    said = ok(dl("runs", "compare", *names))
    assert "\n\nsetting   A        B\nschedule  0.001x2  0.01x2\n\n" in said.stdout
    assert "8 images" in said.stdout
    assert said.stderr == "Curves: ~/runs/tiny/compare.png\n"
