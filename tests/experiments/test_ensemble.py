"""An ensemble as a run: judged and submitted like any other, predicted again by its members."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset, picture
from support.predicted_run import predicted_run
from support.small_run import SMALL

from dlcli.config import load_config
from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.files.formats import read_csv, read_yaml, write_yaml
from dlcli.inference.predictions import read_predictions
from dlcli.report.photos import evaluate
from dlcli.report.photos.run_page import Report
from dlcli.runs.run import Run
from dlcli.training import fit

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

QUICK = ("--schedule", "1e-3x2", *SMALL)
VALID = ("valid/cat/cat.1000.png", "valid/dog/dog.1000.png")
TEST = ("test/1.png", "test/2.png")


@pytest.fixture
def root(home: Path) -> Path:
    return make_dataset(home / "data" / "pets", train=2, valid=1, test=2)


@pytest.fixture
def pair(root: Path) -> tuple[Run, Run]:
    """Two runs whose files have rows and columns in different orders."""
    one = predicted_run(
        root,
        "one",
        {VALID[0]: (0.9, 0.1), VALID[1]: (0.4, 0.6)},
        {TEST[0]: (0.8, 0.2), TEST[1]: (0.1, 0.9)},
    )
    two = predicted_run(
        root,
        "two",
        {VALID[1]: (0.8, 0.2), VALID[0]: (0.5, 0.5)},
        {TEST[1]: (0.5, 0.5), TEST[0]: (0.6, 0.4)},
        columns=("dog", "cat"),
    )
    return one, two


def ensembles(home: Path) -> list[Run]:
    return [run for run in Run.all(home / "runs") if "-ensemble-" in run.path.name]


def only_ensemble(home: Path) -> Run:
    (run,) = ensembles(home)
    return run


def probabilities(run: Run, split: str) -> dict[str, list[float]]:
    """Of cat and dog, by image."""
    predictions = read_predictions(run.predictions_file(split))
    assert predictions.classes == ("cat", "dog")
    return dict(zip(predictions.paths, predictions.y_prob.tolist(), strict=True))


def test_probabilities_are_the_mean_by_path_and_by_name(
    dl: Dl, home: Path, pair: tuple[Run, Run]
) -> None:
    ok(dl("ensemble", "one", "two"))
    run = only_ensemble(home)
    assert run.path.name.endswith("-ensemble-m2")
    assert run.dataset == "pets"
    valid, test = probabilities(run, "valid"), probabilities(run, "test")
    assert valid[VALID[0]] == pytest.approx([0.7, 0.3])
    assert valid[VALID[1]] == pytest.approx([0.3, 0.7])
    assert test[TEST[0]] == pytest.approx([0.6, 0.4])
    assert test[TEST[1]] == pytest.approx([0.3, 0.7])
    status = run.status
    assert status["state"] == "finished"
    assert status["val_accuracy"] == 1
    assert run.history == []
    members = run.record.members
    assert [(each.name, each.path) for each in members] == [(each.name, each.path) for each in pair]


def test_it_is_judged_and_submitted_as_the_newest_run(
    dl: Dl, home: Path, pair: tuple[Run, Run]
) -> None:
    ok(dl("ensemble", "one", "two"))
    run = only_ensemble(home)
    said = ok(dl("evaluate", "-d", "pets"))
    assert run.name in said.stderr
    page = run.report_file.read_text()
    assert "two, accuracy 1.0000, log loss 0.4581" in page
    assert "Curves" not in page
    assert read_yaml(run.metrics_file)["log_loss"] == pytest.approx(run.status["val_loss"])
    ok(dl("submit"))
    assert [row[1] for row in read_csv(run.submission_file)[1:]] == ["0.4", "0.7"]


def test_a_lost_file_is_made_again_from_the_members(
    dl: Dl, home: Path, pair: tuple[Run, Run]
) -> None:
    ok(dl("ensemble", "one", "two"))
    run = only_ensemble(home)
    before = run.predictions_file("valid").read_bytes()
    run.predictions_file("valid").unlink()
    ok(dl("evaluate", run.name))
    assert run.predictions_file("valid").read_bytes() == before


def test_a_member_that_is_gone_is_named_once_it_is_needed(
    dl: Dl, home: Path, pair: tuple[Run, Run]
) -> None:
    ok(dl("ensemble", "one", "two"))
    shutil.rmtree(pair[1].path)
    assert (
        "next: `dl submit" in ok(dl("evaluate", "-d", "pets")).stderr
    )  # its predictions are there
    ok(dl("submit", "-d", "pets"))
    only_ensemble(home).predictions_file("test").unlink()
    said = dl("submit")
    assert said.exit_code == 1
    name = only_ensemble(home).name
    assert f"The ensemble {name} can't predict: its member two is gone\n" in said.stderr
    assert "Put back ~/runs/pets/two, or name another run" in said.stderr
    said = ok(dl("evaluate"))
    assert said.stderr.endswith("; its member two is gone, so it can predict no other images\n")


def test_photos_are_predicted_by_the_newest_run_that_has_its_members(
    dl: Dl, home: Path, pair: tuple[Run, Run]
) -> None:
    ok(dl("ensemble", "one", "two"))
    name = only_ensemble(home).name
    only_ensemble(home).update_status(val_loss=0.001)
    shutil.rmtree(pair[1].path)
    said = dl("predict", "-d", "pets", home / "data/pets/valid")
    assert f"Passed over {name}: its member two is gone.\nRun ~/runs/pets/one (" in said.stderr
    assert said.stderr.count("Passed over") == 1


def test_members_are_found_where_the_folder_of_runs_is_now(
    dl: Dl, home: Path, pair: tuple[Run, Run]
) -> None:
    ok(dl("ensemble", "one", "two"))
    name = only_ensemble(home).path.name
    (home / "runs").rename(home / "results")
    moved = Run(home / "results" / "pets" / name)
    moved.predictions_file("valid").unlink()
    ok(dl("evaluate", moved.path))
    assert moved.predictions_file("valid").is_file()


def test_an_ensemble_may_have_ensembles_as_members(
    dl: Dl, home: Path, root: Path, pair: tuple[Run, Run]
) -> None:
    ok(dl("ensemble", "one", "two"))
    inner = only_ensemble(home)
    predicted_run(root, "three", {VALID[0]: (0.1, 0.9), VALID[1]: (0.1, 0.9)})
    ok(dl("ensemble", inner.name, "three"))
    (outer,) = [run for run in ensembles(home) if run != inner]
    assert probabilities(outer, "valid")[VALID[0]] == pytest.approx([0.4, 0.6])
    assert not outer.predictions_file("test").exists()
    inner.predictions_file("valid").unlink()
    outer.predictions_file("valid").unlink()
    ok(dl("evaluate", outer.name))
    assert probabilities(outer, "valid")[VALID[0]] == pytest.approx([0.4, 0.6])


def test_its_report_shows_images_by_the_newest_rule_of_its_members(
    dl: Dl, home: Path, pair: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("ensemble", "one", "two"))
    reports: list[Report] = []
    monkeypatch.setattr(evaluate, "write_report", lambda report, folder: reports.append(report))

    def shown_by() -> int:
        evaluate.evaluate_run(only_ensemble(home), None, load_config())
        return reports[-1].version

    assert shown_by() == 1
    config = pair[0].config
    config["run"]["pixels"]["version"] = 2
    write_yaml(pair[0].config_file, config)
    assert shown_by() == 2
    shutil.rmtree(pair[0].path)
    assert shown_by() == 1
    shutil.rmtree(pair[1].path)
    assert shown_by() == 2


def test_a_member_of_itself_is_refused(dl: Dl, home: Path, pair: tuple[Run, Run]) -> None:
    ok(dl("ensemble", "one", "two"))
    run = only_ensemble(home)
    config = run.config
    config["run"]["members"][1] |= {"path": str(run.path)}
    write_yaml(run.config_file, config)
    run.predictions_file("valid").unlink()
    said = dl("evaluate", run.name)
    assert said.exit_code == 1
    assert "is a member of itself" in said.stderr


def test_an_image_that_one_member_could_not_read_is_left_out_and_it_is_said(
    dl: Dl, home: Path, root: Path, pair: tuple[Run, Run]
) -> None:
    predicted_run(root, "three", {VALID[1]: (0.2, 0.8)})
    said = ok(dl("ensemble", "one", "three"))
    assert "Left out 1 of valid" in said.stderr
    run = only_ensemble(home)
    assert set(probabilities(run, "valid")) == {VALID[1]}
    # scores are of the same images for all, so that they can be compared
    assert run.record.members[0].val_loss == pytest.approx(0.5108256)


def test_the_same_images_under_another_path_are_fine(
    dl: Dl, home: Path, root: Path, pair: tuple[Run, Run]
) -> None:
    shutil.copytree(root, home / "data" / "copy")  # keeps times
    predicted_run(home / "data" / "copy", "three", dict.fromkeys(VALID, (0.5, 0.5)))
    ok(dl("ensemble", "one", "three"))
    assert only_ensemble(home).dataset == "pets"


def test_without_the_images_the_members_predictions_still_serve(
    dl: Dl, home: Path, root: Path, pair: tuple[Run, Run]
) -> None:
    shutil.rmtree(root)
    said = ok(dl("ensemble", "one", "two"))
    run = only_ensemble(home)
    assert f"next: `dl evaluate {run.name}`" in said.stderr
    ok(dl("evaluate", run.name))
    ok(dl("submit", run.name))


def test_its_settings_can_be_given_to_a_command(dl: Dl, home: Path, pair: tuple[Run, Run]) -> None:
    ok(dl("ensemble", "one", "two"))
    said = ok(dl("config", "show", "--config", only_ensemble(home).config_file))
    assert "~/data/pets" in said.stdout


def test_there_is_nothing_to_resume(dl: Dl, home: Path, pair: tuple[Run, Run]) -> None:
    ok(dl("ensemble", "one", "two"))
    assert "is finished" in dl("resume", only_ensemble(home).name).stderr


def trained(home: Path) -> list[Run]:
    return [run for run in Run.all(home / "runs") if "-ensemble-" not in run.name]


def test_members_are_trained_with_a_seed_each_on_the_same_features(
    dl: Dl, home: Path, tiny: Path
) -> None:
    said = ok(dl("train", "finetune", "--members", "3", "--seed", "4", "-d", tiny, *QUICK))
    for number, seed in ((1, 4), (2, 5), (3, 6)):
        assert f"Member {number} of 3 (seed {seed})" in said.stderr
    runs = trained(home)
    for run in runs:  # the diagnosis ends every training
        assert Diagnosis.of(run.status["diagnosis"]).in_short in said.stderr
    assert sorted(run.config["seed"] for run in runs) == [4, 5, 6]
    assert len({tuple(run.history[0].items()) for run in runs}) == 3
    assert len(list((tiny / "features").iterdir())) == 1
    ensemble = only_ensemble(home)
    losses = [run.status["val_loss"] for run in runs]
    assert ensemble.status["val_loss"] <= sum(losses) / 3 + 1e-6
    assert ensemble.predictions_file("test").is_file() == runs[0].predictions_file("test").is_file()
    assert ensemble.name in said.stdout
    assert "next: `dl evaluate`" in said.stderr


def test_new_images_are_predicted_through_the_members(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "finetune", "--members", "2", "-d", tiny, *QUICK))
    picture(1, 77).save(tiny / "test" / "6.png")
    (tiny / "sample_submission.csv").unlink()
    ok(dl("submit"))
    run = only_ensemble(home)
    mean = probabilities(run, "test")
    each = [probabilities(member, "test") for member in trained(home)]
    assert len(mean) == 6
    for path, row in mean.items():
        assert row == pytest.approx(
            [sum(p) / 2 for p in zip(*(m[path] for m in each), strict=True)]
        )
    assert "have changed" not in ok(dl("submit")).stderr


def test_ctrl_c_in_a_member_says_how_to_go_on_and_that_works(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", "finetune", "-d", tiny, *SMALL)
    keep = fit.save_checkpoint
    saves = 0

    def stop_in_the_second(*arguments: object) -> None:
        nonlocal saves
        keep(*arguments)  # type: ignore[arg-type]
        saves += 1
        if saves == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "save_checkpoint", stop_in_the_second)
    said = dl(*command, "--schedule", "1e-2", "--members", "3")
    assert said.exit_code == 130
    (stopped,) = [run.name for run in trained(home) if run.state == "interrupted"]
    (finished,) = [run.name for run in trained(home) if run.state == "finished"]
    assert f"`dl resume {stopped}`" in said.stderr
    assert said.stderr.splitlines()[-2:] == [
        "Train the last member: the same command with `--seed 2` in place of `--members 3`.",
        f"Make the ensemble: `dl ensemble {finished}`, with the names of the other 2 runs added.",
    ]
    assert ensembles(home) == []
    ok(dl("resume", stopped))
    ok(dl(*command, "--schedule", "1e-2", "--seed", "2"))
    ok(dl("ensemble", *(run.name for run in trained(home))))
    assert len(only_ensemble(home).record.members) == 3
