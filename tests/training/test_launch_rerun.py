"""A run trained again from what it recorded, and whether the same comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_result import Dl, ok, refused
from support.small_run import SMALL, only_run

from dlcli.data.choice import Choice, last_named, remember
from dlcli.files.formats import write_yaml
from dlcli.runs.run import Run
from dlcli.training.launch import first_difference, verify

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

TRAIN = ("train", "finetune", "--schedule", "1e-2x2", *SMALL)


def others(run: Run) -> list[Run]:
    return [each for each in Run.all(run.path.parent.parent) if each.name != run.name]


def test_the_recorded_values_count_and_not_those_of_today(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl(*TRAIN, "-d", tiny, "--seed", "3"))
    run = only_run(home)
    (home / "dl.yaml").write_text("seed: 9\ntrain: {finetune: {dropout: 0.9}}\n")
    assert run.name.endswith("-b4-s3")  # neither is the usual one
    remember(home)  # another one
    said = ok(dl("rerun", run.name)).stderr
    assert last_named() == Choice(tiny, "last named")
    header = f"Run ~/runs/tiny/{run.name} (named)\nDataset ~/data/tiny (of this run)\n"
    assert said.startswith(header)
    (again,) = others(run)
    assert again.config["seed"] == 3
    assert again.config["train"] == run.config["train"]
    assert again.history_file.read_text() == run.history_file.read_text()
    assert again.config["run"]["parent"] == f"tiny/{run.name}"
    assert run.config["run"]["parent"] is None


def test_what_is_set_is_otherwise(dl: Dl, dl_once: Dl, home: Path, tiny: Path) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    run = only_run(home)
    said = ok(dl("rerun", "--set", "dropout=0.25", "--set", "seed=4"))
    assert f"Run ~/runs/tiny/{run.name} (the newest of tiny)\n" in said.stderr
    assert said.stderr.count("Dataset ~/data/tiny (") == 1
    (again,) = others(run)
    assert again.config["train"]["finetune"] == run.config["train"]["finetune"] | {"dropout": 0.25}
    assert again.config["seed"] == 4


def test_settings_that_did_not_exist_then_take_todays_default_and_it_is_said(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    run = only_run(home)
    config = run.config
    del config["train"]["finetune"]["mixup"]
    del config["on_error"]
    write_yaml(run.config_file, config)
    said = ok(dl("rerun", run.name, "--set", "augment=true")).stderr
    uses = f"{run.name} had no augmentation. The new run uses the preset light.\n"
    assert uses in said.partition("Training model")[0]
    assert "The run has no `train.finetune.mixup`. Using the default: 0." in said
    assert "The run has no `on_error`. Using the default: stop." in said
    assert said.count("Using the default") == 2


def test_another_rate_and_other_epochs_change_the_schedule_that_is_recorded(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    run = only_run(home)
    ok(dl("rerun", run.name, "--lr", "1e-4", "--epochs", "1"))
    (again,) = others(run)
    trained = run.config["train"]["finetune"]
    assert again.config["train"]["finetune"] == trained | {"schedule": "0.0001x1"}
    assert [row["learning_rate"] for row in again.history] == [1e-4]
    assert "-e1-lr0.0001" in again.name


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--lr 1e-4 --set schedule=1e-3x2", "`--set schedule` and `--lr` exclude each other"),
        ("--epochs 3 --set schedule=1e-3", "`--set schedule` and `--epochs` exclude each other"),
        ("--epochs 0", "`--epochs` can't be '0': expected a whole number from 1 to 1,000,000"),
        ("--lr fast", "`--lr` can't be 'fast': expected a number above 0"),
        ("--learning-rate 1e-4", "Did you mean `--lr`?"),
        ("--dropout 0.2", "Type: `dl rerun RUN --set dropout=0.2`"),
        ("--batch-size=32", "Type: `dl rerun RUN --set batch_size=32`"),
        ("--batch-size", "Type: `dl rerun RUN --set batch_size=VALUE`"),
        ("--weights=a~b --lr 1", "Type: `dl rerun RUN --set 'weights=a~b' --lr 1`"),
        ("--augment", "Type: `dl rerun RUN --set augment=true`"),
        ("--no-augment --epochs 3", "Type: `dl rerun RUN --set augment=false --epochs 3`"),
        ("--dropuot 0.2", "has no option `--dropuot`"),
    ],
)
def test_a_wrong_schedule_is_refused_before_anything_is_trained(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path, words: str, why: str
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    run = only_run(home)
    why = why.replace("RUN", run.name)
    refused(dl("rerun", run.name, *words.split()), why, exit_code=2)
    assert others(run) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dropout", "expected NAME=VALUE"),
        ("dropuot=0.1", "Did you mean `train.finetune.dropout`"),
        ("dropout=2", "below 1"),
        ("lr=1e-4", "Change the run's schedule: `--lr 1e-4`, or `--set schedule=0.0001x2`."),
        ("epochs=3", "schedule: `--epochs 3`, or `--set schedule=0.01x3`."),
        ("dataset=~/data/fish", "a rerun uses the same dataset"),
        ("dataset=~/data/fish", "`dl train finetune -d ~/data/fish`"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_trained(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path, text: str, why: str
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    run = only_run(home)
    refused = dl("rerun", run.name, "--set", text)
    assert refused.exit_code == 2
    assert why in refused.stderr
    assert others(run) == []


def test_a_run_is_verified_and_where_it_differs_is_found(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    run = only_run(home)
    said = ok(dl("runs", "verify", run.name))
    assert said.stdout == "the same history: 2 epochs\n"
    rows = run.history
    rows[1]["val_loss"] = 0.5
    run.write_history(rows)
    difference = verify(run)
    assert difference is not None
    assert (difference.epoch, difference.column, difference.before) == (2, "val_loss", 0.5)
    said = dl("runs", "verify")
    assert f"Run ~/runs/tiny/{run.name} (the newest of tiny)" in said.stderr
    assert said.exit_code == 1
    assert "The history differs: val_loss of epoch 2 was 0.5, now it is " in said.stderr
    assert others(run) == []


histories = st.lists(st.fixed_dictionaries({"epoch": st.integers(0, 3), "loss": st.floats(0, 3)}))


@given(histories, histories)
def test_histories_differ_where_they_first_do(one: list, other: list) -> None:  # type: ignore[type-arg]
    assert first_difference(one, one) is None
    found = first_difference(one, other)
    assert (found is None) == (one == other)
    if found is not None:
        same = found.epoch - 1
        assert one[:same] == other[:same]
        assert one[same : same + 1] != other[same : same + 1]


def test_a_recorded_run_that_is_gone_is_not_replaced_by_one_with_a_longer_name(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    first = only_run(home)
    ok(dl(*TRAIN, "--init-from", first.name))
    (second,) = others(first)
    longer = first.path.rename(first.path.with_name(f"{first.name}-old")).name
    said = dl("rerun", second.name)
    assert said.exit_code == 1
    assert f"No such run: tiny/{first.name}" in said.stderr
    assert f"Name it in full: `{longer}`" in said.stderr


def test_a_dataset_that_moved_is_found_by_its_name_and_said(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    run = only_run(home)
    (home / "disk").mkdir()
    tiny.rename(home / "disk" / "tiny")
    refused(dl("rerun", run.name), "is no longer at ~/data/tiny", "--data-dir")
    said = ok(dl("rerun", run.name, "--data-dir", home / "disk")).stderr
    assert "Using ~/disk/tiny" in said
    (again,) = others(run)
    assert again.history_file.read_text() == run.history_file.read_text()
