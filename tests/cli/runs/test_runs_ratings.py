"""`dl runs` and its commands on runs of ratings, and on runs of both kinds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.judged_run import PRINTS, judged_run, last_named_ratings, off_by
from support.listed_runs import listed_run
from support.terminal import at_terminal

DOT, BIAS = "202611231409-collab-dot-e3", "202611231412-collab-bias-e3"
NET = "202611231411-collab-net-e15-lr0.005-s3"
PHOTOS = "202611231413-finetune-e12-lr0.003-t1"


@pytest.fixture
def films(home: Path) -> Path:
    """A dataset of ratings, the last named, with three runs; the second was interrupted."""
    root = last_named_ratings()
    judged_run(DOT, off_by(0.5, -0.5))
    judged_run(NET, off_by(1.0, -0.5), recipe="collab-net", state="interrupted")
    judged_run(BIAS, off_by(1.0, -0.9, 0.1), recipe="collab-bias")
    return root


@pytest.mark.usefixtures("films")
def test_a_list_has_the_scores_of_ratings(dl: Dl) -> None:
    lines = ok(dl("runs")).stdout.splitlines()
    assert lines[0].split() == ["run", "state", "epochs", "val_loss", "rmse", "seconds"]
    assert lines[1].split() == [BIAS, "finished", "3", "0.6067", "0.7789", "12.3"]
    assert len(lines) == 4


@pytest.mark.usefixtures("films")
def test_runs_of_both_kinds_have_a_column_for_each_score_and_fit_a_terminal() -> None:
    listed_run(PHOTOS, dataset="dogscats")
    whole = at_terminal("-m", "dlcli", "runs", "--all", columns=120)
    assert "val_loss  accuracy    rmse" in whole
    lines = at_terminal("-m", "dlcli", "runs", "--all", columns=80).splitlines()
    assert max(map(len, lines)) <= 80
    shown = [" ".join(line.split()) for line in lines]
    assert f"{PHOTOS} finished 0.2500 0.9000" in shown
    assert f"{BIAS} finished 0.6067 0.7789" in shown
    assert "dogscats" in shown


@pytest.mark.usefixtures("films")
def test_filters_sorting_csv_and_json_know_the_second_score(dl: Dl) -> None:
    rows = list(csv.DictReader(ok(dl("runs", "val_rmse<0.78", "--csv")).stdout.splitlines()))
    assert [row["run"] for row in rows] == [BIAS, DOT]
    assert [row["val_rmse"][:6] for row in rows] == ["0.7788", "0.5"]
    assert {row["val_accuracy"] for row in rows} == {""}
    found = json.loads(ok(dl("runs", "rmse<0.78", "--sort", "rmse", "--json")).stdout)
    assert [row["run"] for row in found] == [DOT, BIAS]
    assert found[0]["val_rmse"] == 0.5
    assert ok(dl("runs", "best", "--metric", "val_rmse")).stdout == f"{DOT}\n"


@pytest.mark.usefixtures("films")
def test_show_names_the_scores_and_what_to_type_next(dl: Dl) -> None:
    said = ok(dl("runs", "show", DOT))
    assert "valid loss      0.25" in said.stdout
    assert "valid rmse      0.5" in said.stdout
    assert said.stderr.splitlines()[-1] == f"Next: `dl evaluate {DOT}`"
    found = json.loads(ok(dl("runs", "show", DOT, "--json")).stdout)
    assert (found["val_rmse"], found["train_rmse"]) == (0.5, 0.4472)


@pytest.mark.parametrize(("pairs", "command"), [(True, "submit"), (False, "predict")])
def test_after_the_report_comes_a_submission_of_pairs_or_a_prediction(
    dl: Dl, films: Path, pairs: bool, command: str
) -> None:
    (films.parent.parent / "runs" / "films" / DOT / "report.html").touch()
    if pairs:
        (films / "test").mkdir()
        (films / "test" / "pairs.csv").write_text("user,item\n")
    further = "" if pairs else " --user ID --top 10"
    said = ok(dl("runs", "show", DOT)).stderr
    assert said.splitlines()[-1] == f"Next: `dl {command} {DOT}{further}`"


@pytest.mark.usefixtures("films")
def test_compare_prints_both_errors_and_a_sentence_on_chance(dl: Dl) -> None:
    said = ok(dl("runs", "compare", DOT, BIAS))
    header, first, second = said.stdout.splitlines()[:3]
    assert header.split()[-4:] == ["valid", "RMSE", "MSE", "seconds"]
    assert first.split()[-3:] == ["0.5000", "0.2500", "12.3"]
    assert second.split()[-3:] == ["0.7789", "0.6067", "12.3"]
    assert "120 ratings by 20 users): more than chance explains." in said.stdout
    found = json.loads(ok(dl("runs", "compare", DOT, BIAS, "--json")).stdout)
    assert found["ratings"] == 120
    assert found["runs"][0]["val_rmse"] == 0.5
    (contrast,) = found["contrasts"]
    assert contrast["users"] == 20
    assert contrast["mse_difference"] == pytest.approx(0.3567, abs=1e-4)
    assert Path(found["picture"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("films")
def test_diff_shows_recipes_settings_and_ratings(dl: Dl) -> None:
    other = {"path": "/data/films", "fingerprints": PRINTS, "ratings": {"train": 1}}
    judged_run("other", hyperparameters={"l2": 0.5}, record={"dataset": other})
    said = ok(dl("runs", "diff", DOT, "other")).stdout
    assert [line.split() for line in said.splitlines()[1:3]] == [
        ["l2", "0.01", "0.5"],
        ["dataset.ratings.train", "400", "1"],
    ]


@pytest.mark.usefixtures("films")
def test_the_page_of_runs_has_the_scores_of_ratings(dl: Dl, home: Path) -> None:
    ok(dl("runs", "report"))
    page = (home / "runs" / "films" / "report.html").read_text()
    assert "valid RMSE" in page
    assert "accuracy" not in page
    assert "validation loss 0.250, RMSE 0.500" in page
    assert "Validation RMSE" in page
    assert "400" in page
    assert "A&#39;s MSE is lower than B&#39;s by 0.3567" in page


@pytest.mark.usefixtures("home")
def test_without_runs_a_recipe_for_ratings_is_named(dl: Dl) -> None:
    last_named_ratings()
    assert "next: `dl train collab-dot`" in ok(dl("runs")).stderr
    said = dl("runs", "compare").stderr
    assert "Train one: `dl train collab-dot`." in said
