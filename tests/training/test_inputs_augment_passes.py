"""Augmented passes: changed copies of the features, stored once, that the epochs take in turn."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset
from support.project import make_project
from support.small_run import SMALL, only_run
from support.stopped_training import stop_after_epoch

from dlcli.data.photos.photos import open_photos
from dlcli.features import compute as compute_module
from dlcli.features.compute import Features, open_features
from dlcli.features.store import function_of
from dlcli.runs.run import Run
from dlcli.training.photos.inputs import FeatureInputs

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

PASSES = ("--augment", "--augment-passes", "2")
TRAIN = ("train", "finetune", *PASSES, "--schedule", "1e-2x4", *SMALL)


def stores(root: Path) -> list[Path]:
    return sorted((root / "features").iterdir())


def splits_of(store: Path) -> set[str]:
    return {path.stem for path in store.glob("*.done")}


def rows_of_train(root: Path, store: Path) -> np.ndarray:
    rows: np.ndarray = open_features(store, open_photos(root), "train").rows[:]
    return rows


def test_passes_are_stored_beside_the_plain_features_once_and_trained_on(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    first = ok(dl_once(*TRAIN, "-d", tiny))
    assert (
        "Training head on the stored features and 2 augmented passes: 16 images, 4 epochs."
        in first.stderr
    )
    plain, *views = stores(tiny)
    assert [store.name.rpartition("-")[0] for store in (plain, *views)] == [
        "efficientnet-lite0-pooled",
        "efficientnet-lite0-pooled-view1",
        "efficientnet-lite0-pooled-view2",
    ]
    assert {"train", "valid"} <= splits_of(plain)
    assert [splits_of(view) for view in views] == [{"train"}, {"train"}]
    rows = [rows_of_train(tiny, store) for store in (plain, *views)]
    assert {each.shape for each in rows} == {(16, 1280)}
    assert all((a != b).any(axis=1).all() for a, b in [rows[:2], rows[1:], (rows[0], rows[2])])
    run = only_run(home)
    before = {path: path.stat().st_mtime_ns for path in (tiny / "features").rglob("*.b*")}
    ok(dl(*TRAIN, "-d", tiny))
    (again,) = set(run.path.parent.iterdir()) - {run.path}
    assert Run(again).history == run.history
    assert {path: path.stat().st_mtime_ns for path in (tiny / "features").rglob("*.b*")} == before


def test_other_amounts_are_other_passes_and_another_seed_is_not(dl: Dl, tiny: Path) -> None:
    for words in ((), ("--seed", "1")):
        ok(dl(*TRAIN, "-d", tiny, *words))
    (tiny.parent.parent / "dl.yaml").write_text("augmentation: {rotation: 0}\n")
    ok(dl(*TRAIN, "-d", tiny))
    assert len(stores(tiny)) == 1 + 2 * 2
    listed = ok(dl("features", "ls")).stdout
    assert listed.count("-pooled-view1-") == listed.count("-pooled-view2-") == 2


def test_passes_that_no_epoch_would_see_are_not_made(dl: Dl, tiny: Path) -> None:
    short = ("train", "finetune", "--augment", "--augment-passes", "5", "--schedule", "1e-2x2")
    said = ok(dl(*short, *SMALL, "-d", tiny)).stderr
    assert "Augmented pass 1 of 2 (as many as there are epochs)\n" in said
    assert "Augmented pass 2 of 2 (as many as there are epochs)\n" in said
    assert "Augmented pass" not in ok(dl(*short, *SMALL, "-d", tiny)).stderr
    assert "the stored features and 2 augmented passes: 16 images, 2 epochs" in said
    assert len(stores(tiny)) == 1 + 2


def test_the_network_is_not_run_for_passes_that_are_there(
    dl: Dl, dl_once: Dl, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))

    def refuse(*_: object) -> None:
        raise AssertionError("the network was started")

    monkeypatch.setattr(compute_module, "start_engine", refuse)
    ok(dl(*TRAIN, "-d", tiny))


def test_the_epochs_take_the_passes_in_turn() -> None:
    passes = [Features(np.full((3, 2), number, np.float32), ("a", "b", "c")) for number in range(3)]
    for memory_bytes in (2**20, 24):  # all of them in memory, or one at a time
        inputs = FeatureInputs(passes, memory_bytes)
        seen = []
        for epoch in (0, 1, 2, 3, 4, 7):
            inputs.start_epoch(epoch)
            ((x, _),) = inputs.batches(np.arange(3), 4)
            seen.append(set(x.ravel()))
        assert seen == [{0}, {1}, {2}, {0}, {1}, {1}]


def test_a_run_stopped_after_any_epoch_goes_on_with_the_pass_whose_turn_it_is(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    whole = only_run(home)
    stop_after_epoch(monkeypatch)
    assert dl(*TRAIN, "-d", tiny).exit_code == 130
    (path,) = set(whole.path.parent.iterdir()) - {whole.path}
    for _ in range(3):
        assert dl("resume", path.name).exit_code == 130
    ok(dl("resume", path.name))
    assert Run(path).history_file.read_text() == whole.history_file.read_text()


TWICE = '''"""Two stretches on the same features, the first a short one."""

from dataclasses import dataclass

from dlcli.recipe import Phase, Recipe, Schedule


@dataclass(frozen=True)
class Twice(Recipe):
    def phases(self):
        return tuple(Phase(f"p{n}", Schedule(((1e-2, n),)), self.augment) for n in (1, 2))

    def head(self, input_shape, n_classes):
        from keras import Input, Sequential, layers

        return Sequential([Input(input_shape), layers.Dense(n_classes, activation="softmax")])
'''


def test_a_later_phase_goes_on_with_the_passes_of_the_first(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(home / "project", twice=TWICE))
    train = ("train", "twice", *PASSES, "-d", tiny, *SMALL)
    said = ok(dl(*train)).stderr
    assert "Training p1 on the stored features and 2 augmented passes" in said
    assert "Training p2 on the stored features and 2 augmented passes" in said
    whole = only_run(home)
    stop_after_epoch(monkeypatch)
    assert dl(*train).exit_code == 130
    (path,) = set(whole.path.parent.iterdir()) - {whole.path}
    for _ in range(2):
        assert dl("resume", path.name).exit_code == 130
    ok(dl("resume", path.name))
    assert Run(path).history_file.read_text() == whole.history_file.read_text()


def test_a_pass_that_was_stopped_goes_on_to_the_same_rows(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 66 of 80 images: the first 64 are on disk."""
    root = make_dataset(home / "data" / "tiny", train=40, valid=4)
    train = ("train", "finetune", "--augment", "--augment-passes", "1", "--schedule", "1e-2")
    ok(dl(*train, "-d", root, *SMALL))
    _, view = stores(root)
    whole = rows_of_train(root, view)
    function = function_of(view)
    shutil.rmtree(view)
    compute = compute_module.rows_of

    def stopping(*arguments: Any) -> Iterator[Any]:
        for number, row in enumerate(compute(*arguments)):
            if number == 66:
                raise KeyboardInterrupt
            yield row

    with monkeypatch.context() as patched:
        patched.setattr(compute_module, "rows_of", stopping)
        assert dl(*train, "-d", root, *SMALL).exit_code == 130
    said = ok(dl(*train, "-d", root, *SMALL)).stderr
    assert "Features of train: resuming after 64 of 80 images." in said
    assert function_of(view) == function
    assert (rows_of_train(root, view) == whole).all()


def test_passes_that_the_disk_can_not_hold_are_refused_before_anything_is_made(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 1000, 1000))
    result = dl(*TRAIN, "-d", tiny)
    assert result.exit_code == 1
    plain = f"~/data/tiny/features/{stores(tiny)[0].name}"
    assert f"Error: No room for 2 augmented passes beside {plain}: it needs " in result.stderr
    assert result.stderr.endswith(
        " has 1.0 kB left\n"
        "Use fewer `--augment-passes`, or free some space: `dl features ls` and `dl features rm` "
        "list and remove features.\n"
    )
    assert len(stores(tiny)) == 1
    assert not (home / "runs").exists()


def test_passes_that_are_stored_already_need_no_room(
    dl: Dl, dl_once: Dl, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 0))
    ok(dl(*TRAIN, "-d", tiny))


def test_passes_without_augmentation_are_refused(dl: Dl, tiny: Path) -> None:
    result = dl("train", "finetune", "--augment-passes", "2", "-d", tiny)
    assert result.exit_code == 2
    assert "`--augment-passes` has no effect without `--augment`" in result.stderr


@pytest.mark.parametrize("count", ["-1", "1000", "few"])
def test_a_number_of_passes_that_can_not_be_is_refused(dl: Dl, tiny: Path, count: str) -> None:
    result = dl("train", "finetune", "--augment", "--augment-passes", count, "-d", tiny)
    assert result.exit_code == 2
    assert "--augment-passes" in result.stderr
