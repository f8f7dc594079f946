"""What `config.yaml` says of how a run was made: read as it is meant, or refused by its key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.command_result import Dl, refused
from support.pictures import make_dataset
from support.predicted_run import predicted_run

from dlcli.errors import DlError
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.images.pixels import PixelRule
from dlcli.runs.run import Run

# Runs of an earlier version, whole ones: what a later one adds to a record can't be missed there.
WRITTEN = Path(__file__).parents[1] / "data" / "0.1.0" / "home" / "runs" / "pets"
FINETUNE, ENSEMBLE = "202611290224-finetune-e4-lr0.001-t1", "202611290223-ensemble-m2"


def damaged(tmp_path: Path, name: str, key: str, value: Any = None) -> Run:
    """A run like another, but for one value of its record, which is gone where none is given."""
    config = read_yaml(WRITTEN / name / "config.yaml")
    *blocks, last = key.split(".")
    within: Any = config
    for block in blocks:
        within = within[int(block)] if block.isdigit() else within[block]
    if value is None:
        del within[last]
    else:
        within[last] = value
    write_yaml(tmp_path / "config.yaml", config)
    return Run(tmp_path)


def test_a_trained_run_is_read_in_the_types_of_its_values() -> None:
    record = Run(WRITTEN / FINETUNE).record
    assert record.dataset.path == Path("/home/reader/data/pets")
    assert record.dataset.images == {"train": 12, "valid": 8, "test": 6}
    assert record.forward is not None
    assert record.pixels == record.forward.pixels == PixelRule(64)
    assert (record.members, record.changes, record.recipe_digest) == ((), (), None)


def test_an_ensemble_is_read_with_its_members() -> None:
    record = Run(WRITTEN / ENSEMBLE).record
    assert [member.path.name for member in record.members] == [
        "202611290221-linear-e4-lr0.001",
        "202611290222-dense-e4-lr0.01-u4",
    ]
    assert record.forward is record.pixels is None


def of_ratings(tmp_path: Path, **record: Any) -> Run:
    """A run on ratings: of what photos alone have, its record has nothing."""
    config = read_yaml(WRITTEN / FINETUNE / "config.yaml")
    for name in ("classes", "forward", "pixels", "pixel_rule", "pseudo_labels"):
        config["run"].pop(name, None)
    config["run"]["dataset"]["ratings"] = config["run"]["dataset"].pop("images")
    config["run"] |= {"kind": "ratings"} | record
    write_yaml(tmp_path / "config.yaml", config)
    return Run(tmp_path)


def test_a_record_is_of_photos_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert Run(WRITTEN / FINETUNE).record.kind == "photos"
    record = of_ratings(tmp_path).record
    assert record.kind == "ratings"
    assert record.dataset.sizes == {"train": 12, "valid": 8, "test": 6}


def test_a_record_of_an_unknown_kind_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DlError) as refusal:
        _ = of_ratings(tmp_path, kind="songs").record
    assert "`run.kind` is 'songs'" in refusal.value.why


def test_a_record_of_ratings_says_how_many_there_were(tmp_path: Path) -> None:
    dataset = {"path": "/a", "fingerprints": {"train": "", "valid": "", "test": ""}}
    with pytest.raises(DlError) as refusal:
        _ = of_ratings(tmp_path, dataset=dataset).record
    assert "`run.dataset.ratings` is missing" in refusal.value.why


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *((FINETUNE, f"run.{key}") for key in ("recipe", "command", "host", "versions")),
        *((FINETUNE, f"run.dataset.{key}") for key in ("path", "images", "fingerprints")),
        *((FINETUNE, key) for key in ("run.dataset", "run.dataset.fingerprints.test")),
        *((FINETUNE, key) for key in ("run.pixels", "run.pixels.size")),
        *((FINETUNE, f"run.forward.{key}") for key in ("layer", "weights_hash", "pixels.size")),
        *((ENSEMBLE, f"run.members.1.{key}") for key in ("name", "path", "val_loss")),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, key: str) -> None:
    with pytest.raises(DlError) as refusal:
        _ = damaged(tmp_path, name, key).record
    assert "config.yaml is damaged" in refusal.value.what
    assert f"`{key}` is missing" in refusal.value.why
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        (FINETUNE, "run.recipe", ["finetune"], "text"),
        (FINETUNE, "run.dataset", "pets", "a block of `key: value`"),
        (FINETUNE, "run.dataset.path", 3, "text"),
        (FINETUNE, "run.dataset.images", [12, 8], "a block of `key: value`"),
        (FINETUNE, "run.dataset.images.valid", "eight", "a whole number"),
        (FINETUNE, "run.dataset.images.valid", True, "a whole number"),
        (FINETUNE, "run.pixels.decode", "roughly", "exact or scaled"),
        (FINETUNE, "run.forward", "efficientnet-lite0", "a block of `key: value`"),
        (FINETUNE, "run.changes", {"after": 3}, "a list"),
        (ENSEMBLE, "run.members", "two", "a list"),
        (ENSEMBLE, "run.members.0", "linear", "a block of `key: value`"),
        (ENSEMBLE, "run.members.0.val_loss", "low", "a number"),
    ],
)
def test_what_is_of_another_kind_is_named_with_what_was_expected(
    tmp_path: Path, name: str, key: str, value: Any, expected: str
) -> None:
    if key.endswith(".0"):
        value = [value]
        key = key.removesuffix(".0")
        named = f"{key}.0"
    else:
        named = key
    why = rf"`{re.escape(named)}` should be {re.escape(expected)}, not "
    with pytest.raises(DlError) as refusal:
        _ = damaged(tmp_path, name, key, value).record
    assert re.match(why, refusal.value.why)


def test_what_a_later_version_added_to_a_part_is_not_guessed_at(tmp_path: Path) -> None:
    run = damaged(tmp_path, FINETUNE, "run.forward.crop", 0.9)
    with pytest.raises(DlError) as refusal:
        _ = run.record
    assert "does not know `run.forward.crop`" in refusal.value.why


def test_a_command_says_what_is_wrong_with_a_record(dl: Dl, home: Path) -> None:
    root = make_dataset(home / "data" / "pets", train=2, valid=1, test=0)
    path = "valid/cat/cat.1000.png"
    run = predicted_run(root, "202611231409-one", {path: (0.9, 0.1)})
    config = run.config
    del config["run"]["dataset"]["fingerprints"]
    write_yaml(run.config_file, config)
    run.update_status(predicted={})
    said = ("config.yaml is damaged", "`run.dataset.fingerprints` is missing", "Restore")
    refused(dl("evaluate", run.name), *said)
    refused(dl("resume", run.name, "--epochs", "9"), *said)
    refused(dl("rerun", run.name), *said)
