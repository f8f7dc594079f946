"""Which dataset and which run a command takes, and the words for why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcli.config import Config, load_config
from dlcli.current import (
    ChosenRun,
    again,
    choose_dataset,
    choose_run,
    find_dataset,
    find_run,
    last_named,
)
from dlcli.errors import DlError
from dlcli.files import write_yaml
from dlcli.places import state_home
from dlcli.run import Run


@pytest.fixture
def data(home: Path) -> Path:
    """A data folder with three datasets."""
    for name in ("dogscats", "dogscats-sample", "fish"):
        (home / "data" / name / "train" / "cat").mkdir(parents=True)
    return home / "data"


def config(**environ: str) -> Config:
    """The settings where the environment says this."""
    return load_config(environ=environ)


def make_run(home: Path, dataset: str, name: str, **status: Any) -> Run:
    """A run of a dataset, with a status."""
    folder = home / "runs" / dataset / name
    folder.mkdir(parents=True)
    write_yaml(folder / "status.yaml", status)
    path = str(home / "data" / dataset)
    write_yaml(folder / "config.yaml", {"run": {"dataset": {"path": path}}})
    return Run(folder)


def words(error: pytest.ExceptionInfo[DlError]) -> str:
    return str(error.value)


# Which dataset


def test_a_dataset_is_named_again_only_where_another_would_be_taken(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_dataset(config(), "fish")
    assert again(data / "fish") == ""
    assert again(data / "dogscats") == " -d ~/data/dogscats"
    monkeypatch.chdir(data / "dogscats")
    assert again(data / "fish", flag="") == " ~/data/fish"
    assert again(data / "dogscats") == ""
    assert again(None) == ""


def test_the_named_dataset_is_taken_and_remembered_for_the_next_command(data: Path) -> None:
    choice = choose_dataset(config(), "fish")
    assert (choice.root, choice.why) == (data / "fish", "named")
    assert str(choice) == "Dataset ~/data/fish (named)"
    later = choose_dataset(config())
    assert (later.root, later.why) == (data / "fish", "last named")


def test_a_dataset_named_by_the_option_is_remembered_too(data: Path) -> None:
    choice = choose_dataset(config().with_flags({"dataset": "fish"}))
    assert (choice.root, choice.why) == (data / "fish", "named")
    assert choose_dataset(config()).root == data / "fish"


def test_the_setting_goes_before_the_current_folder_and_is_not_remembered(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data / "dogscats")
    choice = choose_dataset(config(DL_DATASET="fish"))
    assert (choice.root, choice.why) == (data / "fish", "by DL_DATASET")
    assert last_named() is None


def test_what_is_named_goes_before_the_setting(data: Path) -> None:
    assert choose_dataset(config(DL_DATASET="fish"), "dogscats").root == data / "dogscats"


def test_a_setting_in_the_projects_file_says_so(data: Path, home: Path) -> None:
    (home / "dl.yaml").write_text("dataset: fish\n")
    assert choose_dataset(config()).why == "by `dataset` in ~/dl.yaml"


@pytest.mark.parametrize("below", ["", "train", "train/cat"])
def test_the_dataset_of_the_current_folder_goes_before_the_last_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    choose_dataset(config(), "fish")
    monkeypatch.chdir(data / "dogscats" / below)
    choice = choose_dataset(config())
    assert (choice.root, choice.why) == (data / "dogscats", "of the current folder")
    assert last_named() == data / "fish"


def test_a_folder_with_a_train_folder_is_a_dataset_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pictures" / "train" / "cat").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "pictures" / "train" / "cat")
    assert choose_dataset(config()).root == tmp_path / "pictures"


def test_a_class_that_is_called_train_makes_no_dataset_of_its_parent(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "dogscats" / "train" / "train").mkdir()
    monkeypatch.chdir(data / "dogscats" / "train")
    assert choose_dataset(config()).root == data / "dogscats"


def test_a_data_folder_that_is_a_link_holds_the_current_dataset_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk" / "flat").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path / "data" / "flat")
    assert choose_dataset(config(DL_DATA_DIR=str(tmp_path / "data"))).root == (
        tmp_path / "data" / "flat"
    )


def test_the_data_folder_itself_is_no_dataset(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    with pytest.raises(DlError, match="No dataset is named"):
        choose_dataset(config())


def test_without_any_of_these_the_error_says_how_to_name_one() -> None:
    with pytest.raises(DlError) as caught:
        choose_dataset(config())
    assert "`-d DATASET`" in words(caught)
    assert "`dl data ls`" in words(caught)


def test_a_last_named_dataset_that_is_gone_is_an_error(data: Path) -> None:
    choose_dataset(config(), "fish")
    (data / "fish").rename(data / "fishes")
    with pytest.raises(DlError, match="~/data/fish, the dataset last named, is gone"):
        choose_dataset(config())


def test_a_dataset_whose_name_has_odd_bytes_is_remembered(data: Path) -> None:
    odd = data / "a b\n\udcff'"
    odd.mkdir()
    choose_dataset(config(), str(odd))
    assert choose_dataset(config()).root == odd


def test_a_state_folder_that_cannot_be_written_costs_only_the_memory(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state_home().parent.mkdir(parents=True)
    state_home().touch()  # a file where a folder should be
    assert choose_dataset(config(), "fish").root == data / "fish"
    assert "can't be remembered" in capsys.readouterr().err


def test_a_name_is_looked_for_in_the_data_folder_and_then_here(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fish").mkdir()
    (tmp_path / "birds").mkdir()
    assert find_dataset("fish", data) == data / "fish"
    assert find_dataset("birds", data) == tmp_path / "birds"
    assert find_dataset("./fish", data) == tmp_path / "fish"
    assert find_dataset(".", data) == tmp_path
    assert find_dataset("~/data/../data/fish/", data) == data / "fish"


def test_an_unknown_dataset_names_the_nearest(data: Path) -> None:
    with pytest.raises(DlError) as caught:
        find_dataset("dogcats", data)
    assert words(caught).startswith("No such dataset: dogcats: no folder ~/data/dogcats\n")
    assert "Did you mean `dogscats`" in words(caught)


@pytest.mark.parametrize("named", ["~nobody-of-that-name/fish", "fi\0sh", ""])
def test_a_name_that_can_be_no_folder_is_no_dataset(data: Path, named: str) -> None:
    with pytest.raises(DlError, match="No such dataset"):
        find_dataset(named, data)


def test_a_file_is_no_dataset(data: Path) -> None:
    (data / "dogs.zip").touch()
    for named in ("dogs.zip", "~/data/dogs.zip"):
        with pytest.raises(DlError, match=r"dogs\.zip is a file: a dataset is a folder"):
            find_dataset(named, data)


# Which run


def test_the_newest_finished_run_of_the_dataset_is_taken_by_its_start(
    data: Path, home: Path
) -> None:
    choose_dataset(config(), "fish")
    make_run(home, "fish", "202611231409-a", state="finished", started="2026-11-23T14:09:31Z")
    newest = make_run(
        home, "fish", "202611231409-a-2", state="finished", started="2026-11-23T14:09:32Z"
    )
    make_run(home, "fish", "202611231410-b", state="failed", started="2026-11-23T14:10:00Z")
    make_run(home, "fish", "202611231411-c", state="interrupted", started="2026-11-23T14:11:00Z")
    make_run(home, "dogscats", "202611231412-d", state="finished", started="2026-11-23T14:12:00Z")
    chosen = choose_run(config(), None)
    assert (chosen.run, chosen.root) == (newest, data / "fish")
    assert chosen.why == "the newest finished run of fish, the dataset last named"


def test_a_run_of_another_dataset_of_the_same_name_is_not_taken(data: Path, home: Path) -> None:
    other = home / "elsewhere" / "fish"
    other.mkdir(parents=True)
    run = make_run(home, "fish", "a", state="finished", started="2026-11-23T14:09:31Z")
    choose_dataset(config(), str(other))
    with pytest.raises(DlError, match="those there are of another dataset of that name"):
        choose_run(config(), None)
    with pytest.raises(DlError, match=r"is a run of fish, not of ~/elsewhere/fish"):
        choose_run(config().with_flags({"dataset": str(other)}), "a")
    (data / "fish").rename(data / "moved")  # then it may well be the same one
    assert choose_run(config(), None) == ChosenRun(
        run, other, "the newest finished run of fish, the dataset last named"
    )
    named = choose_run(config().with_flags({"dataset": str(other)}), "a")
    assert named == ChosenRun(run, other, "named")


@pytest.mark.parametrize("damage", ["", "run: {}", "run: {dataset: 5}", "[1"])
def test_a_damaged_run_does_not_hide_the_others(data: Path, home: Path, damage: str) -> None:
    choose_dataset(config(), "fish")
    good = make_run(home, "fish", "a", state="finished", started="2026-11-23T14:09:31Z")
    bad = make_run(home, "fish", "b", state="finished", started="2026-11-23T14:09:32Z")
    bad.config_file.write_text(damage)
    assert choose_run(config(), None).run == good


def test_a_renamed_run_keeps_its_start(data: Path, home: Path) -> None:
    choose_dataset(config(), "fish")
    newest = make_run(home, "fish", "best", state="finished", started="2026-11-23T14:09:32Z")
    make_run(home, "fish", "zzz", state="finished", started="2026-11-23T14:09:31Z")
    make_run(home, "fish", "no-start", state="finished")
    assert choose_run(config(), None).run == newest


def test_a_start_that_yaml_reads_as_a_date_is_compared_all_the_same(data: Path, home: Path) -> None:
    choose_dataset(config(), "fish")
    older = make_run(home, "fish", "a", state="finished", started="2026-11-22T14:09:31Z")
    newest = make_run(home, "fish", "b", state="finished")
    newest.status_file.write_text("state: finished\nstarted: 2026-11-23T14:09:31Z\n")
    assert choose_run(config(), None).run == newest
    newest.status_file.write_text("state: finished\nstarted: 5\n")
    assert choose_run(config(), None).run in (older, newest)


def test_without_a_finished_run_the_error_names_dataset_and_next_command(
    data: Path, home: Path
) -> None:
    choose_dataset(config(), "fish")
    make_run(home, "fish", "a", state="interrupted")
    with pytest.raises(DlError) as caught:
        choose_run(config(), None)
    assert words(caught).startswith("No finished run of fish in ~/runs")
    assert "`dl train finetune`" in words(caught)


def test_a_run_is_found_by_its_name_its_folder_and_from_within(
    data: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(home, "fish", "202611231409-a", state="finished")
    for named in ("202611231409-a", "fish/202611231409-a", "~/runs/fish/202611231409-a/"):
        assert choose_run(config(), named) == ChosenRun(run, data / "fish", "named")
    monkeypatch.chdir(run.path)
    assert choose_run(config(), ".").run == run


def test_a_name_that_two_datasets_have_is_not_guessed(home: Path) -> None:
    make_run(home, "fish", "a", state="finished")
    make_run(home, "birds", "a", state="finished")
    with pytest.raises(DlError) as caught:
        find_run("a", home / "runs")
    assert "`birds/a` or `fish/a`" in words(caught)


def test_an_unknown_run_names_the_nearest(home: Path) -> None:
    make_run(home, "fish", "202611231409-finetune", state="finished")
    with pytest.raises(DlError) as caught:
        find_run("202611231408-finetune", home / "runs")
    assert words(caught).startswith("No such run: 202611231408-finetune: nothing of that name in")
    assert "Did you mean `202611231409-finetune`?" in words(caught)


@pytest.mark.parametrize("named", ["~nobody-of-that-name/run", "r\0n", ""])
def test_a_name_that_can_be_no_folder_is_no_run(home: Path, named: str) -> None:
    with pytest.raises(DlError, match="No such run"):
        find_run(named, home / "runs")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("interrupted", "it was interrupted\nGo on with it: `dl resume a`."),
        ("failed", "it failed\nGo on with it: `dl resume a`."),
        ("running", "it is being trained\nWait for it, or take another run."),
    ],
)
def test_a_named_run_that_is_not_finished_says_why(home: Path, state: str, words: str) -> None:
    make_run(home, "fish", "a", state=state, host="elsewhere")
    with pytest.raises(DlError) as caught:
        choose_run(config(), "a")
    assert str(caught.value) == f"a is not finished: {words}"
