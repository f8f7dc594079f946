"""Which run a command takes, and the words for why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.small_folders import make

from dlcli.config import Config, load_config
from dlcli.data.choice import choose_dataset, with_named
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import write_yaml
from dlcli.runs.choice import ChosenRun, choose_run, find_run, say_chosen
from dlcli.runs.run import Run


def config() -> Config:
    """The settings where nobody has set any."""
    return load_config(environ={})


def make_run(home: Path, dataset: str, name: str, **status: Any) -> Run:
    """A run of a dataset, with a status."""
    folder = home / "runs" / dataset / name
    folder.mkdir(parents=True)
    write_yaml(folder / "status.yaml", status)
    path = str(home / "data" / dataset)
    write_yaml(folder / "config.yaml", {"run": {"dataset": {"path": path}}})
    return Run(folder)


def test_the_newest_finished_run_of_the_dataset_is_taken_by_its_start(
    datasets: Path, home: Path
) -> None:
    choose_dataset(with_named(config(), "fish"))
    make_run(home, "fish", "202611231409-a", state="finished", started="2026-11-23T14:09:31Z")
    newest = make_run(
        home, "fish", "202611231409-a-2", state="finished", started="2026-11-23T14:09:32Z"
    )
    make_run(home, "fish", "202611231410-b", state="failed", started="2026-11-23T14:10:00Z")
    make_run(home, "fish", "202611231411-c", state="interrupted", started="2026-11-23T14:11:00Z")
    make_run(home, "dogscats", "202611231412-d", state="finished", started="2026-11-23T14:12:00Z")
    chosen = choose_run(config(), None)
    assert (chosen.run, chosen.root) == (newest, datasets / "fish")
    assert chosen.why == "the newest finished run of fish, the dataset last named"


def scored(home: Path, name: str, loss: float | None, fingerprint: str = "same") -> Run:
    """A finished run of fish with a valid log loss on validation images of a fingerprint."""
    started = f"2026-11-23T14:{name[-1]}0:00Z"
    run = make_run(home, "fish", name, state="finished", started=started, val_loss=loss)
    dataset = {"path": str(home / "data" / "fish"), "fingerprints": {"valid": fingerprint}}
    write_yaml(run.config_file, {"run": {"dataset": dataset}})
    return run


@pytest.mark.parametrize(
    ("losses", "better"),
    [
        ([0.0014, 0.0020, 0.0104], 0),
        ([0.0100, 0.0104], None),  # a seed alone may do that
        ([0.0104, 0.0014], None),
        ([None, 0.0104], None),
        ([0.5, None], 0),
    ],
)
def test_a_run_with_a_clearly_lower_log_loss_than_the_newest_is_said(
    datasets: Path,
    home: Path,
    losses: list[float | None],
    better: int | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    choose_dataset(with_named(config(), "fish"))
    runs = [scored(home, f"run{number}", loss) for number, loss in enumerate(losses)]
    chosen = choose_run(config(), None)
    assert chosen.run == runs[-1]
    assert chosen.better == (None if better is None else runs[better])
    say_chosen(chosen, config(), "export", "--format onnx")
    said = capsys.readouterr().err
    assert ("Lower valid log loss" in said) == (better is not None)
    if losses[-1] == 0.0104 and better == 0:
        assert said.endswith(
            "Lower valid log loss: run0 0.0014 (this run 0.0104). To take it: "
            "`dl export run0 --format onnx`\n"
        )


def test_losses_on_other_validation_images_are_not_compared(datasets: Path, home: Path) -> None:
    choose_dataset(with_named(config(), "fish"))
    scored(home, "run0", 0.001, "before the second split")
    scored(home, "run1", 0.0104)
    assert choose_run(config(), None).better is None
    assert choose_run(config(), "run1").better is None  # it was named


def test_a_run_of_another_dataset_of_the_same_name_is_not_taken(datasets: Path, home: Path) -> None:
    other = home / "elsewhere" / "fish"
    make(other, "train/cat/1.jpg")
    run = make_run(home, "fish", "a", state="finished", started="2026-11-23T14:09:31Z")
    choose_dataset(with_named(config(), str(other)))
    with pytest.raises(DlError, match="all runs there belong to another dataset of that name"):
        choose_run(config(), None)
    with pytest.raises(DlError, match=r"is a run of ~/data/fish, not of ~/elsewhere/fish"):
        choose_run(config().with_flags({"dataset": str(other)}), "a")
    (datasets / "fish").rename(datasets / "moved")  # then it may well be the same one
    assert choose_run(config(), None) == ChosenRun(
        run, other, "the newest finished run of fish, the dataset last named"
    )
    named = choose_run(config().with_flags({"dataset": str(other)}), "a")
    assert named == ChosenRun(run, other, "named")


def test_a_dataset_in_place_of_a_run_means_its_newest_finished_run(
    datasets: Path, home: Path
) -> None:
    run = make_run(home, "fish", "a", state="finished", started="2026-11-23T14:09:31Z")
    for word in ("fish", "~/data/fish", str(datasets / "fish")):
        chosen = choose_run(config(), word)
        why = "the newest finished run of fish, the dataset named"
        assert chosen == ChosenRun(run, datasets / "fish", why)
    with pytest.raises(DlError, match="Two datasets are named"):
        choose_run(config().with_flags({"dataset": "dogscats"}), "fish")
    assert choose_run(config(), str(home / "runs" / "fish" / "a")).why == "named"
    with pytest.raises(DlError, match="No such run: ~/runs/fish"):  # a folder without train/
        choose_run(config(), "~/runs/fish")


def test_a_run_that_has_a_datasets_name_is_the_run(datasets: Path, home: Path) -> None:
    run = make_run(home, "dogscats", "fish", state="finished")
    assert choose_run(config(), "fish") == ChosenRun(run, datasets / "dogscats", "named")


def test_a_dataset_is_recognised_in_the_data_folder_of_the_command_line(home: Path) -> None:
    make(home / "elsewhere" / "birds", "train/cat/1.jpg")
    with pytest.raises(DlError) as caught:
        find_run("birds", home / "runs", home / "elsewhere")
    assert "`dl runs -d ~/elsewhere/birds` lists its runs" in caught.value.hint


@pytest.mark.parametrize("damage", ["", "run: {}", "run: {dataset: 5}", "[1"])
def test_a_damaged_run_does_not_hide_the_others(datasets: Path, home: Path, damage: str) -> None:
    choose_dataset(with_named(config(), "fish"))
    good = make_run(home, "fish", "a", state="finished", started="2026-11-23T14:09:31Z")
    bad = make_run(home, "fish", "b", state="finished", started="2026-11-23T14:09:32Z")
    bad.config_file.write_text(damage)
    assert choose_run(config(), None).run == good


def test_a_renamed_run_keeps_its_start(datasets: Path, home: Path) -> None:
    choose_dataset(with_named(config(), "fish"))
    newest = make_run(home, "fish", "best", state="finished", started="2026-11-23T14:09:32Z")
    make_run(home, "fish", "zzz", state="finished", started="2026-11-23T14:09:31Z")
    make_run(home, "fish", "no-start", state="finished")
    assert choose_run(config(), None).run == newest


def test_a_start_that_yaml_reads_as_a_date_is_compared_all_the_same(
    datasets: Path, home: Path
) -> None:
    choose_dataset(with_named(config(), "fish"))
    older = make_run(home, "fish", "a", state="finished", started="2026-11-22T14:09:31Z")
    newest = make_run(home, "fish", "b", state="finished")
    newest.status_file.write_text("state: finished\nstarted: 2026-11-23T14:09:31Z\n")
    assert choose_run(config(), None).run == newest
    newest.status_file.write_text("state: finished\nstarted: 5\n")
    assert choose_run(config(), None).run in (older, newest)


def test_without_a_finished_run_the_error_names_dataset_and_next_command(
    datasets: Path, home: Path
) -> None:
    choose_dataset(with_named(config(), "fish"))
    make_run(home, "fish", "a", state="interrupted")
    with pytest.raises(DlError) as caught:
        choose_run(config(), None)
    assert str(caught.value).startswith("No finished run of fish in ~/runs")
    assert "`dl train finetune`" in str(caught.value)


def test_a_run_is_found_by_its_name_its_folder_and_from_within(
    datasets: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(home, "fish", "202611231409-a", state="finished")
    for named in ("202611231409-a", "fish/202611231409-a", "~/runs/fish/202611231409-a/"):
        assert choose_run(config(), named) == ChosenRun(run, datasets / "fish", "named")
    monkeypatch.chdir(run.path)
    assert choose_run(config(), ".").run == run


def test_a_name_that_two_datasets_have_is_not_guessed(home: Path) -> None:
    make_run(home, "fish", "a", state="finished")
    make_run(home, "birds", "a", state="finished")
    with pytest.raises(DlError) as caught:
        find_run("a", home / "runs")
    assert "`birds/a` or `fish/a`" in str(caught.value)


def test_an_unknown_run_names_the_nearest(home: Path) -> None:
    make_run(home, "fish", "202611231409-finetune", state="finished")
    with pytest.raises(DlError) as caught:
        find_run("202611231408-finetune", home / "runs")
    assert str(caught.value).startswith(
        "No such run: 202611231408-finetune: ~/runs has nothing of that name"
    )
    assert "Did you mean `202611231409-finetune`?" in str(caught.value)


def test_a_dataset_in_place_of_a_run_is_told_how_to_be_named(datasets: Path, home: Path) -> None:
    make_run(home, "dogscats", "dogscat", state="finished")
    with pytest.raises(DlError, match="No such run: dogscats") as caught:
        find_run("dogscats", home / "runs")
    said = "dogscats is a dataset, not a run. `dl runs -d dogscats` lists its runs."
    assert caught.value.hint == said


@pytest.mark.parametrize("named", ["~nobody-of-that-name/run", "r\0n", ""])
def test_a_name_that_can_be_no_folder_is_no_run(home: Path, named: str) -> None:
    with pytest.raises(DlError, match="No such run"):
        find_run(named, home / "runs")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("interrupted", "it was interrupted\nResume it: `dl resume a`."),
        ("failed", "it failed\nResume it: `dl resume a`."),
        ("running", "it is being trained\nWait for it, or use another run."),
    ],
)
def test_a_named_run_that_is_not_finished_says_why(home: Path, state: str, words: str) -> None:
    make_run(home, "fish", "a", state=state, host="elsewhere").lock_file.touch()
    with pytest.raises(DlError) as caught:
        choose_run(config(), "a")
    assert str(caught.value) == f"a is not finished: {words}"


def test_a_part_of_a_name_stands_for_the_only_run_that_has_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fish = make_run(home, "fish", "202611231409-finetune-e3", state="finished")
    birds = make_run(home, "birds", "202611231410-fc-e12", state="failed")
    make_run(home, "birds", "202611231411-fc-e12", state="failed")
    for part in ("e3", "202611231409", "fish/2026", "fish/e3", "finetune"):
        assert find_run(part, home / "runs") == fish
    assert capsys.readouterr().err.startswith("e3 stands for 202611231409-finetune-e3.\n")
    assert find_run("202611231410", home / "runs") == birds
    with pytest.raises(DlError, match="fc is part of the names of 2 runs") as several:
        find_run("fc", home / "runs")
    assert several.value.hint == "202611231411-fc-e12\n202611231410-fc-e12"
    assert several.value.exit_code == ExitCode.USAGE
    with pytest.raises(DlError, match="No such run: e3") as refused:
        find_run("e3", home / "runs", whole=True)
    assert refused.value.hint == "Name it in full: `202611231409-finetune-e3`"


def test_a_whole_name_and_a_beginning_win_over_a_part(home: Path) -> None:
    whole = make_run(home, "fish", "a", state="finished")
    begun = make_run(home, "fish", "bn-a", state="finished")
    make_run(home, "fish", "c-bn", state="finished")
    assert find_run("a", home / "runs") == whole
    assert find_run("bn", home / "runs") == begun


def test_the_second_run_of_a_name_does_not_stand_for_the_first(home: Path) -> None:
    make_run(home, "fish", "202611231409-fc-2", state="finished")
    for named in ("202611231409-fc", "fish/202611231409-fc"):
        with pytest.raises(DlError, match="No such run"):
            find_run(named, home / "runs")
