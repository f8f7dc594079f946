"""What a run has sent to Kaggle: its `kaggle.yaml`, an entry for each file, the oldest first.

What Kaggle says of these submissions later is brought into the same file.
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
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.files.locks import alone_in, is_held
from dlcli.files.paths import shown, state_home
from dlcli.kaggle.account import Kaggle
from dlcli.kaggle.competitions import METRICS, Metric, Sent
from dlcli.progress import say
from dlcli.runs.run import Run, runs_to_read, stand_in, writable_run

# On its way: what came of it only Kaggle's list can say.
SENDING = "sending"
STATES = (SENDING, "pending", "complete", "error")
# Kaggle gives scores to five digits behind the point.
SCORE_STEP = 1e-5

# Of a file's sha256, in hex: its name among the files that were sent.
DIGITS = 8
# An order whose sender was killed may still be at work.
ARRIVES_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Entry:
    """One file that was sent.

    Args:
        file: the first eight hex digits of its sha256; it lies in `submissions/`.
        sent: when, by our clock; see `process.utc_now`.
        message: what was said with it.
        metric: the name of the competition's metric; None where nobody said.
        clip: how far probabilities were kept from 0 and 1; None where that is not known any more.
        views: changed views of each image that it is the mean with; likewise.
        expected: the score that the validation images promise; None where the metric is not known.
        expected_range: where it lies in 95 of 100 cases.
        state: sending, pending, complete or error.
        public_score, private_score: what came back.
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
        """What tells it from others of its run."""
        return self.file, self.sent

    @property
    def is_open(self) -> bool:
        """Whether Kaggle may yet have more to say of it."""
        return self.state in (SENDING, "pending")

    @property
    def is_as_promised(self) -> bool | None:
        """Whether its public score lies where the validation images promised; None: unknown."""
        if self.expected_range is None or self.public_score is None:
            return None
        low, high = self.expected_range
        return low - SCORE_STEP <= self.public_score <= high + SCORE_STEP

    def answered(self, sent: Sent) -> Entry:
        """The entry with what Kaggle says now."""
        return dataclasses.replace(
            self,
            state=sent.state,
            ref=sent.ref,
            public_score=sent.public_score,
            private_score=sent.private_score,
            reason=sent.reason,
        )


def read_log(run: Run) -> list[Entry]:
    """What a run has sent; [] where it has sent nothing.

    Raises:
        DlError: the file is damaged.
    """
    found: dict[tuple[str, str], Entry] = {}
    for folder in (run, stand_in(run)):  # where it could not be written, that one knows more
        found |= {each.key: each for each in _entries_of(folder)}
    return sorted(found.values(), key=lambda each: each.sent)


def _entries_of(folder: Run) -> list[Entry]:
    if not folder.kaggle_file.is_file():
        return []
    try:
        return [_entry(each) for each in read_yaml(folder.kaggle_file)["submissions"]]
    except (DlError, TypeError, KeyError, ValueError) as error:
        why = error.why if isinstance(error, DlError) else f"it should list submissions, {error}"
        raise DlError(
            f"{shown(folder.kaggle_file)} is damaged",
            why=why,
            hint="Mend it; or remove it, then `dl kaggle sync` finds on Kaggle what was sent, but "
            "not what was expected of it.",
        ) from error


def read_logs(runs: Iterable[Run]) -> list[tuple[Run, Entry]]:
    """What several runs have sent, in the order of sending; each submission once.

    A run that was copied has the other's entries too. A damaged file hides no other's (said).
    """
    found: list[tuple[Run, Entry]] = []
    refs: set[int] = set()
    for run in runs:
        try:
            entries = read_log(run)
        except DlError as error:
            say(f"Warning: {error.what}, and left out.")
            continue
        found += [(run, each) for each in entries if each.ref not in refs]
        refs |= {each.ref for each in entries if each.ref is not None}
    return sorted(found, key=lambda pair: pair[1].sent)


def is_readable(run: Run) -> bool:
    """Whether what a run has sent can be read."""
    try:
        read_log(run)
    except DlError:
        return False
    return True


def keep(run: Run, entries: Iterable[Entry], gone: Iterable[Entry] = ()) -> None:
    """Write some of what a run has sent, and its best public score among its headline scores.

    What other processes write meanwhile stays: an entry that is scored is not made pending again,
    and what is gone goes only as it was known.

    Args:
        entries: new ones, and others as they are now.
        gone: those that were never taken.
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
    """Bring a run's best public score into its headline scores, where it isn't there yet."""
    best = best_score(read_log(run))
    if run.status.get("public_score") != best:
        run.update_status(public_score=best)


def best_score(entries: Iterable[Entry]) -> float | None:
    """The best public score in the competition that was sent to last; None where there is none.

    Where nobody knows whether less is better, the newest.
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
    """An entry as YAML holds it: what is not known is left out."""
    values = dataclasses.asdict(entry)
    if entry.expected_range:
        values["expected_range"] = list(entry.expected_range)
    defaults = {field.name: field.default for field in dataclasses.fields(Entry)}
    bare = {name for name, value in defaults.items() if value in (None, "")}
    return {
        name: value for name, value in values.items() if name not in bare or value not in (None, "")
    }


def _entry(values: Any) -> Entry:
    """An entry as YAML holds it.

    Raises:
        ValueError, TypeError: it is none.
    """
    if not isinstance(values, dict):
        raise ValueError(f"not {values!r:.40}")
    span = values.get("expected_range")
    numbers = {
        name: None if (held := values.get(name)) is None else float(held)
        for name in ("clip", "expected", "public_score", "private_score")
    }
    entry = Entry(
        **values | numbers | {"expected_range": tuple(map(float, span)) if span else None}
    )
    texts = (entry.file, entry.competition, entry.sent, entry.message, entry.reason)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("with a file, a competition and a time for each")
    if any(
        value is not None and not isfinite(value) for value in (*numbers.values(), *(span or ()))
    ):
        raise ValueError("with scores that are numbers")
    if entry.state not in STATES or not isinstance(entry.ref, int | None):
        raise ValueError(f"not one that is {entry.state!r} with the number {entry.ref!r}")
    return entry


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
    return state_home() / "kaggle" / f"{sha256(slug.encode()).hexdigest()[:DIGITS]}.lock"


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
        runs: those of a dataset.
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
    for run in {run: None for run, _ in logged if runs_to_read(run) == (run,)}:
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
        if any(
            digest_of(folder.sent_file(digest)).startswith(digest) for folder in runs_to_read(run)
        ):
            return run, digest
    return None
