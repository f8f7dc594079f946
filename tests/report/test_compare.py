"""Runs beside each other: which images judge them, and whether a difference is one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import make_dataset, make_pictures
from support.predicted_run import predicted_run

from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.chance import Paired
from dlcli.evaluation.metrics import accuracy, log_loss
from dlcli.files.formats import write_yaml
from dlcli.inference.predictions import read_predictions
from dlcli.report.compare import Comparison, compare, letter, names_of
from dlcli.report.photos.compare import PhotosContrast
from dlcli.runs.run import Run

EACH = 20


@pytest.fixture
def root(home: Path) -> Path:
    return make_dataset(home / "data" / "pets", train=2, valid=EACH, test=0)


def answered(root: Path, name: str, of_truth: Sequence[float], images: slice = slice(None)) -> Run:
    """A run that gives the true class these probabilities, image by image."""
    paths = [f"valid/{kind}/{kind}.{1000 + n}.png" for kind in ("cat", "dog") for n in range(EACH)]
    rows = {
        path: (p, 1 - p) if "/cat/" in path else (1 - p, p)
        for path, p in list(zip(paths, of_truth, strict=True))[images]
    }
    return predicted_run(root, name, rows)


def drawn(seed: int, mean: float) -> list[float]:
    noise = np.random.default_rng(seed).normal(0, 0.02, 2 * EACH)
    return (np.linspace(mean - 0.2, mean + 0.2, 2 * EACH) + noise).tolist()


def only(comparison: Comparison) -> PhotosContrast:
    (contrast,) = comparison.contrasts
    assert isinstance(contrast, PhotosContrast)
    return contrast


def test_scores_are_those_of_the_predictions(root: Path) -> None:
    runs = [answered(root, "one", drawn(1, 0.7)), answered(root, "two", drawn(2, 0.6))]
    runs[0].update_status(epoch=12, seconds=2.5)
    comparison = compare(runs)
    assert comparison.examples == 2 * EACH
    for each, run in zip(comparison.runs, runs, strict=True):
        predictions = read_predictions(run.predictions_file("valid"))
        y_true, y_prob = predictions.y_true, predictions.y_prob
        assert each.run == run
        assert each.scores["loss"] == pytest.approx(log_loss(y_true, y_prob))
        assert each.scores["accuracy"] == accuracy(y_true, y_prob)
    one, two = comparison.runs
    assert (one.letter, one.recipe, one.epochs, one.seconds) == ("A", "finetune", 12, 2.5)
    assert (two.letter, two.epochs, two.seconds) == ("B", None, None)


def test_a_small_difference_on_every_image_is_more_than_chance(root: Path) -> None:
    worse = drawn(1, 0.7)
    better = [p + 0.01 for p in worse]
    contrast = only(compare([answered(root, "one", worse), answered(root, "two", better)]))
    assert (contrast.best, contrast.other) == ("B", "A")
    assert contrast.loss_p < 0.001
    assert contrast.about_loss.startswith("B's log loss is lower than A's by 0.0")
    assert contrast.about_loss.endswith(", 40 images): more than chance explains.")
    assert contrast.test.first_alone >= contrast.test.second_alone


def test_a_difference_made_by_few_images_is_noise(root: Path) -> None:
    one = [0.7] * (2 * EACH)
    two = [0.2, 0.3, *one[2:]]
    contrast = only(compare([answered(root, "one", one), answered(root, "two", two)]))
    assert contrast.test.loss_interval is not None
    low, high = contrast.test.loss_interval
    assert low < 0 < high
    assert contrast.about_loss == (
        f"A's log loss is lower than B's by {contrast.test.loss:.4f} "
        f"(95 % interval {low:.4f} to {high:.4f}, 40 images): no more than chance explains."
    )
    assert contrast.about_accuracy == (
        "Only A is correct on 2 images, only B on 0 (p = 0.50): within chance."
    )


def test_runs_that_answer_alike_have_the_same_loss(root: Path) -> None:
    runs = [answered(root, name, drawn(1, 0.7)) for name in ("one", "two")]
    contrast = only(compare(runs))
    assert (contrast.test.loss, contrast.loss_p, contrast.accuracy_p) == (0, 1, 1)
    assert contrast.about_loss == "A and B have the same log loss on each of 40 images."
    assert contrast.about_accuracy == "A and B are correct on the same images."


def test_one_image_alone_decides_nothing(root: Path) -> None:
    one = answered(root, "one", [0.9] * (2 * EACH), slice(1))
    two = answered(root, "two", [0.1] * (2 * EACH), slice(1))
    contrast = only(compare([one, two]))
    assert contrast.about_loss == (
        f"A's log loss is lower than B's by {math.log(9):.4f} (1 image): "
        "no more than chance explains."
    )
    assert contrast.about_accuracy == (
        "Only A is correct on 1 image, only B on 0 (p = 1.00): within chance."
    )


def test_each_of_several_is_held_against_the_best_and_chance_corrected_by_holm(
    root: Path,
) -> None:
    means = {"one": 0.6, "two": 0.62, "three": 0.7, "four": 0.65}
    runs = [answered(root, name, drawn(n, mean)) for n, (name, mean) in enumerate(means.items())]
    contrasts = compare(runs).contrasts
    assert [(each.best, each.other) for each in contrasts] == [("C", "A"), ("C", "B"), ("C", "D")]
    assert all(each.loss_p >= each.test.loss_p for each in contrasts)
    least = min(contrasts, key=lambda each: each.test.loss_p)
    assert least.loss_p == pytest.approx(3 * least.test.loss_p)
    assert all(", p " in each.about_loss for each in contrasts)


def test_what_a_correction_leaves_to_chance_is_said_to_be_chance() -> None:
    found = Paired(400, 0.004, (0.0002, 0.0078), 0.04, 9, 2, 0.065)
    corrected = PhotosContrast("B", "A", found, 0.08, 0.13, several=True)
    assert corrected.about_loss == (
        "B's log loss is lower than A's by 0.0040 (95 % interval 0.0002 to 0.0078, 400 images, "
        "p = 0.080): no more than chance explains."
    )
    alone = dataclasses.replace(corrected, loss_p=0.04, accuracy_p=0.0004, several=False)
    assert alone.about_loss.endswith("0.0078, 400 images): more than chance explains.")
    assert alone.about_accuracy == (
        "Only B is correct on 9 images, only A on 2 (p < 0.001): more than chance explains."
    )
    assert alone.sentences == [alone.about_loss, alone.about_accuracy]
    *_, advice = dataclasses.replace(alone, loss_p=0.1).sentences
    assert advice.startswith("Accuracy tells the two apart, the log loss does not. Go by ")


def test_rows_and_columns_are_matched_by_name(root: Path) -> None:
    rows = {"valid/cat/cat.1000.png": (0.9, 0.1), "valid/dog/dog.1000.png": (0.2, 0.8)}
    turned = {path: probs[::-1] for path, probs in reversed(rows.items())}
    one = predicted_run(root, "one", rows)
    two = predicted_run(root, "two", turned, columns=("dog", "cat"))
    assert only(compare([one, two])).test.loss == 0


def test_images_that_not_all_have_are_left_out_and_counted(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = answered(root, "one", drawn(1, 0.7), slice(0, 30))
    two = answered(root, "two", drawn(2, 0.7), slice(5, 40))
    assert compare([one, two]).examples == 25
    said = capsys.readouterr().err
    assert "Compared on the 25 validation images that all runs have; 15 others" in said
    assert "Warning" not in said


def test_the_same_images_are_nothing_to_speak_of(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare([answered(root, name, drawn(1, 0.7)) for name in ("one", "two")])
    assert capsys.readouterr().err == ""


def test_runs_before_and_after_a_change_of_the_images_are_compared_with_a_warning(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = answered(root, "one", drawn(1, 0.7))
    make_pictures(root / "valid", each=1, first=2000)
    two = answered(root, "two", drawn(2, 0.7))
    assert compare([one, two]).examples == 2 * EACH
    said = capsys.readouterr().err
    assert "Warning: the validation images of these runs differ" in said
    assert "may have been trained on another run's validation images" in said


def test_a_run_that_is_judged_on_images_put_aside_later_is_warned_of(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [answered(root, name, drawn(1, 0.7)) for name in ("one", "two")]
    runs[1].update_status(predicted={"valid": "0123456789abcdef"})
    compare(runs)
    said = capsys.readouterr().err
    assert "Warning: the validation images changed after two was trained" in said
    assert "after one" not in said


def test_runs_without_a_common_image_are_refused(root: Path) -> None:
    one = answered(root, "one", drawn(1, 0.7), slice(0, 10))
    two = answered(root, "two", drawn(2, 0.7), slice(10, 40))
    with pytest.raises(DlError, match="no validation image in common"):
        compare([one, two])


def test_runs_with_other_classes_are_refused_and_the_classes_named(root: Path) -> None:
    make_pictures(root / "train", ("cat", "dog", "fox"), 2)
    row = {"valid/cat/cat.1000.png": (0.5, 0.3, 0.2)}
    three = predicted_run(root, "three", row, columns=("cat", "dog", "fox"))
    with pytest.raises(DlError, match="classes: 2 and 3; `fox` is only in three"):
        compare([answered(root, "one", drawn(1, 0.7)), three])


def test_fewer_than_two_runs_or_one_twice_are_refused(root: Path) -> None:
    run = answered(root, "one", drawn(1, 0.7))
    for runs in ([], [run]):
        with pytest.raises(DlError, match="at least two") as refused:
            compare(runs)
        assert refused.value.exit_code == ExitCode.USAGE
    with pytest.raises(DlError, match="one is named twice"):
        compare([run, Run(run.path / ".." / "one")])


def test_missing_and_damaged_predictions_are_refused_with_what_makes_them(root: Path) -> None:
    runs = [answered(root, name, drawn(1, 0.7)) for name in ("one", "my two")]
    file = runs[1].predictions_file("valid")
    file.write_text(file.read_text().rpartition(",")[0])
    with pytest.raises(DlError, match="damaged"):
        compare(runs)
    file.unlink()
    with pytest.raises(DlError, match="my two has no predictions") as refused:
        compare(runs)
    assert refused.value.hint.startswith("Make them: `dl evaluate ")
    assert "'" in refused.value.hint


def test_differing_settings_come_along(root: Path) -> None:
    runs = [answered(root, name, drawn(1, 0.7)) for name in ("one", "two")]
    write_yaml(runs[1].config_file, runs[1].config | {"seed": 1})
    (difference,) = compare([Run(run.path) for run in runs]).differences
    assert (difference.setting, difference.values) == ("seed", (None, 1))


def test_names_are_short_and_tell_datasets_apart() -> None:
    one = Run(Path("/runs/pets/202611231409-finetune-e12"))
    two, odd = Run(Path("/runs/pets-sample/202611231409-fc")), Run(Path("/runs/pets/2026-old"))
    assert names_of([one, odd], short=True) == ["finetune-e12", "2026-old"]
    assert names_of([one, two], short=True) == ["pets/finetune-e12", "pets-sample/fc"]
    assert names_of([one, odd]) == [one.name, odd.name]


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_each_run_has_a_letter_of_its_own(one: int, other: int) -> None:
    assert (letter(one) == letter(other)) == (one == other)
    assert [letter(n) for n in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]
