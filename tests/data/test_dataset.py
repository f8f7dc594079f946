"""What datasets of every kind have: their settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcli.data.dataset import dataset_settings
from dlcli.errors import DlError


def test_settings_are_those_of_dataset_yaml(tmp_path: Path) -> None:
    assert dataset_settings(tmp_path) == {}
    (tmp_path / "dataset.yaml").write_text("")
    assert dataset_settings(tmp_path) == {}
    (tmp_path / "dataset.yaml").write_text("kaggle: {positive: dog}\n")
    assert dataset_settings(tmp_path) == {"kaggle": {"positive": "dog"}}
    (tmp_path / "dataset.yaml").write_text("- dog\n")
    with pytest.raises(DlError, match=r"expected lines of `key: value`, found a list"):
        dataset_settings(tmp_path)
