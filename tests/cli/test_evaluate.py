"""`dl evaluate` as it is typed: what it prints, and what comes next."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok, refused
from support.pictures import make_dataset
from support.small_run import only_run

from dlcli.cli.evaluate.photos import print_metrics, print_mistakes
from dlcli.evaluation.metrics import evaluate
from dlcli.inference.predictions import Predictions
from dlcli.report.photos.evaluate import Evaluated

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3")


def test_after_the_sample_comes_the_whole_dataset(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("data", "sample", tiny, "--train", "8", "--valid", "4"))
    ok(dl(*LINEAR, "-d", "tiny-sample"))
    said = ok(dl("evaluate")).stderr
    assert said.endswith("; next, on the whole dataset: `dl train linear -d ~/data/tiny`\n")


def test_without_test_images_there_is_nothing_to_submit(dl: Dl, home: Path) -> None:
    pets = make_dataset(home / "data" / "pets", train=4, valid=2, test=0)
    ok(dl(*LINEAR, "-d", pets))
    said = ok(dl("evaluate")).stderr
    end = "; there are no test images to submit; next: `dl predict PHOTO...`\n"
    assert said.endswith(end)
    (run,) = (each.name for each in (home / "runs" / "pets").iterdir())
    named = ok(dl("evaluate", run)).stderr
    assert named.endswith(end.replace("PHOTO", f"{run} PHOTO"))


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
    assert said.endswith("\nRestore it, or use another run. `dl runs` lists them.\n")


WHAT_IS_UNDEFINED = (
    "`-` is undefined: precision if no image was classified as this class, recall if the class has "
    "no image, F1 if both."
)


def printed(capsys: pytest.CaptureFixture[str], classes: int, *, everything: bool) -> list[str]:
    """What is printed of a guesser with 3 images a class, who takes class 7's for class 0's."""
    y_true = np.repeat(np.arange(classes), 3)
    y_pred = np.where(y_true == 7, 0, y_true)
    y_pred[y_true == 5] = (5, 6, 6)
    names = [f"breed {number}" for number in range(classes)]
    print_metrics(
        evaluate(y_true, np.eye(classes)[y_pred], names), everything=everything, wide=False
    )
    return capsys.readouterr().out.splitlines()


def test_of_many_classes_the_scores_come_first_then_the_ten_worst(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, 120, everything=False)
    assert [line.split()[0] for line in lines[:4]] == ["images", "accuracy", "log", "baseline"]
    assert lines[4:] == [
        "",
        "The 10 of 120 classes with the lowest F1. For all add `--all`.",
        "class    precision  recall      f1  images",
        "breed 7          -  0.0000  0.0000       3",
        "breed 5     1.0000  0.3333  0.5000       3",
        "breed 0     0.5000  1.0000  0.6667       3",
        "breed 6     0.6000  1.0000  0.7500       3",
        *(f"breed {n}     1.0000  1.0000  1.0000       3" for n in (1, 2, 3, 4, 8, 9)),
        WHAT_IS_UNDEFINED,
    ]
    assert lines[0] == "images    360  (in valid/)"


def test_all_classes_are_printed_where_they_are_asked_for_or_few(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, 120, everything=True)
    assert [line.rsplit(maxsplit=4)[0] for line in lines[6:-1]] == [
        f"breed {n}" for n in range(120)
    ]
    assert lines[5].startswith("class ")
    assert printed(capsys, 10, everything=False) == printed(capsys, 10, everything=True)


def test_classes_that_are_numbers_are_printed_by_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = evaluate(np.array([0, 1, 2]), np.eye(3), ["0", "10", "2"])
    print_metrics(found, everything=False, wide=False)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-3:]] == [
        *("0", "2", "10")
    ]
    assert [*found["classes"]] == ["0", "10", "2"]


def test_a_score_that_is_undefined_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluate(np.array([0, 0, 1]), np.eye(4)[[0, 0, 2]], ["cat", "dog", "fox", "owl"])
    assert found["classes"]["dog"]["precision"] is None
    assert found["classes"]["fox"]["recall"] is None
    assert list(found["classes"]["owl"].values()) == [None, None, None, 0]
    print_metrics(found, everything=False, wide=False)
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "cat       1.0000  1.0000  1.0000       2",
        "dog            -  0.0000  0.0000       1",
        "fox       0.0000       -  0.0000       0",
        "owl            -       -       -       0",
        WHAT_IS_UNDEFINED,
    ]


def test_a_narrow_terminal_keeps_a_class_whole_and_loses_f1_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "soft-coated wheaten terrier of the kind that is seen at shows"
    found = evaluate(np.array([0, 1]), np.eye(2), [name, "dog"])
    print_metrics(found, everything=False, wide=False)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{name}     1.0000  1.0000",
        f"{'dog':{len(name)}}     1.0000  1.0000",
    ]
    print_metrics(found, everything=False, wide=True)
    assert capsys.readouterr().out.splitlines()[-1].endswith("1.0000  1.0000       1")


def mistakes(capsys: pytest.CaptureFixture[str], y_true: list[int], wrong: list[int]) -> list[str]:
    """What is printed of the mistakes of a model with three classes, ever less sure of its own."""
    names = ("cat", "dog", "fox")
    y_prob = np.full((len(y_true), 3), 0.1)
    for i, (true, best) in enumerate(zip(y_true, wrong, strict=True)):
        y_prob[i, best] = 0.5 + 0.01 * i
        y_prob[i, true] += 0.2 - 0.01 * i
    y_prob /= y_prob.sum(axis=1, keepdims=True)
    paths = tuple(f"valid/{names[true]}/{i}.png" for i, true in enumerate(y_true))
    predictions = Predictions(paths, names, y_prob, tuple(names[true] for true in y_true))
    found = evaluate(predictions.y_true, y_prob, names)
    print_mistakes(Evaluated(found, Path("report.html"), predictions, Path.home() / "data/pets"))
    return capsys.readouterr().out.splitlines()


def test_the_most_confused_classes_and_the_most_wrong_images_are_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mistakes(capsys, [0, 0, 0, 1, 2], [0, 1, 1, 2, 0]) == [
        "",
        "Most often confused:",
        "class  taken for  images  of",
        "cat    dog             2   3",
        "",
        "The 3 most wrong of 4 wrong images, with the probability of the true class:",
        "class  probability  taken for  image",
        "fox         0.2889  cat        ~/data/pets/valid/fox/4.png",
        "dog         0.3000  fox        ~/data/pets/valid/dog/3.png",
        "cat         0.3111  dog        ~/data/pets/valid/cat/2.png",
    ]
    assert mistakes(capsys, [0, 1], [0, 2])[1] == (
        "The wrong image, with the probability of the true class:"
    )
    assert mistakes(capsys, [0, 1], [0, 1]) == []


@pytest.mark.parametrize("command", ["evaluate", "submit"])
def test_the_help_tells_the_default_that_a_preset_has_for_several_views(
    dl: Dl, command: str
) -> None:
    said = " ".join(ok(dl(command, "--help")).stdout.split())
    assert "none [default: those of the training, else of the settings" in said
    assert "[default: light]" not in said
