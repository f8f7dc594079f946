"""`dl kaggle`: where one stands, what was sent, and what valid scores are worth."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.competition_entry import SLUG, finished_run
from support.kaggle_competition import Competition
from support.kaggle_server import KaggleServer

from dlcli.kaggle.record import Entry, keep

TEAMS = [(f"team {place}", 0.02 * place) for place in range(1, 21)]


@pytest.fixture
def server(server: KaggleServer) -> KaggleServer:
    """Kaggle, with teams in the competition."""
    server.competitions[SLUG].leaderboard = list(TEAMS)
    return server


@pytest.fixture
def competition(server: KaggleServer) -> Competition:
    return server.competitions[SLUG]


@pytest.fixture
def root(root: Path, dl: Dl) -> Path:
    """The dataset, the one last named."""
    ok(dl("data", "ls", "pets"))
    return root


def sent_by(dl: Dl, root: Path, *sure: float) -> list[str]:
    """Send a run for each of some certainties; their names."""
    names = []
    for number, each in enumerate(sure):
        run = finished_run(root, f"2026112314{number:02}-finetune-e{number}", each)
        ok(dl("submit", run.name))
        names.append(run.name)
    return names


def test_status_says_rank_percentile_and_whether_valid_tells_the_truth(
    dl: Dl, competition: Competition, root: Path
) -> None:
    first, second, third = sent_by(dl, root, 0.7, 0.9, 0.8)
    said = ok(dl("kaggle", "status"))
    assert f"competition  {SLUG}  (log loss, less is better)" in said.stdout
    assert "submissions  3 sent, 2 left today" in said.stdout
    assert f"best         0.10536  ({second})" in said.stdout
    assert "rank         6 of 20  (top 30.0 %)" in said.stdout
    rows = [line.split() for line in said.stdout.splitlines() if line.startswith("2026")]
    assert [[*row[:3], row[4]] for row in rows] == [
        [first, "0", "0.35667", "0.35667"],
        [second, "0", "0.10536", "0.10536"],
        [third, "0", "0.22314", "0.22314"],
    ]
    assert all(re.fullmatch(r"0\.\d{3}-\d\.\d{3}", row[3]) for row in rows)
    assert "Outside" not in said.stderr
    assert (
        "+0.0000 on average over 3 runs. Public scores: 3 of 3 within the expected range"
        in said.stderr
    )
    assert "Correlation of valid and public scores: 1.00; of their ranks: 1.00." in said.stderr
    plain = json.loads(ok(dl("kaggle", "status", "--json")).stdout)
    assert plain["rank"] == {"place": 6, "teams": 20, "percentile": 30.0}
    assert [each["run"] for each in plain["submissions"]] == [first, second, third]
    assert plain["validation"]["runs"] == 3


def test_status_before_anything_was_sent(dl: Dl, competition: Competition, root: Path) -> None:
    said = ok(dl("kaggle", "status"))
    assert "submissions  0 sent, 5 left today" in said.stdout
    assert "rank" not in said.stdout
    assert "next: `dl submit`" in said.stderr


def test_a_validation_that_does_not_tell_the_truth_is_told_as_such(
    dl: Dl, competition: Competition, root: Path
) -> None:
    competition.scorer = lambda rows: 9.0 if rows[1][1] == "0.1" else 8.0
    sent_by(dl, root, 0.7, 0.9, 0.8)
    said = ok(dl("kaggle", "status"))
    assert "0 of 3 within the expected range" in said.stderr
    assert "Correlation of valid and public scores: -0.8" in said.stderr
    assert said.stderr.count("Outside its expected range: 2026") == 3
    assert "public 9.00000, expected 0.105-" in said.stderr


def test_submissions_are_listed_with_the_runs_that_made_them(
    dl: Dl, server: KaggleServer, root: Path
) -> None:
    (name,) = sent_by(dl, root, 0.9)
    server.slow_scoring = 99
    run = finished_run(root, "202611231500-fc", 0.8)
    ok(dl("submit", run.name, "--no-wait", "-m", "slow"))
    said = ok(dl("kaggle", "submissions"))
    header, newest, oldest = said.stdout.splitlines()
    assert header.split() == ["ref", "sent", "(UTC)", "public", "clip", "run"]
    assert newest.split()[0] == str(server.sent[1].ref)
    assert newest.split()[3:] == ["pending", "0", run.name]
    assert oldest.split()[3:] == ["0.10536", "0", name]
    plain = json.loads(ok(dl("kaggle", "submissions", "--json")).stdout)
    assert [(each["state"], each["run"]) for each in plain] == [
        ("pending", run.name),
        ("complete", name),
    ]
    assert json.loads(ok(dl("kaggle", "sync", "--json")).stdout) == []


def test_the_leaderboard_shows_the_best_and_ones_own_place(
    dl: Dl, competition: Competition, root: Path
) -> None:
    sent_by(dl, root, 0.8)
    said = ok(dl("kaggle", "leaderboard", "--top", "2"))
    places = [line.split()[0] for line in said.stdout.splitlines()]
    assert places == ["place", "1", "2", "...", "10", "11", "12", "12", "13"]
    assert "12     -> your best  0.22314" in said.stdout
    assert "20 teams in" in said.stderr
    whole = json.loads(ok(dl("kaggle", "leaderboard", "--top", "99", "--json")).stdout)
    assert len(whole) == 21
    assert [each["score"] for each in whole if each["own"]] == [0.22314]


def test_no_competition_is_an_error_that_says_how_to_name_one(
    dl: Dl, server: KaggleServer, root: Path
) -> None:
    (root / "dataset.yaml").unlink()
    for command in ("status", "submissions", "leaderboard", "sync"):
        refused(dl("kaggle", command), "No competition is known for ~/data/pets", "`-c NAME`")
    assert server.calls == []
    ok(dl("kaggle", "status", "-c", SLUG))


def test_rules_that_were_not_accepted_are_named_before_anything_is_sent(
    dl: Dl, competition: Competition, root: Path
) -> None:
    competition.rules_accepted = False
    said = ok(dl("kaggle", "status")).stderr
    assert f"https://www.kaggle.com/c/{SLUG}/rules" in said
    assert "dl submit" not in said


def test_sync_says_what_is_still_scored_and_what_never_arrived(
    dl: Dl, server: KaggleServer, root: Path
) -> None:
    server.slow_scoring = 99
    run = finished_run(root)
    ok(dl("submit", run.name, "--no-wait"))
    keep(run, [Entry("1a2b3c4d", SLUG, "2026-11-23T14:09:31Z")])
    said = ok(dl("kaggle", "sync")).stderr
    assert "Still being sent or scored: 1" in said
    assert f"1a2b3c4d.csv of {run.name} never reached Kaggle" in said
    assert "never reached" not in ok(dl("kaggle", "sync")).stderr


def test_a_page_of_a_competition_will_do_as_its_name(
    dl: Dl, server: KaggleServer, root: Path
) -> None:
    page = f"https://www.kaggle.com/competitions/{SLUG}/overview"
    assert SLUG in ok(dl("kaggle", "status", "-c", page)).stdout


def test_without_a_dataset_a_named_competition_will_do(dl: Dl, server: KaggleServer) -> None:
    assert SLUG in ok(dl("kaggle", "status", "-c", SLUG)).stdout
    refused(dl("kaggle", "status"), "No dataset is named", "or `-c COMPETITION`")
    refused(dl("kaggle", "sync", "-c", SLUG), "No dataset is named", "`-d DATASET`")
