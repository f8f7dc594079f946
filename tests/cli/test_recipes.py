"""`dl recipes`, and the options that `dl train` makes of a recipe's fields."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.project import BROKEN, WIDE, make_project
from support.small_run import SMALL, only_run

from dlcli.catalog import built_in_names, kind_named, recipe_class, recipe_text
from dlcli.settings.fields import settings_of
from dlcli.training import fit
from dlcli.training.photos.job import PhotosJob


def by_kind(names: Iterable[str]) -> list[str]:
    """Names of recipes as they are listed: those for photos, then those for ratings."""
    return sorted(names, key=lambda name: (kind_named(name) or "photos", name))


def test_the_recipes_are_listed_with_their_kinds_and_what_they_do(dl: Dl) -> None:
    header, *rows = ok(dl("recipes")).stdout.splitlines()
    assert header.split(maxsplit=2) == ["recipe", "for", "what it does"]
    assert [row.split()[0] for row in rows] == by_kind(built_in_names())
    for row in rows:
        name, kind, text = row.split(maxsplit=2)
        assert (kind, text) == (kind_named(name), recipe_text(name).splitlines()[0])
    listed = json.loads(ok(dl("recipes", "--json")).stdout)
    assert [each["kind"] for each in listed] == [row.split()[1] for row in rows]


def test_train_lists_the_recipes_for_each_kind(dl: Dl) -> None:
    page = ok(dl("train", "--help")).stdout
    for name in built_in_names():
        _, _, after = page.partition(f"\nRecipes for {kind_named(name)}:\n")
        section, _, _ = after.partition("\n\n")
        assert re.search(rf"^  {name} ", section, re.MULTILINE)


def test_one_recipe_is_shown_with_its_text_and_defaults(dl: Dl) -> None:
    page = ok(dl("recipes", "finetune")).stdout
    assert " ".join(page.split()).startswith(" ".join(recipe_text("finetune").split()))
    text, _, _ = page.partition("\nhyperparameter")
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [line for line in page.splitlines() if line.startswith("batch_size ")]
    assert row.split(maxsplit=2) == ["batch_size", "64", "images per step"]
    (row,) = [line for line in page.splitlines() if line.startswith("early_stopping ")]
    assert row.split()[1] == "none"
    (row,) = [line for line in page.splitlines() if line.startswith("augment ")]
    assert row.split()[1] == "false"


def test_recipes_as_json(dl: Dl) -> None:
    listed = json.loads(ok(dl("recipes", "--json")).stdout)
    assert [recipe["name"] for recipe in listed] == by_kind(built_in_names())
    one = json.loads(ok(dl("recipes", "linear", "--json")).stdout)
    assert one["name"] == "linear"
    assert one["hyperparameters"]["batch_size"] == 64


@pytest.mark.parametrize("name", built_in_names())
def test_every_hyperparameter_is_an_option_with_its_help(dl: Dl, name: str) -> None:
    page = " ".join(ok(dl("train", name, "--help")).stdout.split())
    for setting in settings_of(recipe_class(name)).values():
        assert f"--{setting.name.replace('_', '-')}" in page
        assert setting.help in page


def test_a_setting_that_a_recipe_fixes_is_no_option_of_it(dl: Dl) -> None:
    assert "--backbone" in ok(dl("train", "finetune", "--help")).stdout
    assert "--backbone" not in ok(dl("train", "vgg-finetune", "--help")).stdout


def test_a_projects_own_recipe_is_listed_shown_and_has_options(dl: Dl, home: Path) -> None:
    make_project(home, wide_head=WIDE)
    said = ok(dl("recipes"))
    assert re.search(
        r"^wide-head +photos +One layer, then a wider one\.$", said.stdout, re.MULTILINE
    )
    assert said.stderr == ""
    page = ok(dl("recipes", "wide-head")).stdout
    assert "It serves the tests.\n\nFile: ~/recipes/wide_head.py\n" in page
    one = json.loads(ok(dl("recipes", "wide-head", "--json")).stdout)
    assert one["file"] == str(home / "recipes" / "wide_head.py")
    page = ok(dl("train", "--help")).stdout
    assert re.search(r"^  wide-head +One layer, then a wider one\.$", page, re.MULTILINE)
    assert "--units N" in ok(dl("train", "wide-head", "--help")).stdout


def test_broken_ones_are_named_after_the_others_with_line_error_and_remedy(
    dl: Dl, home: Path
) -> None:
    make_project(home, wide=WIDE, broken=BROKEN, linear=WIDE)
    said = ok(dl("recipes"))
    names = [row.split()[0] for row in said.stdout.splitlines()[1:]]
    assert names == by_kind([*built_in_names(), "wide"])
    assert said.stderr == (
        "Warning: The recipe ~/recipes/broken.py can't be loaded: line 3: ModuleNotFoundError: "
        "No module named 'nobody_has_this'\n"
        "Mend it, or move it out of `recipes/`; `dl recipes broken --debug` shows the traceback.\n"
        "Warning: The recipe ~/recipes/linear.py is not used: "
        "a built-in recipe has the name linear\n"
        "Rename the file.\n"
    )
    assert len(json.loads(ok(dl("recipes", "--json")).stdout)) == len(names)


@pytest.mark.parametrize(
    "words",
    [["train", "broken"], ["train", "broken", "-d", "x", "--units", "3"], ["recipes", "broken"]],
)
def test_a_broken_one_says_why_and_debug_shows_the_traceback(
    dl: Dl, home: Path, words: list[str]
) -> None:
    make_project(home, "train: {broken: {units: 3}}", broken=BROKEN)
    said = dl(*words)
    assert said.exit_code == 1
    assert said.stderr.startswith("Error: The recipe ~/recipes/broken.py can't be loaded: line 3:")
    assert "Traceback" not in said.stderr
    said = dl(*words, "--debug")
    assert said.exit_code == 1
    assert "    import nobody_has_this\nModuleNotFoundError" in said.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--help"],
        ["train", "finetune", "--help"],
        ["config", "show"],
        ["config", "get", "seed"],
        ["recipes", "finetune"],
        ["data", "ls"],
    ],
    ids=" ".join,
)
def test_a_broken_one_is_nobody_elses_matter(dl: Dl, home: Path, words: list[str]) -> None:
    make_project(home, "train: {broken: {units: 3}}", broken=BROKEN, worse="def (:")
    (home / "data" / "cats" / "train").mkdir(parents=True)
    assert "nobody_has_this" not in str(ok(dl(*words)))


def test_the_list_of_recipes_says_which_file_is_not_python(dl: Dl, home: Path) -> None:
    make_project(home, broken=BROKEN, worse="def (:")
    page = ok(dl("train", "--help")).stdout
    assert re.search(r"^  broken +It asks for what nobody has\.$", page, re.MULTILINE)
    assert re.search(r"^  worse +can't be loaded; `dl recipes` says why$", page, re.MULTILINE)
    assert "can't be loaded: line 1: SyntaxError" in ok(dl("train", "worse", "--help")).stdout


def test_who_trains_a_built_in_recipe_is_told_of_a_file_of_its_name(dl: Dl, home: Path) -> None:
    make_project(home, linear=WIDE)
    said = ok(dl("train", "linear", "--help")).stderr
    assert said.startswith("Warning: The recipe ~/recipes/linear.py is not used")
    assert ok(dl("train", "finetune", "--help")).stderr == ""


def test_a_setting_of_an_own_recipe_is_kept_in_the_project_alone(dl: Dl, home: Path) -> None:
    make_project(home, wide=WIDE)
    said = dl("config", "set", "train.wide.units", "8")
    assert said.exit_code == 1
    assert "`--project`" in said.stderr
    ok(dl("config", "set", "--project", "train.wide.units", "8"))
    assert ok(dl("config", "get", "train.wide.units")).stdout == "8\n"
    assert not (home / ".config").exists()


def test_an_own_recipe_trains_and_its_run_is_judged_without_it(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(home / "project", wide=WIDE)
    monkeypatch.chdir(project)
    ok(dl("train", "wide", "-d", "tiny", "--units", "3", *SMALL))
    run = only_run(home)
    assert run.record.recipe == "wide"
    config = ("--config", run.config_file)
    assert ok(dl("config", "get", "train.wide.units", *config)).stdout == "3\n"
    monkeypatch.chdir(home)
    ok(dl("evaluate"))
    said = dl("train", "wide", *config)
    assert said.exit_code == 2
    said = dl("config", "get", "seed", *config)
    assert said.exit_code == 1
    assert "there is no project here (no dl.yaml)" in said.stderr


@pytest.mark.parametrize(
    ("from_", "to", "why"),
    [
        ("self.units)", "self.unitz)", "'Wide' object has no attribute 'unitz'"),
        ("Dense(n_classes", "Dense(n_classes + 1", "expected an output of shape (None, 2)"),
    ],
)
def test_a_head_that_fails_is_told_in_words_before_there_is_a_run(
    dl: Dl, home: Path, tiny: Path, from_: str, to: str, why: str
) -> None:
    make_project(home, wide=WIDE.replace(from_, to))
    said = dl("train", "wide", "-d", "tiny", *SMALL)
    assert said.exit_code == 1
    assert why in said.stderr
    assert "Traceback" not in said.stderr
    assert not (home / "runs").exists()


def test_ctrl_c_before_training_says_that_there_is_nothing_to_resume(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PhotosJob, "first_samples", stop)
    said = dl("train", "linear", "-d", "tiny")
    assert said.exit_code == 130
    assert "Interrupted before training began\nThere is nothing to resume: type the " in said.stderr
    assert not (home / "runs").exists()


def test_a_run_is_not_gone_on_with_where_its_recipe_has_changed(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(home, wide=WIDE)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fit, "keep_outcome", stop)
        assert dl("train", "wide", "-d", "tiny", *SMALL).exit_code == 130
    run = only_run(home)
    make_project(home, wide=WIDE.replace("setting(4", "setting(5"))
    # its code runs once in a process
    resume = [sys.executable, "-m", "dlcli", "resume", run.name]
    refused = subprocess.run(resume, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "its recipe has changed: ~/recipes/wide.py" in refused.stderr
    make_project(home, wide=WIDE)
    ok(dl("resume", run.name))


@pytest.mark.slow
@pytest.mark.usefixtures("small_backbone")
def test_epochs_and_a_highest_rate_are_recorded_as_the_schedule_alone(
    dl: Dl, home: Path, tiny: Path
) -> None:
    (home / "dl.yaml").write_text("train: {finetune: {schedule: '1e-2x3,1e-3x1'}}")
    ok(dl("train", "finetune", "-d", tiny, *SMALL, "--epochs", "2", "--lr", "2e-3"))
    run = only_run(home)
    recorded = run.config["train"]["finetune"]
    assert recorded["schedule"] == "0.002x1,0.0002x1"
    assert not recorded.keys() & {"epochs", "lr"}
    assert [row["learning_rate"] for row in run.history] == [2e-3, 2e-4]


def test_a_second_phase_follows_the_epochs_and_the_rate(dl: Dl) -> None:
    from dlcli.config import load_config

    config = load_config(environ={}).with_flags({"train.finetune.unfreeze": "2"})
    head, unfreeze = config.with_schedule("finetune", 3, 1e-2).recipe("finetune").phases()
    assert str(head.schedule) == "0.01x2,0.001x1"
    assert str(unfreeze.schedule) == "0.001x2,0.0001x1"


def test_a_project_recipes_own_lr_is_its_own(dl: Dl, home: Path, tiny: Path) -> None:
    own = '    lr: float = setting(0.5, "a rate of its own")\n    units:'
    make_project(home, wide=WIDE.replace("    units:", own))
    page = ok(dl("train", "wide", "--help")).stdout
    assert page.count("  --lr X ") == 1
    assert "a rate of its own" in page
    ok(dl("train", "wide", "-d", tiny, "--schedule", "1e-3x2", "--lr", "0.25", *SMALL))
    recorded = only_run(home).config["train"]["wide"]
    assert (recorded["lr"], recorded["schedule"]) == (0.25, "0.001x2")


MOST_USED = [
    "--epochs",
    "--lr",
    "--batch-size",
    "--dropout",
    "--unfreeze",
    "--augment",
    "--backbone",
    "--seed",
    "-d, --dataset",
]


@pytest.mark.parametrize("name", built_in_names())
def test_what_people_type_first_fills_the_first_24_lines_of_a_recipes_help(
    dl: Dl, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = ok(dl("train", name, "--help")).stdout
    top, _, rest = page.partition("\n\nHyperparameters:\n")
    assert len(top.splitlines()) <= 24
    usage, sentence, options = top.split("\n\n")
    assert usage == f"Usage: dl train {name} [OPTIONS] [DATASET]"
    assert " ".join(sentence.split()) == recipe_text(name).split("\n\n")[0].replace("\n", " ")
    assert options.count("\n  -") == options.count("[default: ") + 1  # -d says its own in words
    shown = re.findall(r"^  ((?:-d, )?--[a-z-]+)", options, re.M)
    assert shown == [each for each in MOST_USED if each in shown]
    assert not re.search(r"^  (--epochs|--seed|--backbone|--dropout) ", rest, re.M)
    last = " ".join(rest.split("\n\n")[-1].split())
    assert last == f"`dl recipes {name}` explains the recipe, with its sources and expected scores."


def test_finetune_has_all_that_people_type_first(dl: Dl) -> None:
    top, _, _ = ok(dl("train", "finetune", "--help")).stdout.partition("Hyperparameters:")
    assert re.findall(r"^  ((?:-d, )?--[a-z-]+)", top, re.M) == MOST_USED


@pytest.mark.slow
@pytest.mark.usefixtures("small_backbone")
def test_a_dataset_may_stand_behind_the_recipe(dl: Dl, home: Path, tiny: Path) -> None:
    said = ok(dl("train", "linear", tiny, *SMALL, "--epochs", "1", "-d", tiny)).stderr
    assert "(named)" in said
    assert only_run(home).config["train"]["linear"]["schedule"] == "0.0001x1"


def test_train_and_resume_say_that_they_mean_other_epochs_and_rates(dl: Dl) -> None:
    page = " ".join(ok(dl("train", "finetune", "--help")).stdout.split())
    assert "in `dl resume` N is the total of all phases" in page
    assert "in `dl resume` the rate of all remaining epochs" in page
    page = " ".join(ok(dl("resume", "--help")).stdout.split())
    assert (
        "total epochs of all phases, finished epochs included (in `dl train`: of each phase)"
        in page
    )
    assert "rate of all remaining epochs (in `dl train`: the highest rate)" in page
