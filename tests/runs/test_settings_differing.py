"""The settings in which runs differ."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import DlError
from dlcli.files.formats import write_yaml
from dlcli.runs.run import Run
from dlcli.runs.settings import CLASSES, Difference, differing_settings

CONFIG: dict[str, Any] = {
    "seed": 0,
    "backbone": "efficientnet-lite0",
    "weights": None,
    "augmentation": {"rotation": 15.0},
    "train": {"finetune": {"schedule": "0.003x8", "dropout": 0.5, "unfreeze": 0, "ema": None}},
    "run": {
        "recipe": "finetune",
        "dataset": {
            "path": "data/pets",
            "fingerprints": {"train": "aa", "valid": "bb"},
            "images": {"train": 1500, "valid": 400},
        },
        "classes": ["cat", "dog"],
        "forward": {"backbone": "efficientnet-lite0", "weights_hash": "57", "layer": "pooled"},
        "parent": None,
        "command": "dl train finetune",
        "folder": "pets",
        "host": "one",
        "versions": {"keras": "3.15.1", "numpy": "2.4.6"},
    },
}


def run_with(folder: Path, *changes: tuple[str, Any]) -> Run:
    """A run whose `config.yaml` is as above but for some dotted keys; "gone" takes one away."""
    config = copy.deepcopy(CONFIG)
    for key, value in changes:
        *above, last = key.split(".")
        block = config
        for name in above:
            block = block[name]
        if value == "gone":
            del block[last]
        else:
            block[last] = value
    folder.mkdir()
    run = Run(folder)
    write_yaml(run.config_file, config)
    return run


def found(*runs: Run) -> dict[str, tuple[Any, ...]]:
    return {each.setting: each.values for each in differing_settings(runs)}


def test_runs_with_the_same_values_differ_in_nothing(tmp_path: Path) -> None:
    elsewhere = run_with(
        tmp_path / "b",
        ("run.command", "dl rerun a"),
        ("run.parent", "a"),
        ("run.folder", "/"),
        ("run.host", "two"),
    )
    assert found(run_with(tmp_path / "a"), elsewhere) == {}


def test_settings_hyperparameters_images_and_versions_are_told(tmp_path: Path) -> None:
    other = run_with(
        tmp_path / "b",
        ("run.versions.keras", "3.16.0"),
        ("run.dataset.images.train", 1600),
        ("run.dataset.fingerprints.train", "cc"),
        ("run.forward.weights_hash", "58"),
        ("augmentation.rotation", 8.0),
        ("seed", 1),
        ("train.finetune.dropout", 0.3),
    )
    assert list(found(run_with(tmp_path / "a"), other).items()) == [
        ("dropout", (0.5, 0.3)),
        ("seed", (0, 1)),
        ("augmentation.rotation", (15.0, 8.0)),
        ("dataset.fingerprints.train", ("aa", "cc")),
        ("dataset.images.train", (1500, 1600)),
        ("forward.weights_hash", ("57", "58")),
        ("versions.keras", ("3.15.1", "3.16.0")),
    ]


def test_recipes_are_held_against_each_other_by_their_hyperparameters_own_names(
    tmp_path: Path,
) -> None:
    cnn = {"cnn": {"schedule": "0.003x8", "dropout": 0.0, "variant": "vgg", "ema": None}}
    other = run_with(tmp_path / "b", ("train", cnn), ("run.recipe", "cnn"))
    assert list(found(run_with(tmp_path / "a"), other).items()) == [
        ("recipe", ("finetune", "cnn")),
        ("dropout", (0.5, 0.0)),
        ("unfreeze", (0, None)),
        ("variant", (None, "vgg")),
    ]


def test_a_setting_that_is_unset_and_one_that_did_not_exist_are_the_same(tmp_path: Path) -> None:
    older = run_with(tmp_path / "b", ("weights", "gone"), ("train.finetune.ema", "gone"))
    assert found(run_with(tmp_path / "a"), older) == {}
    assert found(older, run_with(tmp_path / "c", ("weights", "own.h5"))) == {
        "weights": (None, "own.h5")
    }


def test_of_three_runs_each_has_its_value(tmp_path: Path) -> None:
    runs = [run_with(tmp_path / f"{n}", ("seed", n), ("backbone", "vgg16")) for n in (1, 2, 2 + 1)]
    assert found(*runs) == {"seed": (1, 2, 3)}


def test_an_ensembles_members_are_told_by_name(tmp_path: Path) -> None:
    members = [{"name": "one", "path": "/a/one", "val_loss": 0.1}, {"name": "two"}]
    other = run_with(tmp_path / "b", ("run.members", members))
    assert found(run_with(tmp_path / "a"), other) == {"members": (None, ["one", "two"])}


def test_what_resuming_changed_is_told_in_words_whenever_it_was(tmp_path: Path) -> None:
    change = {"after": 12, "phase": 0, "phase_epochs": 12, "learning_rate": 1e-4, "batch_size": 32}
    more = {"after": 14, "phase": 0, "phase_epochs": 14, "epochs": 20}
    first, second = ({**change, "when": f"2026-11-2{day}T00:00:00Z"} for day in (3, 4))
    runs = [
        run_with(tmp_path / name, ("run.changes", changes))
        for name, changes in (("a", [first]), ("b", [second]), ("c", [first, more]), ("d", [{}]))
    ]
    assert found(*runs[:2]) == {}
    (difference,) = differing_settings([run_with(tmp_path / "plain"), *runs])
    words = "from epoch 13 on: a learning rate of 0.0001, batches of 32"
    more_words = f"{words}; from epoch 15 on: 20 epochs in all"
    assert difference.texts == ("", words, words, more_words, "{}")


def test_what_no_result_depends_on_is_left_out(tmp_path: Path) -> None:
    logged = run_with(tmp_path / "b", ("tensorboard", True), ("keep_checkpoint", True))
    assert found(run_with(tmp_path / "a"), logged) == {}


def test_a_record_in_another_shape_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    odd = run_with(
        tmp_path / "b",
        ("run.dataset", "pets"),
        ("run.versions", None),
        ("train", ["finetune"]),
        ("run.members", 3),
        ("run.classes", []),
    )
    assert found(run_with(tmp_path / "a"), odd)["versions.keras"] == ("3.15.1", None)


def test_classes_that_are_no_names_are_told_as_they_are() -> None:
    assert Difference(CLASSES, ([["cat"]], ["dog"])).brief[1] == "dog"


def test_a_run_without_its_settings_is_refused(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a")
    run.config_file.unlink()
    with pytest.raises(DlError, match=r"config\.yaml is missing"):
        differing_settings([run, run])
