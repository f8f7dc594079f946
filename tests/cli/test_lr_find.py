"""`dl lr-find` as it is typed: what it says, what it leaves, what it refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from support.command_result import Dl, ok
from support.loaded_modules import loaded
from support.small_run import SMALL

from dlcli.catalog import built_in_names
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

FOUND = Path("runs", "tiny", "lr-find")


def test_it_prints_a_rate_and_leaves_a_plot_and_a_table_but_no_run(
    dl: Dl, home: Path, tiny: Path
) -> None:
    said = ok(dl("lr-find", "finetune", "-d", tiny, *SMALL))
    first, second = said.stdout.splitlines()
    assert re.fullmatch(r"learning rate  (0\.0*[1-9]|[1-9]e-\d\d|[1-9])", first)
    assert re.fullmatch(r"tried          1e-07 to [\d.e+-]+ in \d+ steps", second)
    assert "Plot: ~/runs/tiny/lr-find/finetune.png; next: `dl train finetune" in said.stderr
    assert sorted(p.name for p in FOUND.iterdir()) == ["finetune.csv", "finetune.png"]
    assert Image.open(FOUND / "finetune.png").format == "PNG"
    assert Run.all(home / "runs") == []
    assert "No finished run of tiny" in dl("evaluate").stderr


def test_json_holds_the_same(dl: Dl, home: Path, tiny: Path) -> None:
    words = ("lr-find", "finetune", "-d", tiny, *SMALL)
    rate = ok(dl(*words)).stdout.split()[2]
    found = json.loads(ok(dl(*words, "--json")).stdout)
    assert found["learning_rate"] == float(rate)
    assert found["range"][0] == 1e-7
    assert found["steps"] <= 100
    assert Path(found["figure"]) == home / FOUND / "finetune.png"
    assert Path(found["table"]).is_file()
    assert found["schedule"].startswith(f"{float(rate)!r}x33,")


def test_the_next_command_repeats_what_was_typed_and_trains_at_that_rate(
    dl: Dl, home: Path, tiny: Path
) -> None:
    (home / "my settings.yaml").write_text("seed: 3\n")
    typed = ["--config", "my settings.yaml", "--no-augment", "--runs-dir", "elsewhere", *SMALL]
    said = ok(dl("lr-find", "linear", "-d", tiny, "--schedule", "1e-5x2,1e-3", *typed))
    (next_command,) = re.findall(r"next: `dl (.*)`", said.stderr)
    train, recipe, option, schedule, *rest = shlex.split(next_command)
    assert (train, recipe, option) == ("train", "linear", "--schedule")
    rate = float(said.stdout.split()[2])
    warm, main = schedule.split(",")
    assert float(main.removesuffix("x1")) == rate
    assert float(warm.removesuffix("x2")) == pytest.approx(rate / 100)
    assert rest[-2:] == ["--runs-dir", "~/elsewhere"]
    for word in {*typed} - {"elsewhere"}:
        assert word in rest
    ok(dl(train, recipe, option, schedule, *rest))
    (run,) = Run.all(home / "elsewhere")
    assert run.record.dataset.path == tiny
    assert [row["learning_rate"] for row in run.history][-1] == rate


def test_a_dataset_that_would_not_be_taken_again_is_named(dl: Dl, home: Path, tiny: Path) -> None:
    (home / "dl.yaml").write_text("dataset: other\n")
    said = ok(dl("lr-find", "linear", "-d", tiny, *SMALL))
    assert re.search(r"`dl train linear .* -d ~/data/tiny`", said.stderr)


def test_without_a_recipe_it_shows_the_recipes(dl: Dl) -> None:
    page, train = dl("lr-find"), dl("train")
    assert page.exit_code == train.exit_code
    assert "Usage: dl lr-find RECIPE [OPTIONS]" in page.stderr
    titled = "Recipes for photos:"
    assert titled in page.stderr
    assert page.stderr.partition(titled)[2] == train.stderr.partition(titled)[2]


@pytest.mark.parametrize("name", built_in_names())
def test_it_has_the_options_of_train_and_its_own(dl: Dl, name: str) -> None:
    find, train = (
        set(
            re.findall(
                r"^  (?:-\w, )?(--[\w-]+)", ok(dl(command, name, "--help")).stdout, re.MULTILINE
            )
        )
        for command in ("lr-find", "train")
    )
    assert find - train == {"--steps", "--json"}
    assert train - find == {"--epochs", "--keep-checkpoint", "--lr", "--members", "--tensorboard"}


@pytest.mark.parametrize("steps", ["0", "9", "-1", "many"])
def test_too_few_steps_are_refused(dl: Dl, home: Path, tiny: Path, steps: str) -> None:
    said = dl("lr-find", "linear", "-d", tiny, "--steps", steps)
    assert said.exit_code == 2
    assert "--steps" in said.stderr
    assert not (home / "runs").exists()


def test_an_unknown_recipe_is_refused_and_the_nearest_named(dl: Dl) -> None:
    said = dl("lr-find", "finetun")
    assert said.exit_code == 2
    assert "`dl lr-find` has no recipe 'finetun'" in said.stderr
    assert "`finetune`" in said.stderr


def test_help_and_completion_import_nothing_heavy() -> None:
    for words in (["lr-find", "--help"], ["lr-find", "finetune", "--help"]):
        assert loaded(*words)[0] == set()
    environ = {
        "_DL_COMPLETE": "bash_complete",
        "COMP_WORDS": "dl lr-find ",
        "COMP_CWORD": "2",
    }
    heavy, output = loaded(environ=environ)
    words = [line.partition(",")[2] for line in output.splitlines() if line]
    assert words == list(built_in_names())
    assert heavy == set()
