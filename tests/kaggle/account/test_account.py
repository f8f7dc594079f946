"""What is asked of Kaggle, over HTTP through the real package, and what it answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.kaggle_server import KaggleServer
from support.two_pictures import SLUG, SURE

from dlcli.kaggle.account import Kaggle


def test_files_limits_and_the_leaderboard_are_told(server: KaggleServer, account: Kaggle) -> None:
    server.most_per_page = 1
    server.competitions[SLUG].leaderboard = [("first", 0.03), ("second", 0.04)]
    assert [(each.name, each.bytes) for each in account.files(SLUG)] == [
        ("sample_submission.csv", len(SURE)),
        ("train/cat.1.jpg", 300),
    ]
    assert account.limits(SLUG).left == 5
    assert [(each.team, each.score) for each in account.leaderboard(SLUG)] == [
        ("first", 0.03),
        ("second", 0.04),
    ]


def test_a_file_is_sent_and_its_score_comes_back(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.slow_scoring = 2
    ref = account.submit(SLUG, file, "my run")
    first = account.submission(SLUG, ref)
    assert (first.state, first.public_score) == ("pending", None)
    account.submission(SLUG, ref)
    scored = account.submission(SLUG, ref)
    assert (scored.state, scored.public_score) == ("complete", 0.10536)
    assert (scored.file_name, scored.message) == ("1a2b3c4d.csv", "my run")
    assert account.limits(SLUG).left == 4
    assert [each.ref for each in account.submissions(SLUG)] == [ref]


def test_a_submission_that_can_not_be_scored_says_why(account: Kaggle, file: Path) -> None:
    file.write_bytes(b"id,label\n1,0.9\n")
    sent = account.submission(SLUG, account.submit(SLUG, file, ""))
    assert (sent.state, sent.reason) == ("error", "Submission must have 2 rows")


def test_times_of_submissions_are_kaggles_own(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.clock_skew_seconds = 86_400.0 * 3
    sent = account.submission(SLUG, account.submit(SLUG, file, ""))
    assert sent.date is not None
    assert sent.date - datetime.now(UTC) > timedelta(days=2)


def test_where_the_data_lies_is_told_without_beginning_to_fetch_it(
    server: KaggleServer, account: Kaggle
) -> None:
    assert account.download_url(SLUG).startswith(server.storage.url)
    assert server.calls == ["DownloadDataFiles"]


def test_the_package_that_there_is_a_newer_one_of_says_nothing_on_stdout(
    server: KaggleServer, account: Kaggle, capfd: pytest.CaptureFixture[str]
) -> None:
    server.api_version = "9.0"
    account.limits(SLUG)
    assert capfd.readouterr().out == ""
