"""`dl submit` over HTTP to a competition on this machine: what is sent, asked, and written down."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from children import killed_before_change
from competing import SLUG, finished_run, hold_competition, make_pets
from kaggle_server import KaggleServer, forget_kaggle, kaggle_serving
from typed import Dl, ok, refused

from dlcli import uploading
from dlcli.cli import main
from dlcli.errors import DlError
from dlcli.files import read_yaml
from dlcli.kaggle_log import Entry, keep, read_log
from dlcli.locks import held
from dlcli.processes import this_owner, utc_now
from dlcli.run import Run
from dlcli.syncing import lock_of


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
    assert not run.submission_file.exists()  # refused before anything was predicted


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
    assert not run.kaggle_file.exists()


def test_without_credentials_what_to_do_is_said_before_anything_is_predicted(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    said = refused(dl("submit", run.name), "No credentials for Kaggle", "kaggle.com/settings/api")
    assert not run.submission_file.exists()
    assert "Authentication required" not in said.stdout
    ok(dl("submit", run.name, "--no-upload"))


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
    assert server.calls[-1] == "CreateSubmission"


def test_an_answer_of_no_sends_nothing_and_says_so(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    server.competitions[SLUG].daily_limit = 1
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    said = dl("submit", run.name)
    assert said.exit_code == 1
    assert "1 submission to" in said.stderr
    assert said.stderr.endswith("The file is written; nothing was sent.\n")
    assert (server.sent, read_log(run)) == ([], [])


def test_what_was_checked_is_what_is_sent_whatever_becomes_of_the_file(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = uploading.Kaggle.limits

    def slowly(self: uploading.Kaggle, slug: str) -> object:
        if run.submission_file.exists():  # another terminal writes another file
            run.submission_file.write_text("id,label\n1,0.5\n2,0.5\n10,0.5\n")
        return limits(self, slug)

    monkeypatch.setattr(uploading.Kaggle, "limits", slowly)
    ok(dl("submit", run.name))
    assert server.sent[0].content.startswith(b"id,label\n1,0.1")
    digest = sha256(server.sent[0].content).hexdigest()[:8]
    assert only(run).file == digest
    assert run.sent_file(digest).read_bytes() == server.sent[0].content


def test_two_terminals_send_one_after_the_other(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(lock_of(SLUG), this_owner(utc_now()), lambda owner: DlError("taken")):
        refused(dl("submit", run.name), f"Another `dl` is sending to {SLUG}", "by process")
    assert server.sent == []
    ok(dl("submit", run.name))


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
    if not arrived:  # it may be on its way, for a while
        assert only(run).state == "sending"
        monkeypatch.setattr("dlcli.syncing.ARRIVES_WITHIN", timedelta(0))
        said = ok(dl("kaggle", "sync", "-d", "pets")).stderr
        assert "cut off while it was sent, never reached Kaggle" in said
    states = [(each.state, each.public_score) for each in read_log(run)]
    assert states == ([("complete", 0.10536)] if arrived else [])
    assert len(server.sent) == arrived


@pytest.mark.forks
def test_killed_at_any_change_of_the_disk_nothing_is_sent_twice_and_the_score_comes(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.syncing.ARRIVES_WITHIN", timedelta(0))
    number, sent = 0, 0
    while True:
        number += 1
        killed = killed_before_change(number, lambda: main(["submit", run.name, "--no-wait"]))
        ok(dl("kaggle", "sync", "-d", "pets"))
        refs = [each.ref for each in read_log(run)]
        assert refs == [each.ref for each in server.sent]
        assert len(refs) <= sent + 1
        if refs:
            assert read_yaml(run.status_file)["public_score"] == 0.10536
        if not killed:
            break
        for file in (run.kaggle_file, run.submission_file):
            file.unlink(missing_ok=True)
        server.sent.clear()
    assert number > 10
    assert len(server.sent) == 1


def test_a_run_takes_no_submission_of_another_run(
    dl: Dl, server: KaggleServer, run: Run, root: Path
) -> None:
    ok(dl("submit", run.name))
    other = finished_run(root, "202611241200-finetune-e3")
    digest = only(run).file
    keep(other, [Entry(digest, SLUG, "2026-11-24T12:00:00Z", "")])
    ok(dl("kaggle", "sync", "-d", "pets"))
    assert read_log(other) == []
    assert only(run).ref == server.sent[0].ref


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


def test_a_damaged_record_is_said_and_hides_no_other(
    dl: Dl, server: KaggleServer, run: Run, root: Path
) -> None:
    run.kaggle_file.write_text("submissions: [1]\n")
    refused(dl("submit", run.name), "kaggle.yaml is damaged", "dl kaggle sync")
    assert server.sent == []
    other = finished_run(root, "202611241200-finetune-e3", 0.8)
    assert "is damaged, and left out" in ok(dl("submit", other.name)).stderr
    ok(dl("kaggle", "status", "-d", "pets"))


@pytest.mark.parametrize("fails", [False, True])
def test_no_secret_is_written_or_said(
    dl: Dl, server: KaggleServer, run: Run, home: Path, fails: bool
) -> None:
    from kaggle_server import KEY

    if fails:
        server.refuse("Upload", 500, times=9)
        server.refuse("UploadStatus", 500, times=9)
    said = dl("submit", run.name)
    assert (said.exit_code == 0) != fails
    written = b"".join(f.read_bytes() for f in home.rglob("*") if f.is_file())
    links = [link.encode() for link in server.storage.uploads]
    for secret in (KEY.encode(), *links):
        assert secret not in written + (said.stdout + said.stderr).encode()


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
        from dlcli.syncing import sync

        before = only(run)
        assert before.state == "sending"
        assert sync(values[0], [run], SLUG).changed == []  # type: ignore[arg-type]
        assert only(run) == before
        return submit(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(uploading.Kaggle, "submit", slowly)
    ok(dl("submit", run.name))
    assert only(run).public_score == 0.10536
