"""Send a run's submission to Kaggle, and wait for its score.

Each submission is recorded before it is sent, under a name that identifies the file. So Kaggle's
list shows what became of it, even if the process was killed.
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
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.locks import held
from dlcli.kaggle.account import Kaggle, Missing, open_kaggle
from dlcli.kaggle.competitions import Limits, rules_page
from dlcli.kaggle.destination import Agree, require_known
from dlcli.kaggle.plan import COMPETITION, SubmissionPlan, Submitted
from dlcli.kaggle.record import DIGITS, SENDING, Entry, keep, lock_of, read_log, read_logs, sync
from dlcli.process import utc_now
from dlcli.progress import say
from dlcli.runs.run import Run
from dlcli.runs.stand_in import writable_run

# Larger files are compressed: 80,000 rows of ten classes shrink from 8 MB to 3 MB.
GZIP_BYTES = 1 << 20
# Many competitions score within a minute; `dl kaggle sync` gets later scores.
WAIT_SECONDS = 60.0
# Pauses while Kaggle scores, in seconds; the last one repeats.
POLLS = (2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0)
# Kaggle may not know a new submission yet.
UNKNOWN_POLLS = 4
FEW = 2
_NOT_SENT = "To only write the file, use `dl submit --no-upload`, or in Python leave out `send`."


def require_left(kaggle: Kaggle, slug: str) -> Limits:
    """The number of submissions that are left today.

    Raises:
        DlError: none is left. Kaggle also reports 0 while the rules are not accepted.
    """
    limits = kaggle.limits(slug)
    if limits.left > 0:
        return limits
    if not limits.today:
        raise DlError(
            f"Kaggle does not accept submissions to {slug} from this account",
            why="you have not accepted its rules, or it has ended for good",
            hint=f"Accept the rules at {rules_page(slug)} , then run the same command again. "
            f"{_NOT_SENT}",
        )
    raise DlError(
        f"No submission to {slug} is left today",
        why=f"sent today: {limits.today}",
        hint=f"Run the same command again after 00:00 UTC. {_NOT_SENT}",
    )


def open_sender(plan: SubmissionPlan, agree: Agree | None = None) -> Kaggle:
    """The account, checked before time is spent on predictions that cannot be sent.

    Args:
        agree: asks about a competition that only the dataset names; see `require_known`.

    Raises:
        DlError: no competition is set, or only a dataset of somebody else sets it; there are no
            credentials, or no submission is left.
        UntrustedError: a project that is not trusted sets the competition.
    """
    if not plan.competition:
        raise DlError(
            "There is no competition to send to",
            why="none is set",
            hint="Pass `competition=`, or set `kaggle.competition`.",
        )
    plan.config.require_trusted(COMPETITION)
    if plan.root is not None and plan.is_of_dataset:
        require_known(plan.root, plan.competition, agree)
    kaggle = open_kaggle()
    require_left(kaggle, plan.competition)
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
    """Send the file that was written.

    Args:
        submitted: the file, and its expected score.
        message: shown with it on Kaggle; None for the run's name and its valid score.
        views: augmented views of each image in the mean prediction.
        confirm: asks a question, and raises if the answer is no.

    Returns:
        its entry in the run's `kaggle.yaml`, pending.

    Raises:
        DlError: no submission is left today, another process is sending, or Kaggle refuses it.
    """
    slug = str(submitted.competition)
    doing = f"Another `dl` is sending to {slug}"
    hint = "Wait until it has finished, then run the same command again."
    with held(lock_of(slug), doing, hint, make_folder=True):
        read_log(run)  # raises if damaged, before anything is sent
        runs = Run.all(run.path.parent.parent, run.dataset)
        sync(kaggle, runs, slug, submitted.metric, is_sending=True)
        digest = sha256(submitted.content).hexdigest()[:DIGITS]
        limits = require_left(kaggle, slug)
        these = f"the predictions of dataset {run.dataset}"
        if twin := sent_before(runs, slug, digest):
            confirm(f"The same file was sent before: {_known(twin)}. Send {these} again?")
        if limits.left < FEW:
            confirm(f"Only {limits.left} submission to {slug} is left today. Send {these}?")
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


def wait_for_score(
    kaggle: Kaggle, run: Run, entry: Entry, seconds: float | None, named: str = ""
) -> Entry:
    """Ask Kaggle until an entry is scored or the time is up, and record the answer.

    Args:
        seconds: time limit; None for none.
        named: options for the competition and the dataset, for the message after Ctrl-C.
    """
    say("Waiting for the score. Ctrl-C stops waiting; the submission stands.")
    try:
        entry = _polled(kaggle, entry, None if seconds is None else time.monotonic() + seconds)
    except KeyboardInterrupt:
        say(f"The submission stands. Get its score later with `dl kaggle sync{named}`.")
        raise
    keep(run, [entry])
    return entry


def _polled(kaggle: Kaggle, entry: Entry, end: float | None) -> Entry:
    """An entry when it is scored or the time is up."""
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
    """The last entry of the same file, sent to the same competition by any of the runs."""
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
    name, score = submitted.valid_score
    return f"{run.name} valid {name} {score:.4f}"


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
    """A submission's number and score, in words."""
    said = f"submission {entry.ref}"
    if entry.public_score is not None:
        return f"{said}, public score {entry.public_score:g}"
    return f"{said}, {entry.state}"


@contextmanager
def _to_send(file: Path) -> Iterator[Path]:
    """The file to send; a large one is compressed, under the same name."""
    size = file.stat().st_size
    if size < GZIP_BYTES:
        yield file
        return
    with TemporaryDirectory() as folder:
        small = Path(folder, f"{file.name}.gz")
        # without a time, the same file gives the same bytes
        small.write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        say(f"Compressed from {words.size(size)} to {words.size(small.stat().st_size)}")
        yield small
