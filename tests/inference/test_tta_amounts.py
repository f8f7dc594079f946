"""By how much the views of test-time augmentation differ, and which amounts are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, Result, ok
from support.predicted_run import predicted_run
from support.small_run import only_run

from dlcli.config import Config, load_config
from dlcli.errors import DlError
from dlcli.files.formats import write_yaml
from dlcli.images.augmentation import View
from dlcli.inference.tta import made_by, tta_of
from dlcli.runs.run import Run
from dlcli.settings.augmentation import Augmentation


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2
    for each in words:
        assert each in result.stderr


@pytest.mark.parametrize("command", ["evaluate", "submit"])
def test_what_has_no_effect_is_a_usage_error(dl: Dl, command: str) -> None:
    for count in ("0", "-1", "1000"):
        said = dl(command, "--tta", count)
        refused(said, f"`--tta` can't be {count}", "at least 1", "Leave `--tta` out")
    refused(dl(command, "--tta", "x"), "`--tta` can't be 'x'", "the augmented copies of each image")
    for flag in (("--preset", "mnist"), ("--rotation", "3"), ("--no-horizontal-flip",)):
        refused(dl(command, *flag), f"`{' '.join(flag)}` has no effect without `--tta N`")


def test_views_that_change_nothing_are_refused(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "linear", "-d", tiny, "--image-size", "16", "--schedule", "1e-3x2"))
    nothing = "`--tta 2` would change nothing"
    refused(
        dl("evaluate", "--tta", "2", "--preset", "none"),
        nothing,
        "all amounts of the preset 'none' are 0",
    )
    zeros = ("--rotation", "0", "--width-shift", "0", "--height-shift", "0", "--zoom", "0")
    refused(dl("submit", "--tta", "2", *zeros, "--no-horizontal-flip"), nothing, "is 0")
    assert not only_run(home).predictions_file("valid", 2).exists()
    ok(dl("evaluate", "--tta", "2", "--preset", "none", "--horizontal-flip"))


@pytest.fixture
def augmented(tiny: Path) -> Run:
    """A run that was trained with augmentation of its own."""
    run = predicted_run(tiny, "augmented", {})
    own = Augmentation("mnist", rotation=20).describe()
    write_yaml(run.config_file, run.config | {"augmentation": own})
    return Run(run.path)


def amounts(run: Run, config: Config) -> tuple[float | None, float | None, bool | None]:
    found = tta_of(run, config, 2).augmentation
    return found.rotation, found.shear, found.horizontal_flip


def test_amounts_are_as_typed_else_the_runs_own_else_set_elsewhere(
    home: Path, tiny: Path, augmented: Run
) -> None:
    plain = predicted_run(tiny, "plain", {})
    config = load_config(environ={})
    assert amounts(augmented, config) == (20, 0.3, False)
    assert amounts(plain, config) == (0, 0, True)
    assert tta_of(plain, config, 2).mirrors_unasked
    assert not tta_of(augmented, config, 2).mirrors_unasked
    elsewhere = load_config(environ={"DL_AUGMENTATION__ROTATION": "7"})
    assert amounts(augmented, elsewhere) == (20, 0.3, False)
    assert amounts(plain, elsewhere) == (7, 0, True)
    typed = elsewhere.with_flags({"augmentation.rotation": "9"})
    assert amounts(augmented, typed) == (9, 0.3, False)
    assert amounts(plain, typed) == (9, 0, True)
    preset = config.with_flags({"augmentation.preset": "light"})
    assert amounts(augmented, preset) == (15, 0, True)
    assert not tta_of(augmented, preset, 2).mirrors_unasked


def test_views_differ_by_their_number_and_come_back_from_what_is_recorded(augmented: Run) -> None:
    tta = tta_of(augmented, load_config(environ={}), 3)
    assert [view.number for view in tta.views] == [1, 2, 3]
    assert [View.from_description(view.describe()) for view in tta.views] == tta.views
    described = made_by(augmented, load_config(environ={}), 3)
    assert described["rotation"] == 20


def test_a_run_whose_record_is_gone_says_so(augmented: Run) -> None:
    augmented.config_file.unlink()
    with pytest.raises(DlError, match=r"config\.yaml is missing"):
        made_by(augmented, load_config(environ={}), 2)
