"""A run's submissions to Kaggle: `kaggle.yaml`, one entry per file, oldest first.

Scores are added to the entries once Kaggle gives them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.files.atomic import digest_of
from dlcli.files.formats import damaged, read_yaml, write_yaml
from dlcli.files.locks import alone_in, is_held
from dlcli.files.paths import state_home
from dlcli.files.typed import read_as
from dlcli.kaggle.account import Kaggle
from dlcli.kaggle.competitions import METRICS, Metric, Sent
from dlcli.progress import say
from dlcli.runs.run import Run
from dlcli.runs.stand_in import runs_to_read, stand_in, writable_run

# Being sent; only Kaggle's list can tell what became of it.
SENDING = "sending"
STATES = (SENDING, "pending", "complete", "error")
# Kaggle gives scores to five decimal places.
SCORE_STEP = 1e-5

# Hex digits of a file's sha256 in its name in `submissions/`.
DIGITS = 8
# A submission whose sender was killed may still arrive within this time.
ARRIVES_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Entry:
    """One submitted file.

    Args:
        file: the first eight hex digits of its sha256; it is in `submissions/`.
        sent: when, by this computer's clock; see `process.utc_now`.
        message: the text that was sent with it.
        metric: the name of the competition's metric; None if unknown.
        clip: the least distance of probabilities from 0 and 1; None if unknown.
        views: augmented views of each image in the mean prediction; None if unknown.
        expected: the score that the validation images predict; None if the metric is unknown.
        expected_range: its 95 % interval.
        state: sending, pending, complete or error.
        public_score, private_score: Kaggle's scores.
        reason: why it could not be scored.
    """

    file: str
    competition: str
    sent: str = ""
    message: str = ""
    metric: str | None = None
    clip: float | None = None
    views: int | None = None
    expected: float | None = None
    expected_range: tuple[float, float] | None = None
    state: str = SENDING
    ref: int | None = None
    public_score: float | None = None
    private_score: float | None = None
    reason: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it among its run's entries."""
        return self.file, self.sent

    @property
    def is_open(self) -> bool:
        """Whether its score is still to come."""
        return self.state in (SENDING, "pending")

    @property
    def is_as_promised(self) -> bool | None:
        """Whether its public score is in the expected range; None if that is unknown."""
        if self.expected_range is None or self.public_score is None:
            return None
        low, high = self.expected_range
        return low - SCORE_STEP <= self.public_score <= high + SCORE_STEP

    def answered(self, sent: Sent) -> Entry:
        """The entry with Kaggle's present data."""
        return dataclasses.replace(
            self,
            state=sent.state,
            ref=sent.ref,
            public_score=sent.public_score,
            private_score=sent.private_score,
            reason=sent.reason,
        )


def read_log(run: Run) -> list[Entry]:
    """A run's submissions; [] if there are none.

    Raises:
        DlError: the file is damaged.
    """
    found: dict[tuple[str, str], Entry] = {}
    for folder in (run, stand_in(run)):  # a run that cannot be written records in its stand-in
        found |= {each.key: each for each in _entries_of(folder)}
    return sorted(found.values(), key=lambda each: each.sent)


def _entries_of(folder: Run) -> list[Entry]:
    if not folder.kaggle_file.is_file():
        return []
    try:
        return [_entry(each) for each in read_yaml(folder.kaggle_file)["submissions"]]
    except (DlError, TypeError, KeyError, ValueError, OverflowError) as error:
        why = error.why if isinstance(error, DlError) else f"expected submissions, {error}"
        raise damaged(
            folder.kaggle_file,
            why,
            "Repair it. Or remove it and run `dl kaggle sync`, which restores the submissions "
            "from Kaggle, without their expected scores.",
        ) from error


def read_logs(runs: Iterable[Run]) -> list[tuple[Run, Entry]]:
    """The submissions of several runs, in the order of sending, each once.

    A copied run has the original's entries too. A damaged file is skipped with a warning.
    """
    found: list[tuple[Run, Entry]] = []
    refs: set[int] = set()
    for run in runs:
        try:
            entries = read_log(run)
        except DlError as error:
            say(f"Warning: {error.what}, so it is left out.")
            continue
        found += [(run, each) for each in entries if each.ref not in refs]
        refs |= {each.ref for each in entries if each.ref is not None}
    return sorted(found, key=lambda pair: pair[1].sent)


def is_readable(run: Run) -> bool:
    """Whether a run's submissions can be read."""
    try:
        read_log(run)
    except DlError:
        return False
    return True


def keep(run: Run, entries: Iterable[Entry], gone: Iterable[Entry] = ()) -> None:
    """Write entries of a run, and its best public score among its headline scores.

    Changes by other processes stay: a scored entry does not become pending again, and an entry is
    removed only if it is unchanged.

    Args:
        entries: new and changed ones.
        gone: entries to remove, because Kaggle never received them.
    """
    kept_in, never = writable_run(run), list(gone)
    with alone_in(kept_in.path):
        known = {each.key: each for each in read_log(run) if each not in never}
        for entry in entries:
            held = known.get(entry.key)
            if held is None or held.is_open or not entry.is_open:
                known[entry.key] = entry
        ordered = sorted(known.values(), key=lambda each: each.sent)
        write_yaml(kept_in.kaggle_file, {"submissions": [_plain(each) for each in ordered]})
    if kept_in == run:
        note_best(run)


def note_best(run: Run) -> None:
    """Update a run's best public score in its headline scores."""
    best = best_score(read_log(run))
    if run.status.get("public_score") != best:
        run.update_status(public_score=best)


def best_score(entries: Iterable[Entry]) -> float | None:
    """The best public score in the competition of the last submission; None if there is none.

    For an unknown metric it is the newest score.
    """
    scored = [each for each in entries if each.public_score is not None]
    if not scored:
        return None
    newest = scored[-1]
    metric = METRICS.get(newest.metric or "")
    if metric is None:
        return newest.public_score
    best = min if metric.falls else max
    return best(
        each.public_score
        for each in scored
        if each.public_score is not None and each.competition == newest.competition
    )


def _plain(entry: Entry) -> dict[str, Any]:
    """An entry for YAML, without unknown values."""
    values = dataclasses.asdict(entry)
    if entry.expected_range:
        values["expected_range"] = list(entry.expected_range)
    defaults = {field.name: field.default for field in dataclasses.fields(Entry)}
    bare = {name for name, value in defaults.items() if value in (None, "")}
    return {
        name: value for name, value in values.items() if name not in bare or value not in (None, "")
    }


def _entry(values: Any) -> Entry:
    """An entry from YAML.

    Raises:
        ValueError, TypeError: it is not an entry.
    """
    if not isinstance(values, dict):
        raise ValueError(f"found {values!r:.40}")
    span = values.get("expected_range")
    numbers = {
        name: None if (held := values.get(name)) is None else float(held)
        for name in ("clip", "expected", "public_score", "private_score")
    }
    known = values | numbers | {"expected_range": list(map(float, span)) if span else None}
    entry: Entry = read_as(Entry, known, "submission")
    if not re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", entry.file):
        raise ValueError(f"`submission.file` should be {DIGITS} hex digits, not {entry.file!r:.40}")
    if any(
        value is not None and not isfinite(value) for value in (*numbers.values(), *(span or ()))
    ):
        raise ValueError("each with scores that are numbers")
    if entry.state not in STATES:
        raise ValueError(f"found one with the state {entry.state!r} and the number {entry.ref!r}")
    return entry


@dataclass(frozen=True)
class News:
    """The result of `sync`.

    Args:
        changed: new and changed entries.
        waiting: entries that are being sent or scored.
        lost: entries that never reached Kaggle; they are removed.
        listed: all submissions of the account's team, newest first.
    """

    changed: list[tuple[Run, Entry]]
    waiting: list[tuple[Run, Entry]]
    lost: list[tuple[Run, Entry]]
    listed: list[Sent]


def lock_of(slug: str) -> Path:
    """The lock file of this computer for sending to a competition."""
    return state_home() / "kaggle" / f"{sha256(slug.encode()).hexdigest()[:DIGITS]}.lock"


def sync(
    kaggle: Kaggle,
    runs: Iterable[Run],
    slug: str,
    metric: Metric | None = None,
    *,
    is_sending: bool = False,
) -> News:
    """Update the submissions of runs with Kaggle's list.

    An interrupted submission is found by its file's name; if Kaggle does not list it, its entry is
    removed. A submission whose entry was lost is found by that name too.

    Args:
        runs: the runs of a dataset.
        metric: its metric, if known.
        is_sending: whether this process holds the lock `lock_of`.
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
    for run in {run: None for run, _ in logged if runs_to_read(run) == (run,)}:
        note_best(run)  # a killed process may have left this out
    return news


def _is_old(entry: Entry) -> bool:
    """Whether an entry was sent so long ago that it would have arrived."""
    try:
        sent = datetime.fromisoformat(entry.sent)
    except ValueError:
        return True
    return abs(datetime.now(UTC) - sent.replace(tzinfo=sent.tzinfo or UTC)) > ARRIVES_WITHIN


def _heard(entry: Entry, listed: Iterable[Sent], known: set[int | None]) -> Entry | None:
    """An open entry updated from Kaggle's list; None if it has no number and is not listed.

    Args:
        known: the numbers of all recorded submissions.
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
    """The run that has a submission's file, and the digits of its name; None if none has."""
    digest = sent.file_name.partition(".")[0]
    if not re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", digest):
        return None
    for run in runs:
        if any(
            digest_of(folder.sent_file(digest)).startswith(digest) for folder in runs_to_read(run)
        ):
            return run, digest
    return None
