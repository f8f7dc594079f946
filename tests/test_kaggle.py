"""What is asked of Kaggle, over HTTP through the real package, and what its refusals become."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from kaggle_scoring import log_loss_of
from kaggle_server import (
    KEY,
    TOKEN,
    USER,
    Competition,
    KaggleServer,
    forget_kaggle,
    kaggle_serving,
)

from dlcli import kaggle, kaggle_refusals
from dlcli.competitions import Sent
from dlcli.errors import DlError
from dlcli.kaggle import Kaggle, open_kaggle
from dlcli.kaggle_refusals import Missing
from dlcli.resumable_upload import Broken, upload

SLUG = "dogs-vs-cats-redux-kernels-edition"
SURE = b"id,label\n1,0.9\n2,0.1\n"


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    monkeypatch.setattr(kaggle_refusals, "DELAYS", (0.0, 0.0))
    monkeypatch.setattr(kaggle, "DELAYS", (0.01, 0.01))
    with kaggle_serving(monkeypatch) as server:
        files = {"sample_submission.csv": SURE, "train/cat.1.jpg": b"cat" * 100}
        server.add(Competition(SLUG, log_loss_of({"1": "dog", "2": "cat"}, "dog"), files))
        yield server


@pytest.fixture
def account(server: KaggleServer) -> Kaggle:
    opened = open_kaggle()
    server.calls.clear()
    return opened


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "1a2b3c4d.csv"
    path.write_bytes(SURE)
    return path


def refused(words: str) -> pytest.RaisesExc[DlError]:
    return pytest.raises(DlError, match=words)


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


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_fault_that_passes_is_not_met_by_the_user(
    server: KaggleServer, account: Kaggle, file: Path, code: int
) -> None:
    for method in ("GetSubmissionLimits", "StartSubmissionUpload"):
        server.refuse(method, code, times=2)
    server.refuse("CreateSubmission", code)
    account.limits(SLUG)
    account.submit(SLUG, file, "")
    assert len(server.sent) == 1


def test_an_upload_that_breaks_off_goes_on(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.refuse("Upload", 503)
    account.submit(SLUG, file, "")
    assert server.sent[0].content == SURE
    assert server.calls.count("StartSubmissionUpload") == 1
    assert "UploadStatus" in server.calls


def test_an_upload_whose_link_is_gone_begins_anew(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.refuse("Upload", 404)
    account.submit(SLUG, file, "")
    assert server.calls.count("StartSubmissionUpload") == 2
    assert len(server.sent) == 1


@pytest.mark.parametrize(("code", "words"), [(403, "is refused"), (500, "could not be uploaded")])
def test_an_upload_that_never_ends_well_sends_nothing(
    server: KaggleServer, account: Kaggle, file: Path, code: int, words: str
) -> None:
    server.refuse("Upload", code, times=9)
    server.refuse("UploadStatus", code, times=9)
    with refused(words) as error:
        account.submit(SLUG, file, "")
    assert f"the storage host answers {code}" in error.value.why
    assert "Nothing was submitted" in error.value.hint
    assert server.sent == []


def test_an_upload_whose_answer_is_lost_is_not_sent_again(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.lose_answer("Upload")
    account.submit(SLUG, file, "")
    assert server.calls.count("Upload") == 1
    assert server.sent[0].content == SURE


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "closed"])
def test_a_storage_host_that_does_not_answer_is_given_up_and_its_link_is_shown_nowhere(
    file: Path, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr("dlcli.http_answers.ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        link = f"http://127.0.0.1:{listening.getsockname()[1]}/upload?signature=SECRET"
        if not silent:
            listening.close()
        for resume in (False, True):
            with pytest.raises(Broken) as broken:
                upload(file, link, resume=resume)
            assert broken.value.why == (
                "no answer within 0.1 seconds" if silent else "Connection refused"
            )


def test_an_answer_that_is_lost_sends_nothing_twice(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    account.submit(SLUG, file, "before")
    server.lose_answer("CreateSubmission")
    ref = account.submit(SLUG, file, "after")
    assert [(each.ref, each.description) for each in server.sent] == [
        (server.sent[0].ref, "before"),
        (ref, "after"),
    ]


def test_a_list_that_lags_behind_is_asked_again_before_anything_is_sent_twice(
    server: KaggleServer, account: Kaggle, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Kaggle.submissions
    answers = iter([False, False, True])  # before the order, and after its answer was lost

    def lagging(self: Kaggle, slug: str) -> list[Sent]:
        return listed(self, slug) if next(answers) else []

    monkeypatch.setattr(Kaggle, "submissions", lagging)
    server.lose_answer("CreateSubmission")
    assert account.submit(SLUG, file, "") == server.sent[0].ref
    assert len(server.sent) == 1


def test_an_order_that_did_not_arrive_is_sent_again_once(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.refuse("CreateSubmission", 500)
    ref = account.submit(SLUG, file, "")
    assert [each.ref for each in server.sent] == [ref]
    assert server.calls.count("CreateSubmission") == 2
    server.refuse("CreateSubmission", 500, times=9)
    with refused("a fault of its own") as error:
        account.submit(SLUG, file, "")
    assert "`dl kaggle sync` tells whether it arrived" in error.value.hint
    assert server.calls.count("CreateSubmission") == 4


def test_rules_that_were_not_accepted_are_named_by_their_page(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.competitions[SLUG].rules_accepted = False
    page = f"https://www.kaggle.com/c/{SLUG}/rules"
    for ask in (lambda: account.submit(SLUG, file, ""), lambda: account.download_url(SLUG)):
        with refused("rules have probably not been accepted") as error:
            ask()
        assert page in error.value.hint
    assert "StartSubmissionUpload" in server.calls
    assert server.calls.count("DownloadDataFiles") == 1  # no second try


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


def test_another_refusal_is_told_in_kaggles_words_and_not_as_rules(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.refuse("CreateSubmission", 403, "Competition has ended.")
    with refused("Kaggle refuses that for .*: Competition has ended"):
        account.submit(SLUG, file, "")


def test_a_competition_that_there_is_not_is_told_with_the_nearest(account: Kaggle) -> None:
    with refused("knows no competition 'dog-breed-identifcation'") as error:
        account.limits("dog-breed-identifcation")
    assert "`dog-breed-identification`" in error.value.hint


def test_a_submission_that_there_is_not_is_no_unknown_competition(account: Kaggle) -> None:
    with pytest.raises(Missing, match=f"Kaggle knows no submission 7 to {SLUG}"):
        account.submission(SLUG, 7)


def test_what_kaggle_refuses_is_told_in_its_words(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.refuse("CreateSubmission", 400, "Your team has used its daily allowance.")
    with refused("Your team has used its daily allowance"):
        account.submit(SLUG, file, "")


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
    with refused("Kaggle asks to wait") as error:
        account.limits(SLUG)
    assert "in 60 minutes" in error.value.hint


def test_a_fault_that_stays_and_a_server_that_is_gone_are_sentences(
    server: KaggleServer, account: Kaggle
) -> None:
    server.refuse("GetSubmissionLimits", 502, "Bad gateway", times=9)
    with refused("a fault of its own now: it answers 502: Bad gateway"):
        account.limits(SLUG)
    server.stop()
    with refused("Kaggle can't be reached: Connection refused"):
        account.limits(SLUG)


def test_no_credentials_are_told_in_three_lines(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    with refused("No credentials for Kaggle") as error:
        open_kaggle()
    assert len(error.value.hint.splitlines()) == 3
    assert "https://www.kaggle.com/settings/api" in error.value.hint
    assert capfd.readouterr().out == ""  # the package prints its help there


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("kaggle.json", "[]", "~/.kaggle/kaggle.json does not hold a `username` and a `key`"),
        ("kaggle.json", '{"username": "me"', "~/.kaggle/kaggle.json does not hold"),
        ("kaggle.json", '{"username": "me"}', "~/.kaggle/kaggle.json does not hold"),
        ("access_token", "KGAT_gone", "the one in ~/.kaggle/access_token is not valid"),
        ("other", "", "KAGGLE_USERNAME is set, and KAGGLE_KEY is not"),
        ("access_token", "\n", "none are in its files or in the environment"),
    ],
)
def test_what_is_wrong_with_credentials_is_named(
    server: KaggleServer,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    file: str,
    text: str,
    why: str,
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    if "USERNAME" not in why:
        monkeypatch.delenv("KAGGLE_USERNAME")
    (home / ".kaggle").mkdir(exist_ok=True)
    (home / ".kaggle" / file).write_text(text)
    forget_kaggle()
    with pytest.raises(DlError) as error:
        open_kaggle()
    assert why in error.value.why
    assert "KGAT_gone" not in str(error.value)
    assert error.value.hint.startswith("1. Generate a token")


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_token_is_found_where_kaggles_own_client_finds_it(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch, home: Path, where: str
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    if where == "environment":
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    else:
        (home / ".kaggle").mkdir(exist_ok=True)
        (home / ".kaggle/access_token").write_text(TOKEN)
    account = open_kaggle()
    assert account.limits(SLUG).left == 5


def test_a_key_in_a_file_that_everybody_may_read_is_warned_of(
    server: KaggleServer,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("KAGGLE_KEY", "KAGGLE_USERNAME"):
        monkeypatch.delenv(name)
    (home / ".kaggle").mkdir(exist_ok=True)
    key = home / ".kaggle/kaggle.json"
    key.write_text(json.dumps({"username": USER, "key": KEY}))
    key.chmod(0o644)
    forget_kaggle()
    assert open_kaggle().limits(SLUG).left == 5
    out, err = capfd.readouterr()
    assert out == ""
    assert "readable by other users" in err
    assert KEY not in err


@pytest.mark.parametrize("kind", ["token", "key"])
def test_credentials_that_are_wrong_say_so_and_are_shown_nowhere(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    forget_kaggle()
    if kind == "token":
        monkeypatch.delenv("KAGGLE_KEY")
        monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_secret")
    else:
        monkeypatch.setenv("KAGGLE_KEY", "KGAT_secret")
    with refused("Kaggle does not take the (access token|credentials)") as error:
        open_kaggle().limits(SLUG)
    assert "KGAT_secret" not in str(error.value)
    assert "https://www.kaggle.com/settings/api" in error.value.hint


def test_times_of_submissions_are_kaggles_own(
    server: KaggleServer, account: Kaggle, file: Path
) -> None:
    server.clock_skew_seconds = 86_400.0 * 3
    sent = account.submission(SLUG, account.submit(SLUG, file, ""))
    assert sent.date is not None
    assert sent.date - datetime.now(UTC) > timedelta(days=2)
