"""A file is uploaded and submitted once, whatever breaks on the way."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.kaggle_server import KaggleServer
from support.two_pictures import SLUG, SURE

from dlcli.errors import DlError
from dlcli.kaggle.account import Kaggle
from dlcli.kaggle.competitions import Sent
from dlcli.kaggle.upload import Broken, upload


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


@pytest.mark.parametrize(
    ("code", "words"), [(403, "Kaggle refuses"), (500, "could not be uploaded")]
)
def test_an_upload_that_never_ends_well_sends_nothing(
    server: KaggleServer, account: Kaggle, file: Path, code: int, words: str
) -> None:
    server.refuse("Upload", code, times=9)
    server.refuse("UploadStatus", code, times=9)
    with pytest.raises(DlError, match=words) as error:
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
    monkeypatch.setattr("dlcli.files.download.ANSWER_SECONDS", 0.1)
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
    with pytest.raises(DlError, match="a problem at the moment") as error:
        account.submit(SLUG, file, "")
    assert f"Check with `dl kaggle sync -c {SLUG}` if it arrived" in error.value.hint
    assert server.calls.count("CreateSubmission") == 4
