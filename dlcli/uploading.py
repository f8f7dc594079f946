"""Sending a run's submission to Kaggle, and waiting for its score.

What is sent is written down before it goes out, under a name that tells which file it was, so that
whatever is killed on the way, Kaggle's own list says what became of it.
"""

from __future__ import annotations

import dataclasses
import gzip
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dlcli.competitions import Limits, Sent, rules_page
from dlcli.errors import DlError
from dlcli.files import atomic_write, digest_of
from dlcli.kaggle import Kaggle
from dlcli.kaggle_log import SENDING, Entry, keep, read_log
from dlcli.processes import utc_now
from dlcli.progress import say
from dlcli.read_only import place_of, places_of
from dlcli.run import Run
from dlcli.submitting import Submitted

DIGITS = 8
# A file beyond this is sent compressed: 80,000 rows of ten classes are 8 MB, and 3 MB so.
GZIP_BYTES = 1 << 20
# Pauses while Kaggle scores, in seconds; the last one again and again.
POLLS = (2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0)
FEW = 2


def send(
    kaggle: Kaggle,
    run: Run,
    submitted: Submitted,
    *,
    message: str,
    views: int = 0,
    confirm: Callable[[str], None],
) -> Entry:
    """Send what `submit_run` wrote.

    Args:
        kaggle: the account.
        run: the run.
        submitted: the file, and what is expected of it.
        message: shown beside it on Kaggle.
        views: changed views of each image that it is the mean with.
        confirm: asks a question, and raises where the answer is no.

    Returns:
        its entry in the run's `kaggle.yaml`, pending.

    Raises:
        DlError: none is left today, or Kaggle doesn't take it.
    """
    slug = str(submitted.competition)
    entries = settled(kaggle, run)
    digest = digest_of(submitted.file)[:DIGITS]
    limits = kaggle.limits(slug)
    if limits.left < 1:
        raise none_left(slug, limits)
    if twin := sent_before(run, entries, slug, digest):
        confirm(f"This very file was sent before: {in_words(twin)}. Send it again?")
    if limits.left < FEW:
        confirm(f"{limits.left} submission to {slug} is left today. Send it?")
    kept = place_of(run).sent_file(digest)
    kept.parent.mkdir(exist_ok=True)
    atomic_write(kept, submitted.file.read_bytes())
    entry = Entry(
        file=digest,
        competition=slug,
        sent=utc_now(),
        message=message,
        metric=submitted.metric.name if submitted.metric else None,
        clip=submitted.bound,
        views=views,
    )
    if expected := submitted.expected:
        span = expected.low, expected.high
        entry = dataclasses.replace(entry, expected=expected.score, expected_range=span)
    keep(run, [entry])
    with _to_send(kept) as file:
        ref = kaggle.submit(slug, file, message)
    entry = dataclasses.replace(entry, state="pending", ref=ref)
    keep(run, [entry])
    return entry


def none_left(slug: str, limits: Limits) -> DlError:
    """Why nothing can be sent now. To whom accepted no rules, Kaggle tells nothing but zeros."""
    if not limits.today:
        return DlError(
            f"Kaggle takes no submission to {slug} from this account",
            why="its rules were not accepted, or it has ended for good",
            hint=f"Accept them at {rules_page(slug)} , then run the same command again.",
        )
    return DlError(
        f"No submission to {slug} is left today",
        why=f"{limits.today} were made",
        hint="A day ends at 00:00 UTC: the same command sends the file then.",
    )


def wait_for_score(kaggle: Kaggle, run: Run, entry: Entry, seconds: float | None) -> Entry:
    """Ask, ever less often, until an entry is scored or time is up; what is heard is written down.

    Args:
        seconds: how long; None for as long as it takes.
    """
    end = None if seconds is None else time.monotonic() + seconds
    pauses = iter(POLLS)
    pause = 0.0
    while entry.ref is not None and entry.is_open:
        pause = next(pauses, POLLS[-1])
        if end is not None and time.monotonic() + pause > end:
            break
        time.sleep(pause)
        entry = entry.answered(kaggle.submission(entry.competition, entry.ref))
    keep(run, [entry])
    return entry


def settled(kaggle: Kaggle, run: Run) -> list[Entry]:
    """What a run has sent, with what Kaggle says of it now.

    An entry whose sending was cut off is found by its file's name, or was never taken and goes.
    """
    for slug in {each.competition for each in read_log(run) if each.is_open}:
        hear(run, slug, kaggle.submissions(slug))
    return read_log(run)


def hear(run: Run, slug: str, listed: list[Sent]) -> list[Entry]:
    """Write down what Kaggle's list says of what a run has sent to a competition.

    Returns:
        the entries that have changed.
    """
    entries = [each for each in read_log(run) if each.competition == slug]
    pairs = [(each, _heard(each, listed, entries)) for each in entries]
    changed = [now for before, now in pairs if now is not None and now != before]
    gone = [before for before, now in pairs if now is None]
    if changed or gone:
        keep(run, changed, gone)
    return changed


def _heard(entry: Entry, listed: list[Sent], entries: list[Entry]) -> Entry | None:
    """An entry as Kaggle's list has it; None where it isn't there and no answer ever came."""
    if not entry.is_open:
        return entry
    if entry.ref is None:
        known = {each.ref for each in entries}
        mine = [
            each
            for each in listed
            if each.file_name.partition(".")[0] == entry.file and each.ref not in known
        ]
        return entry.answered(max(mine, key=lambda each: each.ref)) if mine else None
    return next((entry.answered(each) for each in listed if each.ref == entry.ref), entry)


def sent_before(run: Run, entries: list[Entry], slug: str, digest: str) -> Entry | None:
    """The entry of the same file, sent to the same competition by this run or by another one.

    Args:
        run: the run; others of its dataset are looked at too.
        entries: what it has sent.
    """
    others = [
        Run(folder.parent.parent)
        for folder in run.path.parent.glob(f"*/submissions/{digest}.csv")
        if folder.parent.parent != run.path
    ]
    everywhere = [*entries, *(each for other in others for each in read_log(other))]
    same = [
        each
        for each in everywhere
        if (each.file, each.competition) == (digest, slug) and each.state not in (SENDING, "error")
    ]
    return same[-1] if same else None


def in_words(entry: Entry) -> str:
    """Which submission it is, and what it scored."""
    words = f"submission {entry.ref}"
    if entry.public_score is not None:
        return f"{words}, public score {entry.public_score:g}"
    return f"{words}, {entry.state}"


@contextmanager
def _to_send(file: Path) -> Iterator[Path]:
    """The file that goes out: a large one compressed, under the same name."""
    if file.stat().st_size < GZIP_BYTES:
        yield file
        return
    say(f"It is sent compressed: {file.stat().st_size / 1e6:,.1f} MB")
    with TemporaryDirectory() as folder:
        small = Path(folder, f"{file.name}.gz")
        # no time in it: the same file is the same bytes
        small.write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        yield small


def synced(kaggle: Kaggle, runs_dir: Path, dataset: str, slug: str) -> list[tuple[Run, Entry]]:
    """Bring what Kaggle says of what the runs of a dataset have sent into their files.

    A submission of ours that no run remembers, because its record was lost, is known by its
    file's name.

    Returns:
        the entries that are new, or have changed.
    """
    listed = kaggle.submissions(slug)
    changed: list[tuple[Run, Entry]] = []
    known: set[int | None] = set()
    runs = Run.all(runs_dir, dataset)
    for run in runs:
        changed += [(run, each) for each in hear(run, slug, listed)]
        known |= {each.ref for each in read_log(run)}
    for sent in listed:
        owner = None if sent.ref in known else _sender(runs, sent)
        if owner is not None:
            run, digest = owner
            date = sent.date.isoformat() if sent.date else ""
            entry = Entry(digest, slug, date, sent.message).answered(sent)
            keep(run, [entry])
            changed.append((run, entry))
    return changed


def _sender(runs: Iterable[Run], sent: Sent) -> tuple[Run, str] | None:
    """The run that has a file of that name and content, and the name's digits."""
    digest = sent.file_name.partition(".")[0]
    if not re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", digest):
        return None
    for run in runs:
        if any(digest_of(place.sent_file(digest)).startswith(digest) for place in places_of(run)):
            return run, digest
    return None
