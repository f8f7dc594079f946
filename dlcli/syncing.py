"""What Kaggle says of the submissions that runs have sent, brought into their files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from dlcli.competitions import Metric, Sent
from dlcli.files.atomic import digest_of
from dlcli.files.locks import is_held
from dlcli.files.paths import state_home
from dlcli.kaggle import Kaggle
from dlcli.kaggle_log import Entry, is_readable, keep, note_best, read_logs
from dlcli.runs.run import Run, places_of

# Of a file's sha256, in hex: its name among the files that were sent.
DIGITS = 8
# An order whose sender was killed may still be at work.
ARRIVES_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class News:
    """What was heard.

    Args:
        changed: the entries that are new, or not as they were.
        waiting: those that are being scored, or on their way.
        lost: those that never reached Kaggle, and are forgotten.
        listed: all that the account's team has sent, the newest first.
    """

    changed: list[tuple[Run, Entry]]
    waiting: list[tuple[Run, Entry]]
    lost: list[tuple[Run, Entry]]
    listed: list[Sent]


def lock_of(slug: str) -> Path:
    """The file that is there while a process of this machine sends to a competition."""
    folder = state_home() / "kaggle"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{sha256(slug.encode()).hexdigest()[:DIGITS]}.lock"


def sync(
    kaggle: Kaggle,
    runs: Iterable[Run],
    slug: str,
    metric: Metric | None = None,
    *,
    is_sending: bool = False,
) -> News:
    """Bring what Kaggle says of what runs have sent into their files.

    An entry whose sending was cut off is found by its file's name, or was never taken and goes. A
    submission that no run remembers, because its record was lost, is known by that name too.

    Args:
        kaggle: the account.
        runs: those of a dataset.
        slug: the competition.
        metric: how it scores, if that is known.
        is_sending: whether it is this process that holds `lock_of`.
    """
    listed, runs = kaggle.submissions(slug), list(runs)
    logged = read_logs(runs)
    known = {entry.ref for _, entry in logged}
    news = News([], [], [], listed)
    for run, entry in logged:
        if entry.competition != slug or not entry.is_open:
            continue
        now = _heard(entry, listed, known)
        if now is None and _is_old(entry) and (is_sending or not is_held(lock_of(slug))):
            keep(run, [], gone=[entry])
            news.lost.append((run, entry))
            continue
        if now is not None and now != entry:
            known.add(now.ref)
            keep(run, [now])
            news.changed.append((run, now))
        if now is None or now.is_open:
            news.waiting.append((run, now or entry))
    readable = [run for run in runs if is_readable(run)]
    for sent in listed:
        owner = None if sent.ref in known else _sender(readable, sent)
        if owner is not None:
            run, digest = owner
            date = sent.date.isoformat() if sent.date else ""
            name = metric.name if metric else None
            entry = Entry(digest, slug, date, sent.message, name).answered(sent)
            keep(run, [entry])
            news.changed.append((run, entry))
    for run in {run: None for run, _ in logged if places_of(run) == (run,)}:
        note_best(run)  # which a killed process may not have come to
    return news


def _is_old(entry: Entry) -> bool:
    """Whether a file that was sent then would have arrived by now."""
    try:
        sent = datetime.fromisoformat(entry.sent)
    except ValueError:
        return True
    return abs(datetime.now(UTC) - sent.replace(tzinfo=sent.tzinfo or UTC)) > ARRIVES_WITHIN


def _heard(entry: Entry, listed: Iterable[Sent], known: set[int | None]) -> Entry | None:
    """An open entry as Kaggle's list has it; None where it isn't there and no answer ever came.

    Args:
        known: the numbers of submissions that some run has sent.
    """
    if entry.ref is not None:
        return next((entry.answered(each) for each in listed if each.ref == entry.ref), entry)
    mine = [
        each
        for each in listed
        if each.file_name.partition(".")[0] == entry.file and each.ref not in known
    ]
    return entry.answered(max(mine, key=lambda each: each.ref)) if mine else None


def _sender(runs: Iterable[Run], sent: Sent) -> tuple[Run, str] | None:
    """The run that has a file of that name and content, and the name's digits."""
    digest = sent.file_name.partition(".")[0]
    if not re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", digest):
        return None
    for run in runs:
        if any(digest_of(place.sent_file(digest)).startswith(digest) for place in places_of(run)):
            return run, digest
    return None
