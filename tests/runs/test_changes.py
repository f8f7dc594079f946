"""Changes of a run under way: what is left of a plan, and at which rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dlcli.recipe import Phase
from dlcli.runs.changes import Change, batch_size_at, changed_phases
from dlcli.settings.schedule import Schedule

rates = st.floats(1e-6, 10)
plans = st.lists(st.lists(rates, min_size=1, max_size=5), min_size=1, max_size=3)


def planned(plan: list[list[float]]) -> tuple[Phase, ...]:
    return tuple(Phase(f"p{n}", Schedule.of(each)) for n, each in enumerate(plan))


def in_order(phases: tuple[Phase, ...]) -> list[tuple[str, float]]:
    return [(phase.name, rate) for phase in phases for rate in phase.schedule.rates()]


def at(phases: tuple[Phase, ...], done: int, **asked: object) -> Change:
    """A change after some epochs of a plan, none of which was left out."""
    phase = 0
    left = done
    while phase < len(phases) - 1 and left > phases[phase].schedule.epochs:
        left -= phases[phase].schedule.epochs
        phase += 1
    return Change(done, phase, left, **asked)  # type: ignore[arg-type]


@given(plans, st.data())
def test_so_many_epochs_as_were_asked_for_and_those_done_stay(
    plan: list[list[float]], data: st.DataObject
) -> None:
    phases = planned(plan)
    before = in_order(phases)
    done = data.draw(st.integers(0, len(before)))
    wanted = data.draw(st.integers(max(done, 1), len(before) + 5))
    after = in_order(changed_phases(phases, [at(phases, done, epochs=wanted)]))
    assert len(after) == wanted
    kept = min(wanted, len(before))
    assert after[:kept] == before[:kept]
    assert after[kept:] == [before[-1]] * (wanted - kept)


@given(plans, rates, st.data())
def test_a_rate_is_of_all_epochs_that_are_left_and_of_no_other(
    plan: list[list[float]], rate: float, data: st.DataObject
) -> None:
    phases = planned(plan)
    before = in_order(phases)
    done = data.draw(st.integers(0, len(before)))
    after = in_order(changed_phases(phases, [at(phases, done, learning_rate=rate)]))
    assert after[:done] == before[:done]
    assert after[done:] == [(name, rate) for name, _ in before[done:]]


@given(plans, st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), rates), max_size=4))
def test_changes_one_after_another_never_touch_what_was_done(
    plan: list[list[float]], asked: list[tuple[int, int, float]]
) -> None:
    phases = planned(plan)
    changes: list[Change] = []
    done = 0
    for trained, more, rate in asked:
        now = changed_phases(phases, changes)
        before = in_order(now)
        done = min(done + trained, len(before))
        changes.append(at(now, done, epochs=done + more, learning_rate=rate))
        after = in_order(changed_phases(phases, changes))
        assert after[:done] == before[:done]
        assert len(after) == done + more
        assert {rate for _, rate in after[done:]} == {changes[-1].learning_rate}


def test_a_batch_size_holds_from_the_next_epoch_on() -> None:
    changes = [
        Change(2, 0, 2, batch_size=8),
        Change(3, 0, 3, epochs=9),
        Change(5, 0, 5, None, None, 4),
    ]
    sizes = [batch_size_at(epoch, 64, changes) for epoch in range(1, 8)]
    assert sizes == [64, 64, 8, 8, 8, 4, 4]


def test_a_change_is_said_in_words_and_comes_back_from_what_is_recorded() -> None:
    change = Change(3, 0, 3, epochs=20, learning_rate=1e-4, batch_size=32, when="2026-11-23T14:09Z")
    assert str(change) == (
        "from epoch 4 on: 20 epochs in all, a learning rate of 0.0001, batches of 32"
    )
    assert str(Change(1, 0, 1, epochs=1)) == "from epoch 2 on: 1 epoch in all"
    assert Change.from_description(change.describe()) == change
    assert Change(0, 0, 0, epochs=2).describe() == {
        "after": 0,
        "phase": 0,
        "phase_epochs": 0,
        "epochs": 2,
    }


def test_a_rerun_leaves_out_what_it_was_asked_otherwise() -> None:
    change = Change(2, 0, 2, epochs=5, learning_rate=1e-3, batch_size=8, optimizer_anew=True)
    assert change.without(None, None) == change
    assert change.without(4, None) == Change(2, 0, 2, learning_rate=1e-3, batch_size=8)
    assert change.without(4, 1e-4) == Change(2, 0, 2, batch_size=8)
    assert Change(2, 0, 2, epochs=5, optimizer_anew=True).without(4, None) is None
