"""Whatever the numbers, a diagnosis claims nothing that they don't show."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from dlcli import words
from dlcli.evaluation.diagnosis import HIGH, Score, diagnose
from dlcli.evaluation.remedies import Options

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "phase")
# as many small losses as large ones, since most rules are about those
losses = st.floats(0, 40) | st.floats(0, 0.1)
scores = st.builds(
    Score,
    losses,
    st.floats(0, 0.01) | st.floats(0, 5) | st.just(math.nan),
    st.floats(0, 1),
    st.lists(st.integers(0, 2000), min_size=2, max_size=5).map(tuple),
)
histories = st.lists(
    st.tuples(losses | st.just(math.nan), st.floats(0, 1), losses, st.sampled_from(["a", "b"])),
    max_size=6,
).map(
    lambda epochs: [dict(zip(COLUMNS, (n, *row), strict=True)) for n, row in enumerate(epochs, 1)]
)
commands = st.none() | st.just("dl train it")
chosen = st.builds(
    Options,
    augments=st.booleans(),
    dropout=st.none() | st.floats(0, 0.99),
    normalises=st.booleans(),
    full=commands,
    pretrained=commands,
    simpler=commands,
    richer=commands,
    find_rate=commands,
)


@given(scores, scores, histories, chosen)
def test_overfitting_is_claimed_only_where_validation_is_worse(train, valid, history, options):
    train, valid = sorted((train, valid), key=lambda score: -score.loss)
    found = diagnose(train, valid, history, options)
    assert found.kind != "overfitting" and "Overfitting" not in " ".join(found.lines)


@given(st.floats(0, 0.001), scores, histories, chosen)
def test_underfitting_is_never_claimed_of_what_fits(loss, valid, history, options):
    train = Score(loss, 0.0001, 1.0, (800, 800))
    assert diagnose(train, valid, history, options).kind not in ("underfitting", "nothing learned")


@given(scores, scores, histories, chosen)
def test_every_number_shown_was_measured(train, valid, history, options):
    found = diagnose(train, valid, history, options)
    measured = {words.loss(each.guess_loss) for each in (train, valid) if each.images}
    for each in (train, valid):
        measured |= {words.loss(each.loss), words.percent(each.accuracy), f"{each.images:,}"}
        measured |= {words.loss(each.loss_error)}
    for row in history:
        measured |= {words.loss(row["loss"]), words.loss(row["val_loss"]), str(row["epoch"])}
        measured |= {words.percent(row["accuracy"])}
    measured |= {f"{options.dropout or 0:g}"}
    measured = {text.removesuffix(f"{words.NBSP}%").lstrip("<>") for text in measured}
    shown = re.findall(r"\d(?:[\d,.]*\d)?(?:e-\d+)?", f"{found.sentence} {found.evidence}")
    assert set(shown) <= measured


@given(scores, scores, histories, chosen)
def test_what_is_said_is_whole_and_the_same_each_time(train, valid, history, options):
    found = diagnose(train, valid, history, options)
    assert found == diagnose(train, valid, history, options)
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(found.lines))
    finding, evidence, *tries = found.lines
    assert finding.endswith(".") and evidence.endswith(".")
    assert len(tries) == (len(found.next) if len(found.next) < 2 else len(found.next) + 1)
    assert len(set(found.next)) == len(found.next) and all(found.next)


@given(scores, scores, histories, chosen)
def test_a_validation_loss_above_that_of_guessing_asks_for_no_higher_rate(
    train, valid, history, options
):
    found = diagnose(train, valid, history, options)
    if valid.usable and valid.loss > valid.guess_loss and found.kind != "nothing learned":
        assert found.kind != "still learning"
        assert "higher learning rate" not in " ".join(found.next)


@given(scores, scores, histories, chosen)
def test_dropout_is_never_both_too_much_and_too_little(train, valid, history, options):
    tries = " ".join(diagnose(train, valid, history, options).next)
    assert not ("more dropout" in tries and "less dropout" in tries)


@given(scores, scores, histories)
def test_a_good_fit_leaves_no_room_for_a_large_gap(train, valid, history):
    if diagnose(train, valid, history, Options()).kind == "good fit":
        assert valid.loss + valid.noise < train.loss + (HIGH + 1e-9) * valid.guess_loss
