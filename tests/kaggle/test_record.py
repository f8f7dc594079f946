"""What runs have sent: written whole, read back, merged, and judged by the best score."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.listed_runs import listed_run

from dlcli.errors import DlError
from dlcli.files.formats import read_yaml
from dlcli.kaggle.record import STATES, Entry, best_score, keep, read_log, read_logs
from dlcli.runs.run import Run

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
scores = st.none() | st.floats(0, 10)
entries = st.builds(
    Entry,
    file=st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    competition=texts,
    sent=st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    message=texts,
    metric=st.sampled_from([None, "log_loss", "accuracy"]),
    clip=st.floats(0, 0.4),
    expected=scores,
    expected_range=st.none() | st.tuples(st.floats(0, 1), st.floats(1, 2)),
    state=st.sampled_from(STATES),
    ref=st.none() | st.integers(1, 10**9),
    public_score=scores,
    reason=texts,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("runs") / "pets" / "a")
    run.path.mkdir(parents=True)
    return run


@given(st.lists(entries, max_size=4, unique_by=lambda each: (each.file, each.sent)))
def test_what_is_written_is_read_back(folder: Run, sent: list[Entry]) -> None:
    folder.kaggle_file.unlink(missing_ok=True)
    keep(folder, sent)
    assert read_log(folder) == sorted(sent, key=lambda each: each.sent)


def sent_at(minute: int, score: float | None, metric: str | None, slug: str = "pets") -> Entry:
    state = "pending" if score is None else "complete"
    moment = f"2026-11-23T14:{minute:02}:00Z"
    return Entry("1a2b3c4d", slug, moment, "", metric, state=state, ref=minute, public_score=score)


@pytest.mark.parametrize(
    ("sent", "best"),
    [
        ([], None),
        ([(0.5, "log_loss"), (0.3, "log_loss"), (None, "log_loss")], 0.3),
        ([(0.99, "accuracy"), (0.5, "accuracy")], 0.99),
        ([(0.99, None), (0.5, None)], 0.5),  # nobody knows which is better: the newest
    ],
)
def test_the_best_score_is_the_least_or_the_most_as_the_metric_has_it(
    sent: list[tuple[float | None, str | None]], best: float | None
) -> None:
    assert best_score(sent_at(minute, *each) for minute, each in enumerate(sent)) == best


def test_scores_of_two_competitions_are_not_compared() -> None:
    mixed = [sent_at(1, 0.05, "log_loss", "one"), sent_at(2, 0.97, "accuracy", "other")]
    assert best_score(mixed) == 0.97
    assert best_score([*mixed, sent_at(3, 0.06, "log_loss", "one")]) == 0.05


def test_a_score_that_came_is_not_lost_to_older_news() -> None:
    run = listed_run()
    scored = sent_at(1, 0.3, "log_loss")
    keep(run, [scored])
    keep(run, [dataclasses.replace(scored, state="pending", public_score=None)])
    assert read_log(run) == [scored]
    assert read_yaml(run.status_file)["public_score"] == 0.3


def test_what_is_gone_goes_only_as_it_was_known() -> None:
    run = listed_run()
    sending = dataclasses.replace(sent_at(1, None, None), state="sending", ref=None)
    keep(run, [dataclasses.replace(sending, state="pending", ref=7)])
    keep(run, [], gone=[sending])
    assert [each.ref for each in read_log(run)] == [7]


def test_a_run_that_was_copied_counts_once() -> None:
    run = listed_run()
    keep(run, [sent_at(1, 0.3, "log_loss")])
    copy = Run(run.path.with_name("copy"))
    shutil.copytree(run.path, copy.path)
    assert [each for each, _ in read_logs([run, copy])] == [run]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "submissions: 1",
        "submissions: [1]",
        "submissions: [{file: 1}]",
        "submissions: [{file: a, competition: b, clip: x}]",
        "submissions: [{file: a, competition: b, state: lost}]",
        "submissions: [{file: a, competition: b, ref: x}]",
        "submissions: [{file: a, competition: b, public_score: x}]",
        "submissions: [{file: a, competition: b, other: 1}]",
        "submissions: [",
    ],
)
def test_a_damaged_record_is_an_error_that_names_it(text: str) -> None:
    run = listed_run()
    run.kaggle_file.write_text(text)
    with pytest.raises(DlError, match=r"kaggle\.yaml is (damaged|not valid YAML)"):
        read_log(run)
    assert read_logs([run]) == []
