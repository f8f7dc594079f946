"""What runs take on disk, what needs them, and removing them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.children import killed_before_change
from support.listed_runs import listed_run

from dlcli.errors import DlError
from dlcli.files.formats import write_yaml
from dlcli.process import this_process
from dlcli.runs import disk
from dlcli.runs.disk import (
    checkpoint_of,
    needed_by,
    remove_checkpoint,
    remove_run,
    require_at_rest,
    require_no_link,
    size_of,
    stored_files,
)
from dlcli.runs.listing import list_runs
from dlcli.runs.run import Run


def with_models(run: Run, size: int = 1000) -> Run:
    """The best epoch was the last: one file with two names."""
    run.last_model.parent.mkdir()
    run.last_model.write_bytes(bytes(size))
    os.link(run.last_model, run.best_model)
    return run


def with_checkpoint(run: Run, size: int = 500) -> Run:
    run.checkpoint.mkdir()
    (run.checkpoint / "state.npz").write_bytes(bytes(size))
    return run


def reasons(home: Path, run: Run) -> list[str]:
    return needed_by(run, list_runs(home / "runs"), home / "runs")


def test_a_file_with_two_names_takes_its_room_once(home: Path) -> None:
    before = size_of(stored_files(run := listed_run()))
    files = {file.name: file for file in stored_files(with_models(run))}
    assert files["models/best.keras"].same_as is None
    assert files["models/last.keras"].same_as == "models/best.keras"
    assert size_of([*files.values()]) == before + 1000


def test_the_checkpoint_is_told_apart(home: Path) -> None:
    files = stored_files(with_checkpoint(with_models(listed_run())))
    assert [file.name for file in checkpoint_of(Run(Path()), files)] == ["checkpoint/state.npz"]


def test_links_are_not_followed(home: Path) -> None:
    run = listed_run()
    before = size_of(stored_files(run))
    (home / "big").write_bytes(bytes(100_000))
    (run.path / "big").symlink_to(home / "big")
    assert size_of(stored_files(run)) < before + 1000
    (run.path / "all").symlink_to(home)
    remove_run(run)
    assert (home / "big").is_file()
    assert not run.path.exists()


def test_a_removed_run_is_gone_and_the_others_stay(home: Path) -> None:
    run, other = with_checkpoint(with_models(listed_run())), listed_run("202611231408-linear")
    remove_run(run)
    assert [row.run for row in list_runs(home / "runs")] == [other]


def test_a_removal_that_is_cut_short_leaves_a_run_that_is_listed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = with_models(listed_run())

    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", stop)
        remove_run(run)
    (row,) = list_runs(home / "runs")
    assert row.run == run
    remove_run(run)
    assert not run.path.exists()


def test_a_run_is_locked_until_nothing_of_it_is_left(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = listed_run()
    left: list[Path] = []
    monkeypatch.setattr(disk, "remove_folder", lambda path: left.extend(path.iterdir()))
    with run.held():
        remove_run(run)
    assert {*left} == {run.lock_file, run.status_file}


def test_a_checkpoint_is_removed_alone(home: Path) -> None:
    run = with_checkpoint(with_models(listed_run()))
    remove_checkpoint(run)
    assert not run.checkpoint.exists()
    assert run.best_model.is_file()


def test_a_run_at_work_is_refused(home: Path) -> None:
    run = listed_run(state="running", **this_process())
    with pytest.raises(DlError, match="is being trained") as refused:
        require_at_rest(run)
    assert f"process {os.getpid()}" in refused.value.why
    require_at_rest(listed_run("202611231408-linear", state="interrupted"))


def test_a_run_that_is_a_link_is_refused(home: Path) -> None:
    run = listed_run(dataset="elsewhere")
    (home / "runs" / "tiny").mkdir()
    link = Run(home / "runs" / "tiny" / "linked")
    link.path.symlink_to(run.path)
    with pytest.raises(DlError, match=r"tiny/linked is a link to ~/runs/elsewhere"):
        require_no_link(link)
    require_no_link(run)


def test_an_ensemble_needs_its_members_wherever_all_runs_have_moved(home: Path) -> None:
    member = listed_run("202611231409-finetune-é")
    elsewhere = {"name": member.name, "path": f"/old/runs/tiny/{member.name}"}
    other = {"name": member.name, "path": f"/old/runs/fish/{member.name}"}
    listed_run("202611231410-a", record={"members": [other, elsewhere]})
    listed_run("202611231411-b", record={"members": [other]})
    assert reasons(home, member) == ["the ensemble 202611231410-a predicts with it"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("init_from", "started from its weights"), ("pseudo_label", "trains on its labels")],
)
def test_an_unfinished_run_needs_the_one_it_rests_on(home: Path, name: str, words: str) -> None:
    needed = listed_run()
    for number, named in enumerate([needed.name, f"tiny/{needed.name}", str(needed.path)]):
        state = ("interrupted", "failed", "finished")[number]
        listed_run(f"20261124000{number}-x", state=state, hyperparameters={name: named})
    listed_run("202611250000-x", state="failed", hyperparameters={name: f"fish/{needed.name}"})
    assert reasons(home, needed) == [
        f"202611240001-x, which is not finished, {words}",
        f"202611240000-x, which is not finished, {words}",
    ]


def test_a_ladder_needs_its_steps(home: Path) -> None:
    run = listed_run()
    plan = {"started": "2026", "plan": {"steps": {}}, "failed": {}, "runs": {"linear": run.name}}
    for dataset in ("tiny", "fish"):
        (home / "runs" / dataset / "202611231409-ladder").mkdir(parents=True)
        write_yaml(home / "runs" / dataset / "202611231409-ladder" / "ladder.yaml", plan)
    assert reasons(home, run) == ["the ladder 202611231409-ladder has it as its step linear"]


def test_damaged_runs_and_ladders_name_nobody(home: Path) -> None:
    run = listed_run()
    for number, text in enumerate(["run: [", f"run: {run.name}\n", f"# {run.name}\nrun: {{}}\n"]):
        listed_run(f"20261124000{number}-x", state="failed").config_file.write_text(text)
    listed_run("202611240009-x").config_file.unlink()
    odd = listed_run("202611240008-x", state="failed", record={"members": ["odd", 3, run.name]})
    text = odd.config_file.read_text().replace("train:", "train: odd\nold:")
    odd.config_file.write_text(text)
    (home / "runs" / "tiny" / "1-ladder").mkdir()
    (home / "runs" / "tiny" / "1-ladder" / "ladder.yaml").write_text("runs: [")
    assert reasons(home, run) == []


@pytest.mark.forks
@pytest.mark.parametrize("remove", [remove_run, remove_checkpoint])
def test_a_removal_killed_at_any_change_is_finished_by_the_next(
    home: Path, remove: Callable[[Run], None]
) -> None:
    def removed(run: Run) -> None:
        with run.held():
            remove(run)

    for number in range(1, 100):
        run = with_checkpoint(with_models(listed_run(f"2026112314{number:02}-finetune-e3")))
        killed = killed_before_change(number, partial(removed, run))
        for row in list_runs(home / "runs"):
            if row.run.path == run.path and (remove is remove_run or run.checkpoint.exists()):
                removed(run)
        left = [row.run for row in list_runs(home / "runs")]
        assert (run in left) == (remove is remove_checkpoint)
        assert not run.checkpoint.exists()
        assert run.path.exists() == (run in left), "no empty folder is left"
        shutil.rmtree(run.path, ignore_errors=True)
        if not killed:
            break
    assert number > 3
