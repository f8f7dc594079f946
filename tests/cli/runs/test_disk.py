"""`dl runs du` and `dl runs rm` as they are typed: sizes, questions, warnings, refusals."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.listed_runs import listed_run, sized
from support.small_folders import make

from dlcli.files.formats import write_yaml
from dlcli.process import this_process
from dlcli.runs.run import Run


class Terminal(io.StringIO):
    """Somebody who types an answer."""

    def isatty(self) -> bool:
        return True


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(text))


def test_sizes_are_told_the_largest_first_and_in_all(dl: Dl, three: list[Run]) -> None:
    sized(three[0], models=2_000_000)
    sized(three[1], checkpoint=3_000_000)
    said = ok(dl("runs", "du"))
    assert said.stdout.splitlines() == [
        "run                       state     checkpoint  MB",
        "202611231410-cnn-e3       failed           3.0  3.0",
        "202611231409-finetune-e3  finished         0.0  2.0",
        "202611231411-ensemble-m2  finished         0.0  0.0",
        "in all                                     3.0  5.0",
    ]
    assert "`dl runs rm --checkpoints RUN`" in said.stderr
    told = json.loads(ok(dl("runs", "du", "--all", "--json")).stdout)
    assert told["checkpoint_bytes"] == 3_000_000
    assert told["size_bytes"] == sum(each["size_bytes"] for each in told["runs"])
    assert told["runs"][0]["run"] == three[1].name


def test_without_runs_there_is_nothing_to_measure(dl: Dl, dataset: Path) -> None:
    assert "No runs in ~/runs/tiny" in ok(dl("runs", "du")).stderr
    assert "No runs in ~/runs\nAll that `dl` keeps: " in ok(dl("runs", "du", "--all")).stderr


def test_without_checkpoints_they_have_no_column_and_the_state_goes_first(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    sized(three[0], models=2_000_000)
    header, largest, *_ = ok(dl("runs", "du")).stdout.splitlines()
    assert header.split() == ["run", "MB"]
    assert largest == "202611231409-finetune-e3  2.0"


def test_the_total_of_all_that_is_kept_counts_each_file_once(
    dl: Dl, home: Path, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    engine = home / ".cache/dl/openvino/model.bin"
    engine.parent.mkdir(parents=True)
    engine.write_bytes(bytes(4_000_000))
    (three[0].path / "model.bin").hardlink_to(engine)
    store = home / "data/tiny/features/efficientnet-lite0-pooled-12345678"
    store.mkdir(parents=True)
    (store / "manifest.yaml").write_bytes(bytes(1_000_000))
    photo = home / "data/tiny/train/cat/1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(bytes(3_000_000))
    (photo.parent / "2.jpg").symlink_to(photo)
    told = json.loads(ok(dl("runs", "du", "--all", "--json")).stdout)["kept_bytes"]
    assert told["features"] == 1_000_000
    assert 3_000_000 < told["datasets"] < 3_010_000
    assert told["cache"] == 4_000_000
    assert told["runs"] < 10_000
    said = ok(dl("runs", "du", "--all")).stderr
    assert "All that `dl` keeps: 8.0 MB (datasets 3.0 MB, features 1.0 MB, runs " in said


def test_runs_are_removed_once_somebody_agrees(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    sized(three[0], models=2_000_000)
    answer(monkeypatch, "y\n")
    said = ok(dl("runs", "rm", three[0].name, three[1].name, three[0].path))
    assert "~/runs/tiny/202611231409-finetune-e3: 2.0 MB" in said.stderr
    assert "Remove 2 runs, 2.0 MB? [y/N]" in said.stderr
    assert said.stderr.endswith("Removed 2 runs.\n")
    assert [run.path.exists() for run in three] == [False, False, True]


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_nothing_is_removed_without_a_yes(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    answer(monkeypatch, typed)
    said = dl("runs", "rm", three[0].name)
    assert said.exit_code == 1
    assert said.stderr.strip().endswith("Nothing was done.")
    assert three[0].path.exists()


def test_where_nobody_can_answer_yes_has_to_be_typed(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    said = dl("runs", "rm", three[0].name)
    assert said.exit_code == 2
    no_terminal = rf"there is no terminal: Remove {three[0].name}, \d+ bytes\?\nAdd `--yes`"
    assert re.search(no_terminal, said.stderr)
    assert three[0].path.exists()
    ok(dl("runs", "rm", three[0].name, "--yes"))
    assert not three[0].path.exists()


def test_a_part_of_a_name_removes_a_run_only_if_its_whole_name_was_asked_about(
    dl: Dl, three: list[Run]
) -> None:
    said = dl("runs", "rm", "cnn-e3")
    assert f"there is no terminal: Remove {three[1].name}, " in said.stderr
    said = dl("runs", "rm", "cnn-e3", "--yes")
    assert said.exit_code == 1
    assert (
        f"No such run: cnn-e3: ~/runs has nothing of that name\nName it in full: `{three[1].name}`"
        in said.stderr
    )
    assert three[1].path.exists()


def test_the_name_of_a_recipe_is_a_filter_which_yes_does_not_take(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = dl("runs", "rm", "cnn", "--yes")
    assert said.exit_code == 2
    assert "`cnn` is not a run's whole name. Type `recipe=cnn`.\n" in said.stderr
    answer(monkeypatch, "y\n")
    said = ok(dl("runs", "rm", "cnn"))
    assert "cnn stands for recipe=cnn.\n" in said.stderr
    assert [run.path.exists() for run in three] == [True, False, True]


def ensemble_of(member: Run, ensemble: Run) -> None:
    members = [{"name": member.name, "path": str(member.path)}]
    about = {"recipe": "ensemble", "dataset": {"path": "/x"}, "members": members}
    write_yaml(ensemble.config_file, {"run": about})


def test_a_run_that_an_ensemble_needs_is_not_removed_by_yes_alone(dl: Dl, three: list[Run]) -> None:
    ensemble_of(three[0], three[2])
    said = dl("runs", "rm", three[1].name, three[0].name, "--yes")
    assert said.exit_code == 1
    too = f"To remove the ensemble too: `dl runs rm {three[2].name} {three[0].name} --yes`"
    assert said.stderr.splitlines()[2:] == [
        f"Warning: {three[0].name} is needed: the ensemble {three[2].name} predicts with it.",
        f"Error: {three[0].name} is needed",
        f"Nothing was removed. To remove it all the same, add `--force`. {too}",
    ]
    assert all(run.path.exists() for run in three)
    ok(dl("runs", "rm", three[0].name, "--yes", "--force"))
    assert not three[0].path.exists()


def test_of_many_needed_runs_the_ensemble_alone_is_typed(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.cli.runs.disk.MOST_TYPED", 0)
    ensemble_of(three[0], three[2])
    said = dl("runs", "rm", "recipe=finetune", "--yes").stderr
    assert said.endswith(f" the ensemble first: `dl runs rm {three[2].name} --yes`\n")


def test_the_question_names_what_needs_a_run(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble_of(three[0], three[2])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    asked = dl("runs", "rm", three[0].name).stderr
    assert f"bytes, although the ensemble {three[2].name} predicts with it?" in asked
    assert asked.endswith("\nAdd `--yes --force`.\n")
    several = dl("runs", "rm", three[0].name, three[1].name).stderr
    assert "Remove 2 runs, " in several
    assert "bytes, although 1 run is needed?\n" in several


def test_force_is_refused_where_somebody_is_asked(dl: Dl, three: list[Run]) -> None:
    said = dl("runs", "rm", three[0].name, "--force")
    assert said.exit_code == 2
    assert "`--force` is only for `--yes`" in said.stderr


def test_a_needed_run_goes_with_all_that_needs_it(dl: Dl, three: list[Run]) -> None:
    ensemble_of(three[0], three[2])
    together = ok(dl("runs", "rm", "val_loss<0.3", "--yes"))
    assert "needed" not in together.stderr
    assert [run.path.exists() for run in three] == [False, True, False]


@pytest.mark.parametrize("option", ["--yes", "--checkpoints"])
def test_a_run_at_work_is_not_removed_nor_any_that_is_named_with_it(
    dl: Dl, three: list[Run], option: str
) -> None:
    busy = sized(listed_run("202611231412-fc", state="running", **this_process()), 10)
    said = dl("runs", "rm", three[0].name, busy.name, option)
    assert said.exit_code == 1
    assert f"{busy.name} is being trained: by process {os.getpid()}" in said.stderr
    assert three[0].path.exists()
    assert busy.checkpoint.exists()


def test_a_run_that_a_resume_is_about_to_go_on_with_is_not_removed(
    dl: Dl, three: list[Run]
) -> None:
    with three[1].held():
        said = dl("runs", "rm", three[1].name, "--yes")
    assert said.exit_code == 1
    assert "is being trained" in said.stderr
    assert three[1].status_file.exists()


def test_a_link_is_not_followed(dl: Dl, home: Path, dataset: Path) -> None:
    run = listed_run(dataset="fish")
    (home / "runs" / "tiny").mkdir()
    (home / "runs" / "tiny" / "linked").symlink_to(run.path)
    said = dl("runs", "rm", "linked", "--yes")
    assert said.exit_code == 1
    assert "~/runs/tiny/linked is a link" in said.stderr
    assert run.path.exists()


def test_checkpoints_go_alone_and_what_can_not_be_resumed_then_is_told(
    dl: Dl, three: list[Run]
) -> None:
    for run in three[:2]:
        sized(run, checkpoint=1_000_000, models=5)
    said = ok(dl("runs", "rm", "--checkpoints", "--yes", *(run.name for run in three)))
    assert f"~/runs/tiny/{three[0].name}/checkpoint: 1.0 MB" in said.stderr
    assert f"~/runs/tiny/{three[2].name} has no checkpoint." in said.stderr
    (warning,) = [line for line in said.stderr.splitlines() if line.startswith("Warning")]
    assert warning == f"Warning: {three[1].name} is failed; without the checkpoint it can't resume."
    assert said.stderr.endswith("Removed 2 checkpoints.\n")
    assert [run.checkpoint.exists() for run in three[:2]] == [False, False]
    assert three[0].best_model.exists()
    assert "Removed" not in ok(dl("runs", "rm", "--checkpoints", three[0].name)).stderr


def test_a_damaged_run_can_be_removed(dl: Dl, three: list[Run]) -> None:
    three[0].status_file.unlink()
    three[1].status_file.write_bytes(b"\x00")
    ok(dl("runs", "rm", "--yes", three[0].name, three[1].name))
    assert "1 run in" in ok(dl("runs")).stderr


def test_runs_that_pass_filters_go_together_listed_before_one_question(
    dl: Dl, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = listed_run("202611231413-fc", "fish", state="failed")
    fourth = sized(listed_run("202611231412-fc", state="failed"), models=1_000_000)
    sized(three[1], models=2_000_000)
    answer(monkeypatch, "y\n")
    said = ok(dl("runs", "rm", "state=failed"))
    assert said.stderr.splitlines() == [
        "Dataset ~/data/tiny (last named)",
        "~/runs/tiny/202611231412-fc: 1.0 MB",
        "~/runs/tiny/202611231410-cnn-e3: 2.0 MB",
        "Remove 2 runs, 3.0 MB? [y/N]: Removed 2 runs.",
    ]
    assert [run.path.exists() for run in (*three, other, fourth)] == [
        True,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("val_loss<0.3", "recipe=ensemble"), 3),
        (("val_loss<0.3", "recipe!=ensemble", "--all"), 2),
        (("dropout=0", "-d", "fish"), 4),
        (("dropout=0",), 3),
    ],
)
def test_filters_are_those_of_the_list(
    dl: Dl, three: list[Run], words: tuple[str, ...], left: int
) -> None:
    listed_run("202611231413-fc", "fish")
    said = dl("runs", "rm", *words, "--yes")
    assert len(Run.all(Path.home() / "runs")) == left, said
    assert said.exit_code == (1 if left == 4 else 0)


def test_rm_leaves_the_current_dataset_as_it_is(dl: Dl, home: Path, three: list[Run]) -> None:
    make(home / "data/fish", "train/cat/1.jpg", "train/dog/1.jpg")
    listed_run("202611231413-fc", "fish")
    none = dl("runs", "rm", "recipe=fc", "-d", "fish", "--yes")
    assert "List them without filters: `dl runs -d ~/data/fish`." in none.stderr
    ok(dl("runs", "rm", "recipe=finetune", "-d", "fish", "--yes"))
    assert "Dataset ~/data/tiny (last named)" in ok(dl("runs")).stderr


def test_filters_that_no_run_passes_remove_none(dl: Dl, three: list[Run]) -> None:
    said = dl("runs", "rm", "state=interrupted", "--yes")
    assert said.exit_code == 1
    assert (
        "No run of tiny in ~/runs passes the filters\n"
        "Values of the runs: state: failed, finished\nList them without filters: `dl runs`."
        in said.stderr
    )
    assert "No run here has a `droput`" in dl("runs", "rm", "droput=0", "--yes").stderr
    said = dl("runs", "rm", "state=failed")
    assert said.exit_code == 2
    assert f"there is no terminal: Remove {three[1].name}, " in said.stderr
    assert all(run.path.exists() for run in three)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "Name runs, `dl runs rm RUN`, or filter them"),
        (("--all",), "Name runs, "),
        (
            ("202611231409-finetune-e3", "val_loss>1"),
            "the other: `dl runs rm 202611231409-finetune-e3`, `dl runs rm 'val_loss>1'`.",
        ),
        (("202611231409-finetune-e3", "--all"), "is only for filters"),
    ],
)
def test_runs_are_named_or_filtered_and_never_all_by_default(
    dl: Dl, three: list[Run], words: tuple[str, ...], why: str
) -> None:
    said = dl("runs", "rm", *words, "--yes")
    assert said.exit_code == 2
    assert why in said.stderr
    assert all(run.path.exists() for run in three)


def test_d_says_whose_runs_are_named(dl: Dl, three: list[Run]) -> None:
    twin = listed_run(three[0].name, "fish")
    ok(dl("runs", "rm", three[0].name, "-d", "fish", "--yes"))
    assert (three[0].path.exists(), twin.path.exists()) == (True, False)
    (Path.home() / "runs/fish").mkdir(exist_ok=True)
    said = dl("runs", "rm", three[0].name, "-d", "fish", "--yes")
    assert said.exit_code == 2
    assert f"{three[0].name} is a run of tiny, not of fish\nLeave out `-d`" in said.stderr


@pytest.fixture
def namesake(home: Path) -> Path:
    """Another dataset that is called tiny."""
    make(home / "x/tiny", "train/cat/1.jpg", "train/dog/1.jpg")
    return home / "x/tiny"


def test_a_run_of_another_dataset_of_that_name_is_not_removed(
    dl: Dl, three: list[Run], namesake: Path
) -> None:
    said = dl("runs", "rm", three[0].name, "--yes", "-d", namesake)
    assert said.exit_code == 2
    assert f"{three[0].name} is a run of ~/data/tiny, not of ~/x/tiny\nLeave out" in said.stderr
    assert three[0].path.exists()
    own = listed_run("202611231413-fc", record={"dataset": {"path": str(namesake)}})
    lost = listed_run("202611231414-fc", record={"dataset": {}})
    ok(dl("runs", "rm", own.name, lost.name, "--yes", "-d", namesake))
    assert not own.path.exists()
    assert not lost.path.exists()


def test_filters_pass_over_runs_of_another_dataset_of_that_name(
    dl: Dl, three: list[Run], namesake: Path
) -> None:
    none = dl("runs", "rm", "state=failed", "--yes", "-d", namesake)
    assert none.exit_code == 1
    left_out = "Left out 1 run of another dataset that is called tiny.\n"
    assert f"{left_out}Error: No run of tiny in ~/runs\n" in none.stderr
    own = listed_run("202611231413-fc", state="failed", record={"dataset": {"path": str(namesake)}})
    said = ok(dl("runs", "rm", "state=failed", "--yes", "-d", namesake))
    assert left_out in said.stderr
    assert [run.path.exists() for run in (*three, own)] == [True, True, True, False]


def test_a_run_in_a_folder_with_a_sign_in_its_name_is_no_filter(dl: Dl, home: Path) -> None:
    run = listed_run(dataset="lr=0.1")
    ok(dl("runs", "rm", run.path, "--yes"))
    assert not run.path.exists()
