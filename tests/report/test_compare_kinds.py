"""Runs on datasets of several kinds are not compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.judged_run import judged_run
from support.predicted_run import two_runs_of_pets

from dlcli.errors import DlError
from dlcli.report.compare import compare


def test_a_run_on_photos_and_one_on_ratings_are_refused(home: Path) -> None:
    photos, _ = two_runs_of_pets(home, "one", "two")
    with pytest.raises(DlError) as caught:
        compare([photos, judged_run("three")])
    assert caught.value.what == "one and three are runs on different kinds of datasets"
    assert caught.value.why == "the first is on photos, the other on ratings"
    assert caught.value.hint.startswith("Compare runs of one dataset.")
