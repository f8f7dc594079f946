"""A recipe trains on datasets of its own kind alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_folders import make

from dlcli.config import load_config
from dlcli.errors import DlError
from dlcli.training.kinds import make_job


def test_a_recipe_for_photos_is_refused_on_ratings(tmp_path: Path) -> None:
    root = make(tmp_path / "films", "ratings.yaml")
    with pytest.raises(DlError, match="The recipe `linear` can't train on") as error:
        make_job(load_config(), "linear", root)
    assert error.value.why == "the recipe is for photos, and this is a dataset of ratings"
