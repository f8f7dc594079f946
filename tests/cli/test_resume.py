"""`dl resume` as it is typed: which run it takes, and what it can't change."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.listed_runs import listed_run
from support.pictures import make_dataset
from support.small_run import SMALL, only_run

from dlcli.runs.run import Run
from dlcli.training import checkpoint, fit


def stopped_run(name: str, dataset: str = "tiny", epoch: int | None = 1) -> Run:
    return listed_run(name, dataset, state="interrupted", epoch=epoch)


def test_without_a_run_the_one_that_was_interrupted_is_taken(dl: Dl, home: Path) -> None:
    listed_run("202611231408-fc", "fish")
    stopped_run("202611231409-finetune")
    said = dl("resume")
    assert said.stderr.startswith(
        "Run ~/runs/tiny/202611231409-finetune (the one that was interrupted)\n"
        "Error: ~/runs/tiny/202611231409-finetune/config.yaml is damaged"
    )


def test_of_several_interrupted_runs_each_is_listed_the_newest_first(dl: Dl, home: Path) -> None:
    stopped_run("202611231409-fc")
    stopped_run("202611231410-fc", "fish", epoch=3)
    stopped_run("202611231411-fc it", "fish", epoch=None)
    stopped_run("202611231409-fc", "birds")
    listed_run("202611231412-fc", state="failed")
    said = dl("resume", "--runs-dir", "runs")
    assert said.exit_code == 2
    assert said.stderr.splitlines() == [
        "Error: 4 runs in ~/runs are interrupted: which one?",
        "`dl resume '202611231411-fc it' --runs-dir ~/runs`, 0 epochs done",
        "`dl resume 202611231410-fc --runs-dir ~/runs`, 3 epochs done",
        "`dl resume birds/202611231409-fc --runs-dir ~/runs`, 1 epoch done",
        "`dl resume tiny/202611231409-fc --runs-dir ~/runs`, 1 epoch done",
    ]


def test_where_no_run_is_interrupted_the_next_step_is_said(dl: Dl, home: Path) -> None:
    said = dl("resume")
    assert said.exit_code == 1
    assert (
        said.stderr
        == "Error: No interrupted run in ~/runs\nTrain one: `dl train finetune -d DATASET`.\n"
    )
    listed_run()
    assert dl("resume").stderr == (
        "Error: No interrupted run in ~/runs\n"
        "To train a finished run for more epochs: `dl resume RUN --epochs N`. "
        "`dl runs --all` lists runs.\n"
    )


@pytest.mark.parametrize("words", [(), ("202611231409-fc",), ("my run",)])
def test_an_option_that_it_has_not_is_never_taken_for_a_run(
    dl: Dl, home: Path, words: tuple[str, ...]
) -> None:
    stopped_run("202611231409-fc")
    said = dl("resume", *words, "--dropout", "0.3")
    assert said.exit_code == 2
    assert "`dl resume` can't change `--dropout`" in said.stderr
    assert f"`dl rerun {shlex.join(words) or 'RUN'} --set dropout=0.3`" in said.stderr


@pytest.mark.slow
def test_the_interrupted_run_ends_and_the_next_step_names_it(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        checkpoint.save_checkpoint(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    root = make_dataset(home / "data" / "tiny", train=8, valid=4)
    with monkeypatch.context() as stopping:
        stopping.setattr(fit, "save_checkpoint", stop)
        assert dl("train", "linear", "-d", root, *SMALL, "--schedule", "1e-3x2").exit_code == 130
    said = ok(dl("resume"))
    assert f"next: `dl evaluate {only_run(home).name}`" in said.stderr
    assert only_run(home).state == "finished"
