"""VGG16, as in the course: with weights from a file, and without any."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset

from dlcli.files.formats import read_csv, read_yaml

pytestmark = [pytest.mark.usefixtures("quick_to_build"), pytest.mark.slow]


def test_vgg_finetune_runs_the_whole_path_with_weights_from_a_file(
    dl: Dl, home: Path, vgg16_weights: Path
) -> None:
    make_dataset(home / "data" / "dogscats", train=4, valid=2, test=3)
    trained = ok(dl("train", "vgg-finetune", "-d", "dogscats", "--weights", vgg16_weights))
    assert "on the stored features" in trained.stderr
    ok(dl("evaluate"))
    ok(dl("submit"))
    (run,) = (home / "runs" / "dogscats").iterdir()
    assert len(read_csv(run / "submission.csv")) == 4
    config = read_yaml(run / "config.yaml")
    assert config["backbone"] == "vgg16"
    assert config["weights"] == str(vgg16_weights)
    (store,) = (home / "data" / "dogscats" / "features").iterdir()
    assert store.name.startswith("vgg16-pooled-")


def test_weights_without_the_top_are_refused_where_the_top_is_needed(
    dl: Dl, home: Path, tmp_path: Path
) -> None:
    import keras

    make_dataset(home / "data" / "dogscats", train=4, valid=2, test=0)
    weights = tmp_path / "no-top.weights.h5"
    keras.applications.VGG16(weights=None, include_top=False).save_weights(weights)
    result = dl("train", "vgg-finetune", "-d", "dogscats", "--weights", weights)
    assert result.exit_code == 1
    assert "without the network's top" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_weights_and_offline_it_says_what_to_do(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(home / "data" / "dogscats", train=4, valid=2, test=0)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nothing answers
    result = dl("train", "vgg-finetune", "-d", "dogscats")
    assert result.exit_code == 1
    for word in ("--weights FILE", "dl train finetune", "~/.keras/models/vgg16_weights_tf"):
        assert word in result.stderr
    assert not (home / "runs").exists()
