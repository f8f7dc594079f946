"""A setting kept in a file: read back as it was meant, the rest of the file as it was."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from support.children import fork, wait

from dlcli.config import read_config_file
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import read_yaml
from dlcli.settings_file import remove_setting, save_setting


def test_a_saved_setting_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.yaml"
    assert save_setting(file, "seed", "3") == 3
    assert save_setting(file, "kaggle.positive", "dog") == "dog"
    assert save_setting(file, "train.finetune.schedule", "1e-3x2") == "0.001x2"
    assert save_setting(file, "kaggle.positive", "cat") == "cat"
    assert save_setting(file, "workers", "auto") is None
    assert read_yaml(file) == {
        "seed": 3,
        "kaggle": {"positive": "cat"},
        "train": {"finetune": {"schedule": "0.001x2"}},
        "workers": None,
    }


def test_a_saved_path_is_the_one_that_was_meant_when_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_setting(tmp_path / "config" / "config.yaml", "data_dir", "pictures")
    assert read_yaml(tmp_path / "config" / "config.yaml") == {
        "data_dir": str(tmp_path / "pictures")
    }


def test_saving_keeps_the_rest_of_the_file_comments_too(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("# mine\nseed: 1  # for now\n\nkaggle:  # dogs\n  positive: dog\n")
    save_setting(file, "seed", "2")
    save_setting(file, "kaggle.competition", "dogs-vs-cats")
    assert file.read_text() == (
        "# mine\nseed: 2  # for now\n\n"
        "kaggle:  # dogs\n  positive: dog\n  competition: dogs-vs-cats\n"
    )


def test_a_file_in_utf_16_is_changed_too(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("seed: 1  # for now\nworkers: 2\n", encoding="utf-16")
    save_setting(file, "seed", "2")
    assert file.read_text() == "seed: 2  # for now\nworkers: 2\n"
    file.write_text("seed: 1\nworkers: 2\n", encoding="utf-16")
    assert remove_setting(file, "seed")
    assert file.read_text() == "workers: 2\n"


def test_saving_goes_through_a_link_to_the_file_that_it_means(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.yaml").write_text("seed: 1\n")
    (tmp_path / "config.yaml").symlink_to("dotfiles.yaml")
    save_setting(tmp_path / "config.yaml", "seed", "2")
    assert (tmp_path / "config.yaml").is_symlink()
    assert (tmp_path / "dotfiles.yaml").read_text() == "seed: 2\n"


@pytest.mark.parametrize("text", ["seed: [1", "- a list", "kaggle: dogs", "just words"])
def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(DlError):
        save_setting(file, "kaggle.positive", "dog")
    assert file.read_text() == text


@pytest.mark.parametrize(("key", "value"), [("sed", "1"), ("seed", "abc"), ("kaggle", "x")])
def test_a_wrong_key_or_value_is_a_usage_error_and_is_not_saved(
    tmp_path: Path, key: str, value: str
) -> None:
    with pytest.raises(DlError) as caught:
        save_setting(tmp_path / "config.yaml", key, value)
    assert caught.value.exit_code == ExitCode.USAGE
    assert not (tmp_path / "config.yaml").exists()


@pytest.mark.forks
def test_settings_that_are_saved_at_once_are_all_saved(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    keys = ("seed", "workers", "image_size", "aws.disk", "aws.max_hours")
    pids = [fork(partial(save_setting, file, key, "96")) for key in keys]
    assert [wait(pid) for pid in pids] == [0] * len(keys)
    assert set(read_config_file(file)) == set(keys)
