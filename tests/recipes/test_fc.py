"""Fully connected layers on stored convolutions, with and without batch normalisation."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_run import SMALL, only_run

from dlcli.catalog import make_recipe

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]


@pytest.mark.parametrize("recipe", ["fc", "bn"])
def test_it_trains_on_the_stored_convolutions_of_any_backbone(
    dl: Dl, home: Path, tiny: Path, recipe: str
) -> None:
    options = ("--units", "16", "--hidden", "2", "--schedule", "1e-3x2")
    said = ok(dl("train", recipe, "-d", tiny, *options, *SMALL)).stderr
    assert "on the stored features" in said
    (store,) = (tiny / "features").iterdir()
    assert store.name.startswith("efficientnet-lite0-conv-")
    assert "-u16x2-d0" in only_run(home).name
    ok(dl("evaluate"))


@pytest.mark.parametrize(("pool", "numbers"), [("average", 5), ("max", 5), ("flatten", 3 * 3 * 5)])
def test_what_becomes_of_the_places_in_the_image(pool: str, numbers: int) -> None:
    from dlcli.backend import start_backend

    start_backend()
    head = make_recipe("fc", {"pool": pool, "units": 7}).head((3, 3, 5), 2)
    assert head.get_layer("fc1").kernel.shape == (numbers, 7)


def test_rescaling_what_is_not_carried_over_is_refused(dl: Dl, tiny: Path) -> None:
    result = dl("train", "fc", "-d", tiny, "--no-carry-over", "--rescale")
    assert result.exit_code == 2
    assert "`--rescale` has no effect" in result.stderr
