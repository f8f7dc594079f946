"""Sending a run's submission to Kaggle, and waiting for its score.

What is sent is written down before it goes out, under a name that tells which file it was, so that
whatever is killed on the way, Kaggle's own list says what became of it.
"""

from __future__ import annotations

import dataclasses
import gzip
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from dlcli import words
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.locks import held
from dlcli.kaggle.account import Kaggle, Missing, open_kaggle
from dlcli.kaggle.competitions import Limits, rules_page
from dlcli.kaggle.record import DIGITS, SENDING, Entry, keep, lock_of, read_log, read_logs, sync
from dlcli.kaggle.submit import Submitted, with_competition
from dlcli.process import utc_now
from dlcli.progress import say
from dlcli.runs.run import Run, writable_run

# A file beyond this is sent compressed: 80,000 rows of ten classes are 8 MB, and 3 MB so.
GZIP_BYTES = 1 << 20
# Many competitions score within it; what takes longer is picked up later.
WAIT_SECONDS = 60.0
# Pauses while Kaggle scores, in seconds; the last one again and again.
POLLS = (2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0)
# A submission that was just sent may not be known everywhere at once.
UNKNOWN_POLLS = 4
FEW = 2


def require_left(kaggle: Kaggle, slug: str) -> Limits:
    """How many submissions are left today.

    Raises:
        DlError: none is. To whom accepted no rules, Kaggle tells nothing but zeros.
    """
    limits = kaggle.limits(slug)
    if limits.left > 0:
        return limits
    if not limits.today:
        raise DlError(
            f"Kaggle takes no submission to {slug} from this account",
            why="its rules were not accepted, or it has ended for good",
            hint=f"Accept them at {rules_page(slug)} , then run the same command again; "
            "`--no-upload` writes the file alone.",
        )
    raise DlError(
        f"No submission to {slug} is left today",
        why=f"{limits.today} were made",
        hint="A day ends at 00:00 UTC: the same command sends the file then. `--no-upload` writes "
        "it alone.",
    )


def open_sender(config: Config, root: Path | None) -> Kaggle:
    """The account, before an hour is spent on predictions that it may not send.

    Args:
        config: the settings; a competition that was typed goes before the dataset's.
        root: the dataset's folder; None where it is gone.

    Raises:
        DlError: no competition is configured, nobody is signed in, or no submission is left.
    """
    slug = with_competition(config, root).settings().kaggle.competition
    if not slug:
        raise DlError(
            "There is no competition to send to",
            why="none is configured",
            hint="Name it: `competition=`, or `kaggle.competition` in the settings.",
        )
    kaggle = open_kaggle()
    require_left(kaggle, slug)
    return kaggle


def send(
    kaggle: Kaggle,
    run: Run,
    submitted: Submitted,
    *,
    message: str | None = None,
    views: int = 0,
    confirm: Callable[[str], None],
) -> Entry:
    """Send what `submit_run` wrote.

    Args:
        submitted: the file, and what is expected of it.
        message: shown beside it on Kaggle; None for the run's name and its valid score.
        views: changed views of each image that it is the mean with.
        confirm: asks a question, and raises where the answer is no.

    Returns:
        its entry in the run's `kaggle.yaml`, pending.

    Raises:
        DlError: none is left today, another process is sending, or Kaggle doesn't take it.
    """
    slug = str(submitted.competition)
    doing = f"Another `dl` is sending to {slug}"
    hint = "Wait until that has ended, then run the same command again."
    with held(lock_of(slug), doing, hint, make_folder=True):
        read_log(run)  # a damaged one is mended before anything goes out
        runs = Run.all(run.path.parent.parent, run.dataset)
        sync(kaggle, runs, slug, submitted.metric, is_sending=True)
        digest = sha256(submitted.content).hexdigest()[:DIGITS]
        limits = require_left(kaggle, slug)
        if twin := sent_before(runs, slug, digest):
            confirm(f"This very file was sent before: {_known(twin)}. Send it again?")
        if limits.left < FEW:
            confirm(f"{limits.left} submission to {slug} is left today. Send it?")
        kept = writable_run(run).sent_file(digest)
        kept.parent.mkdir(exist_ok=True)
        atomic_write(kept, submitted.content)
        message = message or _message(run, submitted)
        entry = _entry(submitted, digest, message, views)
        keep(run, [entry])
        with _to_send(kept) as file:
            ref = kaggle.submit(slug, file, message)
        entry = dataclasses.replace(entry, state="pending", ref=ref)
        keep(run, [entry])
    say(f"Sent to {slug}: submission {ref}; {limits.left - 1} left today")
    return entry


def wait_for_score(kaggle: Kaggle, run: Run, entry: Entry, seconds: float | None) -> Entry:
    """Ask, ever less often, until an entry is scored or time is up; what is heard is written down.

    Args:
        seconds: how long; None for as long as it takes.
    """
    say("Waiting for the score; Ctrl-C takes nothing back")
    try:
        entry = _polled(kaggle, entry, None if seconds is None else time.monotonic() + seconds)
    except KeyboardInterrupt:
        say("The submission stands: `dl kaggle sync` brings its score.")
        raise
    keep(run, [entry])
    return entry


def _polled(kaggle: Kaggle, entry: Entry, end: float | None) -> Entry:
    """An entry once it is scored, or as it is when time is up."""
    pauses, unknown = iter(POLLS), 0
    while entry.ref is not None and entry.is_open:
        pause = next(pauses, POLLS[-1])
        if end is not None and time.monotonic() + pause > end:
            break
        time.sleep(pause)
        try:
            entry = entry.answered(kaggle.submission(entry.competition, entry.ref))
        except Missing:
            unknown += 1
            if unknown > UNKNOWN_POLLS:
                raise
    return entry


def sent_before(runs: Iterable[Run], slug: str, digest: str) -> Entry | None:
    """The last entry of the same file, sent to the same competition by any of some runs."""
    same = [
        each
        for _, each in read_logs(runs)
        if (each.file, each.competition) == (digest, slug) and each.state not in (SENDING, "error")
    ]
    return same[-1] if same else None


def _message(run: Run, submitted: Submitted) -> str:
    """The run and what it promises, so that Kaggle's own list is of use."""
    if submitted.expected and submitted.metric:
        return f"{run.name} valid {submitted.metric.words} {submitted.expected.score:.4f}"
    return f"{run.name} valid log loss {submitted.clipped_loss:.4f}"


def _entry(submitted: Submitted, digest: str, message: str, views: int) -> Entry:
    expected = submitted.expected
    return Entry(
        file=digest,
        competition=str(submitted.competition),
        sent=utc_now(),
        message=message,
        metric=submitted.metric.name if submitted.metric else None,
        clip=submitted.bound,
        views=views,
        expected=expected.score if expected else None,
        expected_range=(expected.low, expected.high) if expected else None,
    )


def _known(entry: Entry) -> str:
    """Which submission it is, and what it scored."""
    said = f"submission {entry.ref}"
    if entry.public_score is not None:
        return f"{said}, public score {entry.public_score:g}"
    return f"{said}, {entry.state}"


@contextmanager
def _to_send(file: Path) -> Iterator[Path]:
    """The file that goes out: a large one compressed, under the same name."""
    size = file.stat().st_size
    if size < GZIP_BYTES:
        yield file
        return
    with TemporaryDirectory() as folder:
        small = Path(folder, f"{file.name}.gz")
        # no time in it: the same file is the same bytes
        small.write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        say(f"Compressed from {words.size(size)} to {words.size(small.stat().st_size)}")
        yield small
