"""Advice that knows what was tried: which runs are attempts at a remedy, and what is then said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.listed_runs import listed_run
from support.small_folders import make

from dlcli.config import load_config
from dlcli.data.choice import choose_dataset, with_named
from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.runs.attempts import Trained, advice_lines, attempts_at, last_gain, read_training
from dlcli.runs.run import Run

SETTINGS = {
    "schedule": "0.003x8,0.0003x4",
    "dropout": "0.5",
    "augment": "false",
    "augment_passes": "0",
    "tail": "1",
}
BASE = Trained("base", "finetune", SETTINGS, ("t", "v"), 0.5)
AUGMENTATION = "augmentation, `dl rerun base --set augment=true --set augment_passes=5`"
DROPOUT = "more dropout, `dl rerun base --set dropout=0.75`"
EPOCHS = "more epochs, `dl rerun base --epochs 24`"
RATE = "lower learning rates, `dl rerun base --lr 0.0003`"
LINEAR = "a simpler model, `dl train imagenet-linear`"
UNFREEZE = "a richer model, `dl train finetune --unfreeze 3`"
WHOLE = "the whole dataset, `dl train finetune --dropout 0.5 -d dogs`"
FINDER = "another learning rate, `dl lr-find finetune`"
MORE = "more images"
ALL = (AUGMENTATION, DROPOUT, EPOCHS, RATE, LINEAR, UNFREEZE, WHOLE, FINDER, MORE)


def trained(name: str = "other", loss: float = 0.4, **settings: str) -> Trained:
    return replace(BASE, name=name, val_loss=loss, settings=SETTINGS | settings)


@pytest.mark.parametrize(
    ("run", "remedy"),
    [
        (trained(augment="true", augment_passes="5"), AUGMENTATION),
        (replace(trained(), settings={"augment": "true", "augment_passes": "5"}), AUGMENTATION),
        (trained(dropout="0.75"), DROPOUT),
        (trained(schedule="0.003x16,0.0003x8"), EPOCHS),
        (trained(schedule="0.0003x8,3e-05x4"), RATE),
        (replace(trained(tail="2", schedule="0.1x12,0.01x4"), recipe="imagenet-linear"), LINEAR),
        (trained(unfreeze="3"), UNFREEZE),
    ],
)
def test_a_run_with_a_remedys_change_alone_is_an_attempt_at_it(run: Trained, remedy: str) -> None:
    assert attempts_at(ALL, BASE, [BASE, run]) == {remedy: run}


@pytest.mark.parametrize(
    "run",
    [
        trained(dropout="0.75", tail="2"),
        trained(dropout="0.6"),
        trained(augment="true"),
        replace(trained(dropout="0.75"), recipe="fc"),
        trained(),
    ],
)
def test_a_run_that_differs_in_more_or_not_as_far_is_no_attempt(run: Trained) -> None:
    assert attempts_at(ALL, BASE, [BASE, run]) == {}


@pytest.mark.parametrize(
    ("recipe", "schedule", "shared", "tried"),
    [
        ("imagenet-linear", "0.003x16", {"backbone": "vgg16", "image_size": "64"}, True),
        ("imagenet-linear", "0.003x15", {"backbone": "vgg16", "image_size": "64"}, False),
        ("imagenet-linear", "0.003x16", {"backbone": "mobilenet", "image_size": "64"}, False),
        ("imagenet-linear", "0.003x16", {"backbone": "vgg16", "image_size": "96"}, False),
        ("linear", "0.003x12", {"image_size": "96"}, True),
        ("linear", "by hand", {"image_size": "64"}, False),
    ],
)
def test_a_run_of_another_recipe_has_the_shared_settings_and_the_usual_epochs(
    recipe: str, schedule: str, shared: dict[str, str], tried: bool
) -> None:
    base = replace(BASE, shared={"backbone": "vgg16", "image_size": "64"})
    run = replace(trained(schedule=schedule, dropout="0"), recipe=recipe, shared=shared)
    remedy = f"a simpler model, `dl train {recipe}`"
    assert attempts_at([remedy], base, [run]) == ({remedy: run} if tried else {})


def test_the_usual_epochs_are_those_that_suit_the_dataset() -> None:
    base = replace(BASE, counts=(20, 2))
    run = replace(trained(schedule="0.003x16"), recipe="imagenet-linear", counts=(20, 2))
    assert attempts_at([LINEAR], base, [run]) == {}
    longer = replace(run, settings=run.settings | {"schedule": "0.003x200"})
    assert attempts_at([LINEAR], base, [longer]) == {LINEAR: longer}


def test_whatever_a_project_recipe_names_or_sets_is_no_error() -> None:
    odd = replace(BASE, settings={"epochs": "4", "schedule": "by hand"})
    remedies = ("a richer model, `dl train it's`", EPOCHS, RATE, "a simpler model, `make it`")
    longer = replace(odd, name="longer", settings={"epochs": "24", "schedule": "by hand"})
    assert attempts_at(remedies, odd, [odd, longer]) == {EPOCHS: longer}


def test_of_several_attempts_the_best_counts() -> None:
    runs = [trained("a", 0.41, dropout="0.75"), trained("b", 0.4, dropout="0.75")]
    assert attempts_at(ALL, BASE, runs)[DROPOUT].name == "b"


def test_a_rerun_without_a_clear_gain_leads_back_to_the_run_that_it_began_from() -> None:
    first = replace(trained("first", 0.49), parent="base")
    second = replace(trained("second", 0.48), parent="first")
    assert last_gain(second, [BASE, first, second]) == BASE
    assert last_gain(replace(second, val_loss=0.4), [BASE, first, second]).name == "second"
    assert last_gain(second, [second]) == second  # its parent is gone, or had other images
    # less than 10 % lower than its parent, more than 10 % lower than that one's parent
    assert last_gain(replace(second, val_loss=0.445), [BASE, first, second]).name == "first"
    itself = replace(second, parent="second")
    assert last_gain(itself, [itself]) == itself


FOUND = {"kind": "overfitting", "sentence": "Overfitting.", "evidence": "Numbers."}


def run_of(name: str, loss: float, *, parent: str | None = None, **given: Any) -> Run:
    images = {"train": "t", "valid": given.pop("valid", "valid-images")}
    dataset = {"path": str(Path.home() / "data" / "tiny"), "fingerprints": images}
    record = {"dataset": dataset, "parent": parent and f"tiny/{parent}"}
    record |= given.pop("more", {})
    found = FOUND | {"next": [DROPOUT, LINEAR]}
    return listed_run(name, record=record, val_loss=loss, diagnosis=found, **given)


def lines_of(run: Run) -> list[str]:
    return advice_lines(run, Diagnosis.of(run.status["diagnosis"]))


def test_what_was_tried_is_told_with_its_result_and_not_offered_again() -> None:
    base = run_of("base", 0.5)
    advised = ["Overfitting.", "Numbers.", "Try, in this order:", f"- {DROPOUT}", f"- {LINEAR}"]
    assert lines_of(base) == advised
    run_of("elsewhere", 0.3, hyperparameters={"dropout": 0.75}, valid="w")
    run_of("stopped", 0.3, hyperparameters={"dropout": 0.75}, state="interrupted")
    assert lines_of(base) == advised
    more = {"dropout": 0.75}
    again = run_of("again", 0.48, hyperparameters=more, settings={"seed": 1}, parent="base")
    tried = ["Tried already:", "- more dropout: valid loss 0.4800, again"]
    assert lines_of(base) == ["Overfitting.", "Numbers.", f"Try {LINEAR}.", *tried]
    gained = "This run is not clearly better than base, whose valid loss is 0.5000."
    assert lines_of(again) == ["Overfitting.", "Numbers.", f"{gained} Try {LINEAR}.", *tried]
    run_of("linear", 0.3, recipe="imagenet-linear", hyperparameters={"schedule": "1e-3x16"})
    assert lines_of(again) == [
        *("Overfitting.", "Numbers.", gained, *tried),
        "- a simpler model (imagenet-linear): valid loss 0.3000, linear",
        "What to try after the best of them: `dl runs show linear`",
    ]


def test_advice_that_has_run_out_says_so_and_which_run_is_the_best() -> None:
    backbone = {"settings": {"backbone": "vgg16"}}
    base = run_of("base", 0.5, **backbone)
    base.update_status(diagnosis=FOUND | {"next": [DROPOUT, MORE]})
    again = run_of("again", 0.48, hyperparameters={"dropout": 0.75}, parent="base", **backbone)
    tried = ["Tried already:", "- more dropout: valid loss 0.4800, again"]
    over = "That is all that `dl` knows to try. The best of these runs is "
    helps = "What may help now: more images, or another backbone (`dl backbones`)."
    best = f"{over}again (valid loss 0.4800), not clearly better than this one. {helps}"
    assert lines_of(base)[2:] == [*tried, best]
    assert lines_of(again)[3:] == [*tried, f"{over}this one. {helps}"]
    worse = run_of("worse", 0.9, hyperparameters={"dropout": 0.75}, parent="base", **backbone)
    assert lines_of(worse)[-1] == f"{over}again (valid loss 0.4800). {helps}"


def test_commands_name_the_runs_dataset_where_another_would_be_taken(home: Path) -> None:
    for name in ("tiny", "fish"):
        make(home / "data" / name, "train/cat/1.png", "train/dog/1.png")
    run = run_of("base", 0.5, valid="w")
    choose_dataset(with_named(load_config(), "fish"))
    on_tiny = f"{LINEAR.removesuffix('`')} -d ~/data/tiny`"
    assert lines_of(run)[-2:] == [f"- {DROPOUT}", f"- {on_tiny}"]
    choose_dataset(with_named(load_config(), "tiny"))
    assert lines_of(run)[-1] == f"- {on_tiny}"  # the other one may be named before it is typed
    shutil.rmtree(home / "data" / "fish")
    assert lines_of(run)[-1] == f"- {LINEAR}"


@pytest.mark.parametrize(
    "record",
    [
        {"recipe_digest": "bbb"},
        {"pseudo_labels": "aa"},
        {"pixels": {"size": 64}},  # version 1
        {"forward": {"weights_hash": "58"}},
    ],
)
def test_a_run_of_other_code_pixels_labels_or_weights_is_no_attempt(record: dict[str, Any]) -> None:
    made = {
        "recipe_digest": "aaa",
        "pseudo_labels": None,
        "pixels": {"size": 64, "version": 2},
        "forward": {"weights_hash": "57"},
    }
    base = run_of("base", 0.5, more=made)
    run_of("other", 0.3, hyperparameters={"dropout": 0.75}, more=made | record)
    assert "Tried already:" not in lines_of(base)
    run_of("same", 0.4, hyperparameters={"dropout": 0.75}, more=made | {"git": "abc"})
    assert "- more dropout: valid loss 0.4000, same" in lines_of(base)


def test_the_remedies_of_another_run_come_under_their_own_heading() -> None:
    run_of("base", 0.5)
    worse = run_of("worse", 4.9, parent="base", hyperparameters={"dropout": 0.9})
    worse.update_status(diagnosis=FOUND | {"kind": "good fit", "next": [MORE]})
    gained = "This run is worse than base, whose valid loss is 0.5000. Try, in this order:"
    assert lines_of(worse)[2] == gained


def test_a_rerun_that_gained_says_so_before_its_own_remedies() -> None:
    run_of("base", 0.5)
    gained = run_of("gained", 0.4, parent="base", hyperparameters={"dropout": 0.2})
    assert lines_of(gained)[2:] == [
        "This run is clearly better than base, whose valid loss is 0.5000. Try, in this order:",
        f"- {DROPOUT}",
        f"- {LINEAR}",
    ]


def test_other_runs_are_read_only_if_they_can_be_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(run: Run, val_loss: object) -> Trained | None:
        read.append(run.name)
        return read_training(run, val_loss)

    monkeypatch.setattr("dlcli.runs.attempts.read_training", reading)
    base = run_of("base", 0.5)
    run_of("elsewhere", 0.5, valid="other-images")
    run_of("cat", 0.5)
    lines_of(base)
    assert "elsewhere" not in read and "cat" in read
    read.clear()
    base.update_status(diagnosis=FOUND | {"next": []})
    lines_of(base)
    assert read == ["base"]


def test_a_run_of_0_1_0_or_without_a_loss_has_its_own_advice() -> None:
    old = listed_run(diagnosis=FOUND | {"next": [MORE]}, val_loss=None)
    assert lines_of(old)[2:] == ["Try more images."]
