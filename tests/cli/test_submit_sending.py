"""`dl submit` over HTTP to a competition on this machine: what is sent, asked, and written down."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from competing import SLUG, finished_run, hold_competition, make_pets
from kaggle_server import KaggleServer, forget_kaggle, kaggle_serving
from typed import Dl, ok, refused

from dlcli import uploading
from dlcli.files import read_yaml
from dlcli.kaggle_log import Entry, read_log
from dlcli.run import Run


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with kaggle_serving(monkeypatch) as server:
        hold_competition(server, monkeypatch)
        yield server


@pytest.fixture
def root(home: Path) -> Path:
    return make_pets(home)


@pytest.fixture
def run(root: Path) -> Run:
    return finished_run(root)


def only(run: Run) -> Entry:
    (entry,) = read_log(run)
    return entry


def test_it_is_sent_scored_and_written_down(dl: Dl, server: KaggleServer, run: Run) -> None:
    said = ok(dl("submit", "-d", "pets"))
    (sent,) = server.sent
    digest = sha256(run.submission_file.read_bytes()).hexdigest()[:8]
    assert sent.content == run.submission_file.read_bytes() == run.sent_file(digest).read_bytes()
    assert sent.file_name == f"{digest}.csv"
    assert sent.description == f"{run.name} valid log loss 0.1054"
    entry = only(run)
    assert (entry.file, entry.ref, entry.state) == (digest, sent.ref, "complete")
    assert (entry.public_score, entry.metric, entry.clip) == (0.10536, "log_loss", 0)
    assert entry.expected == pytest.approx(0.10536, abs=1e-5)
    assert read_yaml(run.status_file)["public_score"] == 0.10536
    assert "public score  0.10536" in said.stdout
    assert f"Sent to {SLUG}: submission {sent.ref}; 4 left today" in said.stderr
    assert "within what the validation images promised" in said.stderr
    listed = ok(dl("runs"))
    assert re.search(r"accuracy\s+seconds\s+public\n.*0\.1054", listed.stdout), listed.stdout
    assert "public_score" in ok(dl("runs", "show", run.name)).stdout


def test_the_message_may_be_ones_own_and_no_upload_sends_nothing(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    ok(dl("submit", run.name, "--no-upload"))
    assert server.calls == []
    assert not run.kaggle_file.exists()
    ok(dl("submit", run.name, "-m", "first try"))
    assert server.sent[0].description == "first try"


def test_a_competition_of_the_command_line_goes_before_the_datasets(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    refused(dl("submit", run.name, "-c", "dogs"), "Kaggle knows no competition 'dogs'")
    assert server.sent == []
    assert run.submission_file.is_file()


def test_the_same_file_is_sent_again_only_if_that_is_wanted(
    dl: Dl, server: KaggleServer, run: Run, root: Path
) -> None:
    ok(dl("submit", run.name))
    again = refused(dl("submit", run.name), "This very file was sent before", exit_code=2)
    assert "public score 0.10536. Send it again?" in again.stderr
    other = finished_run(root, "202611241200-finetune-e3")
    refused(dl("submit", other.name), "This very file was sent before", "--yes", exit_code=2)
    assert len(server.sent) == 1
    ok(dl("submit", other.name, "--yes"))
    assert len(server.sent) == 2
    assert only(run).ref != only(other).ref


def test_the_last_one_of_the_day_is_asked_for_and_none_is_sent_beyond_it(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    server.competitions[SLUG].daily_limit = 2
    ok(dl("submit", run.name))
    words = "--clip", "0.2"
    refused(dl("submit", run.name, *words), "1 submission", "is left today", exit_code=2)
    ok(dl("submit", run.name, *words, "--yes"))
    assert len(server.sent) == 2
    none = refused(dl("submit", run.name, "--clip", "0.3", "--yes"), "No submission to", "00:00")
    assert "2 were made" in none.stderr
    assert len(server.sent) == len(read_log(run)) == 2
    assert read_yaml(run.status_file)["public_score"] == 0.10536  # the better of the two


def test_rules_that_were_not_accepted_are_said_with_their_page(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    server.competitions[SLUG].rules_accepted = False
    refused(dl("submit", run.name), f"https://www.kaggle.com/c/{SLUG}/rules", "same command again")
    assert not run.kaggle_file.exists() or read_log(run) == []


def test_without_credentials_the_file_is_written_and_what_to_do_is_said(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    said = refused(dl("submit", run.name), "No credentials for Kaggle", "kaggle.com/settings/api")
    assert run.submission_file.is_file()
    assert "Authentication required" not in said.stdout


def test_a_file_that_can_not_be_scored_fails_with_its_reason(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    server.competitions[SLUG].scorer = bad_file
    refused(dl("submit", run.name), "could not score submission", "Evaluation: bad id")
    assert (only(run).state, only(run).reason) == ("error", "Evaluation: bad id")
    server.competitions[SLUG].scorer = lambda rows: 0.5
    ok(dl("submit", run.name))  # nobody asks: the first one was no submission


def bad_file(rows: list[list[str]]) -> float:
    raise ValueError("Evaluation: bad id")


def test_a_score_that_takes_long_is_picked_up_later(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.cli.submit.WAIT_SECONDS", 0.05)
    server.slow_scoring = 50
    said = ok(dl("submit", run.name))
    assert "`dl kaggle sync -d ~/data/pets` brings the score" in said.stderr
    assert only(run).state == "pending"
    for sent in server.sent:
        sent.polls = 0
    said = ok(dl("kaggle", "sync", "-d", "pets"))
    assert "New from Kaggle: 1" in said.stderr
    assert only(run).public_score == read_yaml(run.status_file)["public_score"] == 0.10536
    assert "New from Kaggle: 0" in ok(dl("kaggle", "sync")).stderr


def test_wait_waits_as_long_as_it_takes_and_no_wait_not_at_all(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.cli.submit.WAIT_SECONDS", 0.0)
    server.slow_scoring = 8
    assert "public score" in ok(dl("submit", run.name, "--wait")).stdout
    ok(dl("submit", run.name, "--no-wait", "--clip", "0.2"))
    assert server.calls[-2:] == ["CreateSubmission", "GetSubmissionLimits"]


@pytest.mark.parametrize("arrived", [True, False])
def test_what_was_cut_off_while_it_was_sent_is_found_on_kaggle_or_forgotten(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    def killed(*values: object) -> int:
        if arrived:
            submit(*values)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    submit = uploading.Kaggle.submit
    monkeypatch.setattr(uploading.Kaggle, "submit", killed)
    assert dl("submit", run.name).exit_code == 130
    assert only(run).state == "sending"
    monkeypatch.setattr(uploading.Kaggle, "submit", submit)
    ok(dl("kaggle", "sync", "-d", "pets"))
    states = [(each.state, each.public_score) for each in read_log(run)]
    assert states == ([("complete", 0.10536)] if arrived else [])
    assert len(server.sent) == arrived


def test_what_a_lost_record_told_is_found_by_the_name_of_the_file(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    ok(dl("submit", run.name))
    ref = only(run).ref
    run.kaggle_file.unlink()
    ok(dl("kaggle", "sync", "-d", "pets"))
    assert (only(run).ref, only(run).public_score) == (ref, 0.10536)


def test_a_large_file_is_sent_compressed_and_kept_plain(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "GZIP_BYTES", 10)
    ok(dl("submit", run.name))
    (sent,) = server.sent
    assert sent.file_name == f"{only(run).file}.csv.gz"
    assert gzip.decompress(sent.content) == run.sent_file(only(run).file).read_bytes()
    assert sent.public == "0.10536"


def test_a_damaged_record_is_said_and_nothing_is_sent(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    run.kaggle_file.write_text("submissions: [1]\n")
    refused(dl("submit", run.name), "kaggle.yaml is damaged", "dl kaggle sync")
    assert server.sent == []


def test_no_secret_is_in_the_run(dl: Dl, server: KaggleServer, run: Run) -> None:
    from kaggle_server import KEY

    ok(dl("submit", run.name))
    assert all(KEY.encode() not in f.read_bytes() for f in run.path.rglob("*") if f.is_file())


def test_a_run_that_can_not_be_written_is_sent_and_its_score_kept_elsewhere(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.read_only._can_be_written", lambda place: place != run)
    ok(dl("submit", run.name, "--no-wait"))
    assert not run.kaggle_file.exists()
    assert only(run).state == "pending"
    ok(dl("kaggle", "sync", "-d", "pets"))
    assert only(run).public_score == 0.10536
    refused(dl("submit", run.name), "This very file was sent before", exit_code=2)
    monkeypatch.undo()
    assert not run.kaggle_file.exists()


def test_a_sync_beside_a_submit_that_is_under_way_loses_nothing(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = uploading.Kaggle.submit

    def slowly(*values: object) -> int:
        from dlcli.uploading import synced

        assert only(run).state == "sending"
        synced(values[0], run.path.parents[1], "pets", SLUG)  # type: ignore[arg-type]
        assert read_log(run) == []
        return submit(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(uploading.Kaggle, "submit", slowly)
    ok(dl("submit", run.name))
    assert only(run).public_score == 0.10536
