"""`dl submit` cut off, killed, or beside another `dl`: nothing is sent twice, no score is lost."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from support.children import killed_before_change
from support.command_result import Dl, ok, refused
from support.competition_entry import SLUG, finished_run, only_entry
from support.kaggle_server import KaggleServer

from dlcli.cli import main
from dlcli.files.formats import read_yaml
from dlcli.files.locks import held
from dlcli.kaggle import send
from dlcli.kaggle.record import Entry, keep, lock_of, read_log
from dlcli.runs.run import Run


def test_what_was_checked_is_what_is_sent_whatever_becomes_of_the_file(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = send.Kaggle.limits

    def slowly(self: send.Kaggle, slug: str) -> object:
        if run.submission_file.exists():  # another terminal writes another file
            run.submission_file.write_text("id,label\n1,0.5\n2,0.5\n10,0.5\n")
        return limits(self, slug)

    monkeypatch.setattr(send.Kaggle, "limits", slowly)
    ok(dl("submit", run.name))
    assert server.sent[0].content.startswith(b"id,label\n1,0.1")
    digest = sha256(server.sent[0].content).hexdigest()[:8]
    assert only_entry(run).file == digest
    assert run.sent_file(digest).read_bytes() == server.sent[0].content


def test_two_terminals_send_one_after_the_other(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(lock_of(SLUG), "taken", make_folder=True):
        refused(dl("submit", run.name), f"Another `dl` is sending to {SLUG}", "by process")
    assert server.sent == []
    ok(dl("submit", run.name))


def test_a_sync_beside_a_submit_that_is_under_way_loses_nothing(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = send.Kaggle.submit

    def slowly(*values: object) -> int:
        from dlcli.kaggle.record import sync

        before = only_entry(run)
        assert before.state == "sending"
        assert sync(values[0], [run], SLUG).changed == []  # type: ignore[arg-type]
        assert only_entry(run) == before
        return submit(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(send.Kaggle, "submit", slowly)
    ok(dl("submit", run.name))
    assert only_entry(run).public_score == 0.10536


@pytest.mark.parametrize("arrived", [True, False])
def test_what_was_cut_off_while_it_was_sent_is_found_on_kaggle_or_forgotten(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    def killed(*values: object) -> int:
        if arrived:
            submit(*values)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    submit = send.Kaggle.submit
    monkeypatch.setattr(send.Kaggle, "submit", killed)
    assert dl("submit", run.name).exit_code == 130
    assert only_entry(run).state == "sending"
    monkeypatch.setattr(send.Kaggle, "submit", submit)
    ok(dl("kaggle", "sync", "-d", "pets"))
    if not arrived:  # it may be on its way, for a while
        assert only_entry(run).state == "sending"
        monkeypatch.setattr("dlcli.kaggle.record.ARRIVES_WITHIN", timedelta(0))
        said = ok(dl("kaggle", "sync", "-d", "pets")).stderr
        assert "never reached Kaggle" in said
    states = [(each.state, each.public_score) for each in read_log(run)]
    assert states == ([("complete", 0.10536)] if arrived else [])
    assert len(server.sent) == arrived


@pytest.mark.forks
def test_killed_at_any_change_of_the_disk_nothing_is_sent_twice_and_the_score_comes(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.kaggle.record.ARRIVES_WITHIN", timedelta(0))
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
    digest = only_entry(run).file
    keep(other, [Entry(digest, SLUG, "2026-11-24T12:00:00Z", "")])
    ok(dl("kaggle", "sync", "-d", "pets"))
    assert read_log(other) == []
    assert only_entry(run).ref == server.sent[0].ref


def test_what_a_lost_record_told_is_found_by_the_name_of_the_file(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    ok(dl("submit", run.name))
    ref = only_entry(run).ref
    run.kaggle_file.unlink()
    ok(dl("kaggle", "sync", "-d", "pets"))
    assert (only_entry(run).ref, only_entry(run).public_score) == (ref, 0.10536)


def test_a_damaged_record_is_said_and_hides_no_other(
    dl: Dl, server: KaggleServer, run: Run, root: Path
) -> None:
    run.kaggle_file.write_text("submissions: [1]\n")
    refused(dl("submit", run.name), "kaggle.yaml is damaged", "dl kaggle sync")
    assert server.sent == []
    other = finished_run(root, "202611241200-finetune-e3", 0.8)
    assert "is damaged, so it is left out" in ok(dl("submit", other.name)).stderr
    ok(dl("kaggle", "status", "-d", "pets"))


def test_a_run_that_can_not_be_written_is_sent_and_its_score_kept_elsewhere(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.runs.stand_in._can_be_written", lambda place: place != run)
    ok(dl("submit", run.name, "--no-wait"))
    assert not run.kaggle_file.exists()
    assert only_entry(run).state == "pending"
    ok(dl("kaggle", "sync", "-d", "pets"))
    assert only_entry(run).public_score == 0.10536
    refused(dl("submit", run.name), "The same file was sent before", exit_code=2)
    monkeypatch.undo()
    assert not run.kaggle_file.exists()
