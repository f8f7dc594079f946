"""What Kaggle does not do, in its own words or better ones, and how long it is waited for."""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from support.kaggle_server import KaggleServer
from support.two_pictures import SLUG

from dlcli.errors import DlError
from dlcli.kaggle.account import Kaggle, Missing


def test_rules_that_were_not_accepted_are_named_by_their_page(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.competitions[SLUG].rules_accepted = False
    page = f"https://www.kaggle.com/c/{SLUG}/rules"
    for ask in (lambda: account.submit(SLUG, file, ""), lambda: account.download_url(SLUG)):
        with pytest.raises(DlError, match="you have probably not accepted its rules") as error:
            ask()
        assert page in error.value.hint
    assert "StartSubmissionUpload" in server.calls
    assert server.calls.count("DownloadDataFiles") == 1  # no second try


def test_another_refusal_is_told_in_kaggles_words_and_not_as_rules(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.refuse("CreateSubmission", 403, "Competition has ended.")
    with pytest.raises(DlError, match=r"Kaggle refuses the request for .*: Competition has ended"):
        account.submit(SLUG, file, "")


def test_what_kaggle_refuses_is_told_in_its_words(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.refuse("CreateSubmission", 400, "Your team has used its daily allowance.")
    with pytest.raises(DlError, match="Your team has used its daily allowance"):
        account.submit(SLUG, file, "")


def test_a_competition_that_there_is_not_is_told_with_the_nearest(account: Kaggle) -> None:
    with pytest.raises(
        DlError, match="does not know a competition 'dog-breed-identifcation'"
    ) as error:
        account.limits("dog-breed-identifcation")
    assert "`dog-breed-identification`" in error.value.hint


def test_a_submission_that_there_is_not_is_no_unknown_competition(account: Kaggle) -> None:
    with pytest.raises(Missing, match=f"Kaggle does not know submission 7 to {SLUG}"):
        account.submission(SLUG, 7)


@pytest.mark.parametrize("skew", [0.0, 172_800.0, -172_800.0])
def test_a_wait_that_kaggle_asks_for_is_kept_by_its_own_clock(
    server: KaggleServer, account: Kaggle, monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    server.clock_skew_seconds = skew
    server.refuse("GetSubmissionLimits", 429, headers={"Retry-After": "7"})
    later = format_datetime(server.now().astimezone(UTC) + timedelta(seconds=30), usegmt=True)
    server.refuse("GetSubmissionLimits", 429, headers={"Retry-After": later})
    account.limits(SLUG)
    assert waited[0] == 7
    assert 28 <= waited[1] <= 31


def test_a_wait_of_an_hour_is_said_instead(server: KaggleServer, account: Kaggle) -> None:
    server.refuse("GetSubmissionLimits", 429, headers={"Retry-After": "3600"})
    with pytest.raises(DlError, match="Kaggle asks to wait") as error:
        account.limits(SLUG)
    assert "in 60 minutes" in error.value.hint


def test_a_fault_that_stays_and_a_server_that_is_gone_are_sentences(
    server: KaggleServer, account: Kaggle
) -> None:
    server.refuse("GetSubmissionLimits", 502, "Bad gateway", times=9)
    with pytest.raises(DlError, match="a problem at the moment: it answers 502: Bad gateway"):
        account.limits(SLUG)
    server.stop()
    with pytest.raises(DlError, match="Kaggle cannot be reached: Connection refused"):
        account.limits(SLUG)
