"""The real `kaggle` package does all its calls against the server of the tests."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.kaggle_competition import Competition
from support.kaggle_package import forget_kaggle, kaggle_serving
from support.kaggle_scoring import accuracy_of, log_loss_of
from support.kaggle_server import KEY, TOKEN, USER, KaggleServer
from support.loopback import Outside, loopback_only

SLUG = "dogs-vs-cats-redux-kernels-edition"
SOLUTION = {"1": "dog", "2": "cat", "3": "dog", "4": "cat"}
SAMPLE = b"id,label\n1,0.5\n2,0.5\n3,0.5\n4,0.5\n"
SURE = b"id,label\n1,0.9\n2,0.1\n3,0.9\n4,0.1\n"


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with kaggle_serving(monkeypatch) as server:
        files = {"sample_submission.csv": SAMPLE, "train/cat.1.jpg": b"cat" * 100_000}
        server.add(Competition(SLUG, log_loss_of(SOLUTION, "dog"), files))
        yield server


@pytest.fixture
def competition(server: KaggleServer) -> Competition:
    return server.competitions[SLUG]


def api() -> Any:
    """The package as a new process finds it."""
    forget_kaggle()
    import kaggle

    return kaggle.api


def submit(content: bytes, name: str = "submission.csv", message: str = "") -> Any:
    file = Path(name)
    file.write_bytes(content)
    return api().competition_submit(str(file), message, SLUG, quiet=True)


def submission(ref: int) -> Any:
    from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

    request = ApiGetSubmissionRequest()
    request.ref = ref
    with api().build_kaggle_client() as client:
        return client.competitions.competition_api_client.get_submission(request)


def refused(status: int) -> Any:
    from requests import HTTPError

    return pytest.raises(HTTPError, match="|".join((str(status), "Unauth", "accept", "allow")))


def test_files_are_listed_page_by_page(server: KaggleServer) -> None:
    first = api().competition_list_files(SLUG, page_size=1)
    assert [(f.name, f.total_bytes) for f in first.files] == [("sample_submission.csv", 33)]
    assert first.files[0].creation_date == datetime(2024, 5, 17, 12)
    second = api().competition_list_files(SLUG, page_token=first.next_page_token, page_size=1)
    assert [f.name for f in second.files] == ["train/cat.1.jpg"]
    assert not second.next_page_token


def test_everything_downloads_as_one_zip(server: KaggleServer, competition: Competition) -> None:
    api().competition_download_files(SLUG, path="data")
    with zipfile.ZipFile(f"data/{SLUG}.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == competition.files
    assert server.calls == ["DownloadDataFiles", "Download"]


def test_one_file_downloads_as_it_is_or_zipped(
    server: KaggleServer, competition: Competition
) -> None:
    from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFileRequest

    request = ApiDownloadDataFileRequest()
    request.competition_name, request.file_name = SLUG, "sample_submission.csv"
    with api().build_kaggle_client() as client:
        plain = client.competitions.competition_api_client.download_data_file(request)
        competition.zipped = ("sample_submission.csv",)
        packed = client.competitions.competition_api_client.download_data_file(request)
    assert plain.content == SAMPLE
    assert packed.url.partition("?")[0].endswith("/sample_submission.csv.zip")
    assert zipfile.ZipFile(io.BytesIO(packed.content)).read("sample_submission.csv") == SAMPLE


def test_a_download_that_breaks_is_resumed(
    server: KaggleServer, competition: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.break_download(100_000)
    competition.archive = bytes(range(256)) * 1000
    api().competition_download_files(SLUG, path="data")
    assert Path("data", f"{SLUG}.zip").read_bytes() == competition.archive
    assert sum(server.storage.sent) < 2 * len(competition.archive)


@pytest.mark.parametrize("name", ["submission.csv", "submission.csv.gz"])
def test_a_submission_is_scored(server: KaggleServer, name: str) -> None:
    content = gzip.compress(SURE) if name.endswith(".gz") else SURE
    response = submit(content, name, "three backbones")
    assert "Successfully submitted" in response.message
    found = submission(response.ref)
    assert found.status.name == "COMPLETE"
    assert found.public_score == f"{-math.log(0.9):.5f}" == "0.10536"
    assert (found.description, found.file_name) == ("three backbones", name)
    assert found.total_bytes == len(content)
    assert abs((datetime.now(UTC).replace(tzinfo=None) - found.date).total_seconds()) < 60
    calls = ["StartSubmissionUpload", "Upload", "CreateSubmission", "GetSubmission"]
    assert server.calls == calls


def test_a_submission_is_pending_before_it_is_scored(server: KaggleServer) -> None:
    server.slow_scoring = 2
    ref = submit(SURE).ref
    looks = [submission(ref) for _ in range(3)]
    assert [look.status.name for look in looks] == ["PENDING", "PENDING", "COMPLETE"]
    assert [look.public_score for look in looks] == ["", "", "0.10536"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"id,label\n1,0.5\n", "4 rows"), (SURE.replace(b"0.9", b"dog"), "dog"), (b"\x1f\x8b", "")],
)
def test_what_can_not_be_scored_ends_in_an_error(
    server: KaggleServer, content: bytes, reason: str
) -> None:
    found = submission(submit(content).ref)
    assert found.status.name == "ERROR"
    assert reason in found.error_description
    assert found.public_score == ""
    assert api().competition_get_submission_limits(SLUG).num_allowed_now == 5


def test_own_submissions_are_listed_newest_first(server: KaggleServer) -> None:
    refs = [submit(SURE, message=f"number {i}").ref for i in range(3)]
    listed = api().competition_submissions(SLUG, page_size=2)
    assert [each.ref for each in listed] == refs[:0:-1]
    rest = api().competition_submissions(SLUG, page_number=2, page_size=2)
    assert [each.ref for each in rest] == refs[:1]


def test_limits_count_down_to_a_refusal(server: KaggleServer, competition: Competition) -> None:
    competition.daily_limit = 2
    submit(SURE)
    limits = api().competition_get_submission_limits(SLUG)
    assert (limits.num_today, limits.num_total, limits.num_allowed_now) == (1, 1, 1)
    submit(SURE)
    assert api().competition_get_submission_limits(SLUG).num_allowed_now == 0
    with refused(400):
        submit(SURE)
    server.clock_skew_seconds = 86400
    assert api().competition_get_submission_limits(SLUG).num_allowed_now == 2


def test_the_leaderboard_comes_in_pages(server: KaggleServer, competition: Competition) -> None:
    competition.leaderboard = [(f"team {i}", 0.04 + i / 1000) for i in range(3)]
    rows = api().competition_leaderboard_view(SLUG, page_size=2)
    assert [(row.team_name, row.score) for row in rows] == [
        ("team 0", "0.04000"),
        ("team 1", "0.04100"),
    ]
    assert [row.team_name for row in api().competition_leaderboard_view(SLUG, 2, "2")] == ["team 2"]


def test_a_token_and_a_key_are_both_known(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api().config_values["auth_method"] == "LEGACY_API_KEY"
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    package = api()
    assert package.config_values["auth_method"] == "ACCESS_TOKEN"
    assert package.config_values["username"] == USER
    assert package.competition_list_files(SLUG).files
    assert server.calls == ["IntrospectToken", "ListDataFiles"]


def test_a_key_in_the_home_of_now_is_found(
    server: KaggleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    (home / ".kaggle").mkdir()
    file = home / ".kaggle" / "kaggle.json"
    file.write_text(f'{{"username": "{USER}", "key": "{KEY}"}}')
    file.chmod(0o600)
    assert api().competition_list_files(SLUG).files


def test_wrong_credentials_are_refused(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "another")
    with refused(401):
        api().competition_list_files(SLUG)


def test_who_has_not_accepted_the_rules_may_look_and_no_more(
    server: KaggleServer, competition: Competition
) -> None:
    competition.rules_accepted = False
    assert api().competition_list_files(SLUG).files
    assert api().competition_get_submission_limits(SLUG).num_allowed_now == 0
    with refused(403):
        api().competition_download_files(SLUG, path="data")
    with refused(403):
        submit(SURE)


def test_a_call_fails_as_often_as_was_asked(server: KaggleServer) -> None:
    server.refuse("ListDataFiles", 503, times=2, headers={"Retry-After": "1"})
    for _ in range(2):
        with refused(503) as error:
            api().competition_list_files(SLUG)
        assert error.value.response.headers["Retry-After"] == "1"
    assert api().competition_list_files(SLUG).files


def test_a_lost_answer_is_work_done_unheard(server: KaggleServer) -> None:
    from requests import ConnectionError

    server.lose_answer("CreateSubmission")
    with pytest.raises(ConnectionError):
        submit(SURE)
    assert len(server.sent) == 1


def test_an_upload_that_broke_off_goes_on_where_it_stopped(server: KaggleServer) -> None:
    server.refuse("Upload", 503)
    assert submit(SURE).ref == 0
    token, (length, there) = next(iter(server.storage.uploads.items()))
    assert (length, len(there)) == (len(SURE), len(SURE) // 2)
    url = f"{server.storage.url}/upload/{token}"
    api().upload_complete("submission.csv", url, quiet=True, resume=True)
    assert server.storage.uploads[token] == (length, SURE)
    assert server.calls[-2:] == ["UploadStatus", "Upload"]


def test_scores_of_several_classes_and_of_labels(server: KaggleServer) -> None:
    rows = [
        ["id", "cat", "dog"],
        *([i, *("02" if c == "dog" else "20")] for i, c in SOLUTION.items()),
    ]
    assert log_loss_of(SOLUTION)(rows) == pytest.approx(0, abs=1e-9)
    labels = [["ImageId", "Label"], ["1", "dog"], ["2", "dog"], ["3", "cat"], ["4", "cat"]]
    assert accuracy_of(SOLUTION)(labels) == 0.5
    assert accuracy_of(SOLUTION, public_share=0.25)(labels) == (1, pytest.approx(1 / 3))


def test_nothing_leaves_this_machine(server: KaggleServer) -> None:
    import socket

    with pytest.raises(AssertionError), loopback_only(), pytest.raises(Outside):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
