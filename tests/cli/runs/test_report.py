"""`dl runs report` as it is typed: where the page goes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

from support.command_result import Dl, ok
from support.listed_runs import listed_run
from support.loaded_modules import BACKENDS, loaded
from support.pictures import make_pictures

from dlcli.runs.run import Run


def test_the_page_stands_beside_the_runs_and_is_none(dl: Dl, home: Path, three: list[Run]) -> None:
    listed = ok(dl("runs")).stdout
    said = ok(dl("runs", "report"))
    best = three[2].name
    assert said.stdout == ""
    assert said.stderr.splitlines()[-1] == (
        f"Report: ~/runs/tiny/report.html; next: `dl evaluate {best}`"
    )
    page = (home / "runs/tiny/report.html").read_text()
    assert all(run.name in page for run in three)
    assert ok(dl("runs")).stdout == listed
    for command in ("best", "du", "report"):
        ok(dl("runs", command))
    assert len(Run.all(home / "runs")) == 3
    ok(dl("runs", "ls", "--all"))


def test_filters_choose_the_runs(dl: Dl, home: Path, three: list[Run]) -> None:
    ok(dl("runs", "report", "recipe=finetune", "--to", "finetune.html"))
    page = (home / "finetune.html").read_text()
    assert three[0].name in page
    assert three[1].name not in page
    assert "recipe=finetune" in page
    assert not (home / "runs/tiny/report.html").exists()


def test_what_there_is_nothing_to_tell_of_is_refused(dl: Dl, home: Path, dataset: Path) -> None:
    said = dl("runs", "report")
    assert said.exit_code == 1
    assert "No run of tiny in ~/runs" in said.stderr
    assert "`dl train finetune`" in said.stderr
    listed_run()
    said = dl("runs", "report", "recipe=cnn")
    assert said.exit_code == 1
    assert "No run of tiny in ~/runs passes the filters" in said.stderr
    assert not (home / "runs/tiny/report.html").exists()


def test_a_folder_that_is_not_there_is_named(dl: Dl, dataset: Path) -> None:
    listed_run()
    said = dl("runs", "report", "--to", "/nonexist/x.html")
    assert said.exit_code == 2
    assert "Can't write /nonexist/x.html: there is no folder /nonexist\n" in said.stderr


def test_what_comes_next_is_the_best_run_or_to_have_one(dl: Dl, dataset: Path) -> None:
    listed_run(state="failed")
    assert ok(dl("runs", "report")).stderr.endswith("next: `dl train finetune`\n")
    run = listed_run("202611231410-x")
    run.report_file.write_text("")
    assert ok(dl("runs", "report")).stderr.endswith(f"next: `dl predict {run.name} PHOTO...`\n")
    make_pictures(dataset, ("test",), 1)
    assert ok(dl("runs", "report")).stderr.endswith(f"next: `dl submit {run.name}`\n")


def test_runs_of_a_dataset_that_is_not_here_have_a_page_too(dl: Dl, home: Path) -> None:
    listed_run(dataset="gone", record={"dataset": {"images": {"train": 16, "valid": 8}}})
    said = ok(dl("runs", "report", "-d", "gone"))
    assert "Runs of gone, a dataset that does not exist here" in said.stderr
    page = (home / "runs/gone/report.html").read_text()
    assert "<dt>train images</dt><dd>16</dd>" in page


def test_no_backend_is_loaded_for_it(three: list[Run]) -> None:
    heavy, output = loaded("runs", "report")
    assert "Report: ~/runs/tiny/report.html" in output
    assert not heavy & (BACKENDS | {"matplotlib", "PIL", "rich", "bcolz", "sklearn"})
