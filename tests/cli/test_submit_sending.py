"""`dl submit` over HTTP to a competition on this machine: what is sent, asked, and written down."""

from __future__ import annotations

import gzip
import io
import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.competition_entry import SLUG, finished_run, only_entry
from support.kaggle_package import forget_kaggle
from support.kaggle_server import KEY, KaggleServer
from support.project import somebodys_project

import dlcli
from dlcli.data.choice import remember
from dlcli.errors import DlError
from dlcli.files.formats import read_yaml
from dlcli.files.paths import state_home
from dlcli.kaggle import send
from dlcli.kaggle.record import read_log
from dlcli.runs.run import Run


def test_it_is_sent_scored_and_written_down(dl: Dl, server: KaggleServer, run: Run) -> None:
    said = ok(dl("submit", "-d", "pets"))
    (sent,) = server.sent
    digest = sha256(run.submission_file.read_bytes()).hexdigest()[:8]
    assert sent.content == run.submission_file.read_bytes() == run.sent_file(digest).read_bytes()
    assert sent.file_name == f"{digest}.csv"
    assert sent.description == f"{run.name} valid log loss 0.1054"
    entry = only_entry(run)
    assert (entry.file, entry.ref, entry.state) == (digest, sent.ref, "complete")
    assert (entry.public_score, entry.metric, entry.clip) == (0.10536, "log_loss", 0)
    assert entry.expected == pytest.approx(0.10536, abs=1e-5)
    assert read_yaml(run.status_file)["public_score"] == 0.10536
    assert "public score  0.10536" in said.stdout
    assert f"Sent to {SLUG}: submission {sent.ref}; 4 left today" in said.stderr
    assert "within the range that the validation images predicted" in said.stderr
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


def test_a_project_that_is_not_trusted_chooses_no_competition_to_send_to(
    dl: Dl, server: KaggleServer, run: Run, home: Path
) -> None:
    (home / "data" / "pets" / "dataset.yaml").unlink()
    somebodys_project(home, f"kaggle: {{competition: {SLUG}}}\n")
    ok(dl("submit", "-d", "pets", "--no-upload"))
    said = refused(dl("submit", "-d", "pets"), "`kaggle.competition` in ~/dl.yaml is not used")
    assert "type `dl config trust ~`" in said.stderr
    assert server.calls == []
    ok(dl("submit", "-d", "pets", "-c", SLUG))
    assert len(server.sent) == 1


@pytest.mark.parametrize("change", ["moved", "renamed"])
def test_a_competition_that_somebody_elses_dataset_names_is_asked_about(
    dl: Dl, server: KaggleServer, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    if change == "moved":
        shutil.rmtree(state_home() / "competitions")
    else:
        (root / "dataset.yaml").write_text("kaggle: {competition: theirs}\n")
    slug = SLUG if change == "moved" else "theirs"
    for words in ([], ["--yes"]):
        said = refused(
            dl("submit", "-d", "pets", *words), f"Nothing is sent to {slug}: ~/data/pets"
        )
        assert f"If it is the right one, add `-c {slug}`" in said.stderr
    with pytest.raises(DlError, match="Nothing is sent to"):
        dlcli.Run.open(run.path).submit(send=True, yes=True, quiet=True)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    said = dl("submit", "-d", "pets")
    assert f"Send the predictions of dataset pets to {slug}? [y/N]" in said.stderr
    assert (said.exit_code, server.calls) == (1, [])
    ok(dl("submit", "-d", "pets", "--no-upload"))
    ok(dl("submit", "-d", "pets", "-c", SLUG))
    assert len(server.sent) == 1


def test_an_answer_about_a_competition_is_kept(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(state_home() / "competitions")
    with monkeypatch.context() as terminal:
        terminal.setattr("sys.stdin", Terminal("y\n"))
        ok(dl("submit", "-d", "pets"))
    ok(dl("submit", "-d", "pets", "--clip", "0.2"))
    assert len(server.sent) == 2


def test_python_sends_the_same_and_asks_by_an_error(server: KaggleServer, run: Run) -> None:
    mine = dlcli.Run.open(run.path)
    assert mine.submit(quiet=True).entry is None
    assert server.calls == []
    entry = mine.submit(send=True, quiet=True).entry
    (sent,) = server.sent
    assert sent.description == f"{run.name} valid log loss 0.1054"
    assert entry == only_entry(run)
    assert (entry.ref, entry.public_score) == (sent.ref, 0.10536)
    with pytest.raises(DlError, match="sent before"):
        mine.submit(send=True, quiet=True)
    assert len(server.sent) == 1
    mine.submit(send=True, yes=True, message="once more", quiet=True)
    assert server.sent[-1].description == "once more"


def test_python_sends_nothing_where_no_competition_is_known(server: KaggleServer, run: Run) -> None:
    (run.path.parents[2] / "data/pets/dataset.yaml").unlink()
    with pytest.raises(DlError, match="no competition"):
        dlcli.Run.open(run.path).submit(send=True, quiet=True)
    assert server.calls == []
    assert not run.submission_file.exists()


def test_a_competition_of_the_command_line_goes_before_the_datasets(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    refused(dl("submit", run.name, "-c", "dogs"), "Kaggle does not know a competition 'dogs'")
    assert server.sent == []
    assert not run.submission_file.exists()  # refused before anything was predicted


def test_the_same_file_is_sent_again_only_if_that_is_wanted(
    dl: Dl, server: KaggleServer, run: Run, root: Path
) -> None:
    ok(dl("submit", run.name))
    again = refused(dl("submit", run.name), "The same file was sent before", exit_code=2)
    assert "public score 0.10536. Send the predictions of dataset pets again?" in again.stderr
    other = finished_run(root, "202611241200-finetune-e3")
    refused(dl("submit", other.name), "The same file was sent before", "--yes", exit_code=2)
    assert len(server.sent) == 1
    ok(dl("submit", other.name, "--yes"))
    assert len(server.sent) == 2
    assert only_entry(run).ref != only_entry(other).ref


def test_the_last_one_of_the_day_is_asked_for_and_none_is_sent_beyond_it(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    server.competitions[SLUG].daily_limit = 2
    ok(dl("submit", run.name))
    words = "--clip", "0.2"
    last = refused(dl("submit", run.name, *words), "1 submission", "is left today", exit_code=2)
    assert "Send the predictions of dataset pets?" in last.stderr
    ok(dl("submit", run.name, *words, "--yes"))
    assert len(server.sent) == 2
    none = refused(dl("submit", run.name, "--clip", "0.3", "--yes"), "No submission to", "00:00")
    assert "sent today: 2" in none.stderr
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
    said = refused(
        dl("submit", run.name), "Kaggle's credentials are missing", "kaggle.com/settings/api"
    )
    assert not run.submission_file.exists()
    assert "Authentication required" not in said.stdout
    ok(dl("submit", run.name, "--no-upload"))


def test_a_file_that_can_not_be_scored_fails_with_its_reason(
    dl: Dl, server: KaggleServer, run: Run
) -> None:
    server.competitions[SLUG].scorer = bad_file
    refused(dl("submit", run.name), "could not score submission", "Evaluation: bad id")
    assert (only_entry(run).state, only_entry(run).reason) == ("error", "Evaluation: bad id")
    server.competitions[SLUG].scorer = lambda rows: 0.5
    ok(dl("submit", run.name))  # nobody asks: the first one was no submission


def bad_file(rows: list[list[str]]) -> float:
    raise ValueError("Evaluation: bad id")


def test_a_score_that_takes_long_is_picked_up_later(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.kaggle.send.WAIT_SECONDS", 0.05)
    server.slow_scoring = 50
    (run.path.parents[2] / "data/pets/dataset.yaml").unlink()  # the option alone names it
    said = ok(dl("submit", run.name, "-c", SLUG))
    sync = f"kaggle sync --competition {SLUG} -d"
    assert f"get the score later: `dl {sync} ~/data/pets`" in said.stderr
    assert only_entry(run).state == "pending"
    for sent in server.sent:
        sent.polls = 0
    said = ok(dl(*sync.split(), "pets"))
    assert "New from Kaggle: 1" in said.stderr
    assert f"next: `dl kaggle status --competition {SLUG}`" in said.stderr
    assert only_entry(run).public_score == read_yaml(run.status_file)["public_score"] == 0.10536
    assert "New from Kaggle: 0" in ok(dl("kaggle", "sync", "-c", SLUG)).stderr


def test_wait_waits_as_long_as_it_takes_and_no_wait_not_at_all(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.kaggle.send.WAIT_SECONDS", 0.0)
    server.slow_scoring = 8
    assert "public score" in ok(dl("submit", run.name, "--wait")).stdout
    ok(dl("submit", run.name, "--no-wait", "--clip", "0.2"))
    assert server.calls[-1] == "CreateSubmission"


class Terminal(io.StringIO):
    """Answers, as if typed."""

    def isatty(self) -> bool:
        return True


def test_a_dataset_that_another_terminal_named_is_asked_about(
    dl: Dl, server: KaggleServer, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(root)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("dlcli.data.choice.session_id", lambda: "0123abcd-1-2")
        elsewhere.setattr("sys.stdin", Terminal("n\n"))
        said = dl("submit")
        assert "pets, the dataset last named in another terminal? [y/N]" in said.stderr
        assert (said.exit_code, server.sent) == (1, [])
        elsewhere.setattr("sys.stdin", io.StringIO())
        ok(dl("submit"))  # of a script: nobody answers
    assert len(server.sent) == 1
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert "another terminal" not in dl("submit").stderr


def test_an_answer_of_no_sends_nothing_and_says_so(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.competitions[SLUG].daily_limit = 1
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    said = dl("submit", run.name)
    assert said.exit_code == 1
    assert "1 submission to" in said.stderr
    assert said.stderr.endswith("The file is written; nothing was sent.\n")
    assert (server.sent, read_log(run)) == ([], [])


def test_a_large_file_is_sent_compressed_and_kept_plain(
    dl: Dl, server: KaggleServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "GZIP_BYTES", 10)
    ok(dl("submit", run.name))
    (sent,) = server.sent
    assert sent.file_name == f"{only_entry(run).file}.csv.gz"
    assert gzip.decompress(sent.content) == run.sent_file(only_entry(run).file).read_bytes()
    assert sent.public == "0.10536"


@pytest.mark.parametrize("fails", [False, True])
def test_no_secret_is_written_or_said(
    dl: Dl, server: KaggleServer, run: Run, home: Path, fails: bool
) -> None:
    if fails:
        server.refuse("Upload", 500, times=9)
        server.refuse("UploadStatus", 500, times=9)
    said = dl("submit", run.name)
    assert (said.exit_code == 0) != fails
    written = b"".join(f.read_bytes() for f in home.rglob("*") if f.is_file())
    links = [link.encode() for link in server.storage.uploads]
    for secret in (KEY.encode(), *links):
        assert secret not in written + (said.stdout + said.stderr).encode()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sample-submission", "nope.csv"], "nope.csv does not exist"),
        (["--clip", "0.05", "--config", "accuracy.yaml"], "scores by accuracy"),
        ([], "No images in ~/data/pets/test"),
    ],
    ids=["sample", "clip", "images"],
)
def test_what_the_files_here_show_is_said_before_kaggle_is_asked(
    dl: Dl, home: Path, server: KaggleServer, run: Run, words: list[str], said: str
) -> None:
    (home / "accuracy.yaml").write_text("kaggle: {metric: accuracy}\n")
    if not words:
        shutil.rmtree(home / "data/pets/test")
    result = dl("submit", run.name, *words)
    assert result.exit_code != 0
    assert said in result.stderr
    assert server.calls == []
    assert not run.submission_file.exists()
