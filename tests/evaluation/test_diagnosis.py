"""What is said about a training: true of its numbers, and no more than they show."""

import math
import re

import pytest
from support.course_trainings import (
    BARELY_TRAINED,
    BATCHNORM,
    BREEDS,
    CNN,
    DIGITS,
    FINETUNE,
    LINEAR,
    MUCH_DROPOUT,
    PAIR,
    SEEN,
    TWENTY_IMAGES,
    TWENTY_TO_JUDGE_BY,
    rows,
)

from dlcli import words
from dlcli.evaluation.diagnosis import Score, diagnose
from dlcli.evaluation.remedies import Options

CASES = {
    "finetune": (FINETUNE, Options(dropout=0.5), "good fit"),
    "much dropout": (MUCH_DROPOUT, Options(dropout=0.95), "underfitting"),
    "twenty images": (TWENTY_IMAGES, Options(dropout=0.5), "overfitting"),
    "twenty to judge by": (TWENTY_TO_JUDGE_BY, Options(dropout=0.5), "not clear"),
    "barely trained": (BARELY_TRAINED, Options(dropout=0.5), "still learning"),
    "linear": (LINEAR, Options(normalises=True), "underfitting"),
    "cnn": (CNN, Options(), "underfitting"),
    "batchnorm": (BATCHNORM, Options(augments=True, normalises=True), "not settled"),
    "digits": (DIGITS, Options(), "overfitting"),
}


def said(training, options=None):
    return diagnose(*training, options or Options())


def plain(diagnosis):
    return "\n".join(diagnosis.lines).replace(words.NBSP, " ")


@pytest.mark.parametrize(("training", "options", "kind"), CASES.values(), ids=CASES)
def test_real_trainings_are_called_what_they_were(training, options, kind):
    assert said(training, options).kind == kind


def test_the_block_after_a_training_gives_finding_numbers_and_remedies():
    full = "dl train fc -d dogscats"
    options = Options(dropout=0.5, full=full, simpler="dl train dense")
    finding, numbers, *remedies = plain(said(TWENTY_IMAGES, options)).splitlines()
    assert finding == (
        "Overfitting: the loss is 0.188 on the validation images and 0.0028 on training images. "
        "The difference is larger than chance explains."
    )
    assert numbers == (
        "Training images: loss 0.0028 ± 0.0004, accuracy 100 % (20 images). Validation images: "
        "loss 0.188 ± 0.0261, accuracy 92.8 % (400 images). Guessing by class frequencies: 0.693."
    )
    assert remedies == [
        "Try, in this order:",
        "- the whole dataset, `dl train fc -d dogscats`",
        "- augmentation, `dl rerun RUN --set augment=true`",
        "- more dropout, `dl rerun RUN --set dropout=0.75`",
        "- a simpler model, `dl train dense`",
    ]


@pytest.mark.parametrize(
    ("options", "during", "after"),
    [
        (Options(), "", ""),
        (Options(dropout=0.5), ", with dropout", ", without dropout"),
        (
            Options(dropout=0.5, augments=True),
            ", with dropout and augmentation",
            ", without dropout and augmentation",
        ),
    ],
)
def test_a_training_loss_of_the_epoch_that_is_higher_is_explained(options, during, after):
    train, valid = Score(0.1, 0.01, 1.0, PAIR), Score(0.3, 0.01, 0.9, PAIR)
    found = said((train, valid, rows((0.2, 0.9, 0.3))), options).evidence
    assert found.endswith(
        f" Epoch 1's training loss, 0.200, is a mean over the epoch{during}; the losses here are "
        f"measured after it{after}."
    )
    assert "Epoch 1's" not in said((train, valid, rows((0.105, 0.9, 0.3))), options).evidence


def test_a_training_loss_of_the_epoch_that_is_lower_or_a_trifle_away_is_not_explained():
    unsettled = Score(0.9, 0.01, 0.6, PAIR), Score(0.9, 0.01, 0.6, PAIR), rows((0.15, 0.9, 0.9))
    assert "Epoch 1's" not in said(unsettled, Options(normalises=True, dropout=0.5)).evidence
    train, valid = Score(0.4, 0.01, 0.9, PAIR), Score(0.4, 0.01, 0.9, PAIR)
    assert "Epoch 1's" not in said((train, valid, rows((0.2, 0.9, 0.4)))).evidence
    train, valid = Score(1e-6, 1e-7, 1.0, PAIR), Score(1e-5, 1e-6, 1.0, PAIR)
    assert "Epoch 1's" not in said((train, valid, rows((3e-6, 1.0, 1e-5)))).evidence


def test_a_single_remedy_stands_on_the_line_that_names_it():
    assert plain(said(FINETUNE, Options(full="dl train it -d all"))).endswith(
        "\nTo go further: the whole dataset, `dl train it -d all`."
    )
    assert plain(said(TWENTY_IMAGES, Options(augments=True))).endswith("\nTry more images.")


def test_the_table_has_the_finding_and_the_first_remedy():
    text = said(FINETUNE, Options(full="--full")).in_short
    assert text.endswith(
        "The difference is no larger than chance explains with 400 validation images. Next: "
        "the whole dataset, `--full`."
    )
    assert said(FINETUNE).in_short == said(FINETUNE).sentence


class TestOverfitting:
    def test_a_gap_that_is_surely_there_but_a_trifle_is_a_good_fit(self):
        train, valid = (Score(loss, 0.0001, 0.998, (9000, 9000)) for loss in (0.01, 0.013))
        assert said((train, valid, [])).kind == "good fit"
        assert "a small difference" in said((train, valid, [])).sentence

    def test_a_gap_small_beside_the_training_loss_is_none(self):
        train, valid = Score(0.06, 0.001, 0.97, PAIR), Score(0.074, 0.001, 0.97, PAIR)
        assert said((train, valid, [])).kind == "good fit"

    def test_validation_below_training_is_no_sign_of_it_nor_called_noise(self):
        text = said((Score(0.04, 0.001, 0.99, SEEN), Score(0.02, 0.001, 0.99, PAIR), [])).sentence
        assert text.startswith("Good fit") and "no sign of overfitting" in text

    def test_what_was_memorised_and_does_not_carry_over_is_overfitting(self):
        training = (Score(0.05, 0.002, 1, SEEN), Score(3.0, 0.2, 0.49, PAIR), [])
        assert said(training).kind == "overfitting"
        assert "not measurably better" in said(training).evidence

    def test_remedies_used_or_impossible_are_left_out(self):
        used = Options(augments=True, dropout=0.95)
        assert said(TWENTY_IMAGES, used).next == ("more images",)
        none = Options(dropout=0.0, pretrained="dl train finetune")
        assert said(TWENTY_IMAGES, none).next == (
            "augmentation, `dl rerun RUN --set augment=true`",
            "a pretrained network, `dl train finetune`",
            "dropout, `dl rerun RUN --set dropout=0.5`",
        )

    def test_a_pretrained_network_comes_first_where_validation_is_no_better_than_guessing(self):
        train, valid = Score(0.21, 0.02, 0.95, SEEN), Score(2.46, 0.2, 0.5, PAIR)
        found = said((train, valid, []), Options(pretrained="dl train finetune"))
        assert found.kind == "overfitting"
        assert found.next[0] == "a pretrained network, `dl train finetune`"


class TestOverconfident:
    """A validation loss above that of guessing, of a model that names many images correctly."""

    FALLING = rows((9.0, 0.3, 9.0), (3.0, 0.6, 7.0), (0.4, 0.9, 6.0), (0.0, 1.0, 5.654))
    WRECKED = (
        Score(0.0, 0.0, 1.0, (6,) * 46 + (10,) * 13),
        Score(5.654, 1.2, 0.77, (1,) * 19 + (2,) * 41),
        FALLING,
    )

    def test_lower_rates_come_first_though_the_loss_still_falls(self):
        options = Options(highest_rate=1.0, find_rate="dl lr-find finetune", simpler="dl train it")
        found = said(self.WRECKED, options)
        assert found.kind == "overconfident"
        assert "Guessing by class frequencies gives a lower loss, though the accuracy" in (
            found.sentence
        )
        assert found.next == (
            "lower learning rates, `dl rerun RUN --lr 0.1`",
            "another learning rate, `dl lr-find finetune`",
            "augmentation, `dl rerun RUN --set augment=true`",
            "a simpler model, `dl train it`",
        )

    def test_lower_rates_come_before_augmentation_where_validation_is_at_chance_too(self):
        train, valid, history = self.WRECKED
        at_chance = Score(valid.loss, valid.loss_error, 0.01, valid.counts)
        found = said((train, at_chance, history))
        assert found.kind == "overfitting"
        assert found.next[0] == "lower learning rates, `dl rerun RUN --lr 0.0003`"

    def test_a_first_epoch_worse_than_guessing_asks_for_no_higher_rate(self):
        train, valid = (Score(loss, 0.05, 0.1, (10,) * 60) for loss in (4.2, 4.3))
        found = said((train, valid, rows((4.4, 0.1, 4.3))), Options(find_rate="dl lr-find it"))
        assert found.next[:2] == (
            "more epochs, `dl rerun RUN --epochs 24`",
            "another learning rate, `dl lr-find it`",
        )


class TestUnderfitting:
    def test_the_rate_comes_first_where_training_rose(self):
        found = said(LINEAR, Options(richer="dl train dense", find_rate="dl lr-find linear"))
        assert (
            "After epoch 2, whose model was kept, the training loss rose from 0.802 to 0.961."
            in (found.evidence)
        )
        assert found.next == (
            "lower learning rates, `dl rerun RUN --lr 0.0003`",
            "another learning rate, `dl lr-find linear`",
            "a richer model, `dl train dense`",
        )

    def test_where_hardly_anything_was_learned_there_is_nothing_to_be_learned_by_heart(self):
        train, valid = Score(0.66, 0.01, 0.6, SEEN), Score(1.2, 0.02, 0.5, PAIR)
        assert said((train, valid, [])).kind == "underfitting"
        assert "higher still, 1.200" in said((train, valid, [])).sentence
        learned = Score(0.6, 0.01, 0.7, SEEN), valid, []
        assert said(learned).kind == "overfitting"

    def test_more_epochs_come_first_where_there_was_only_one(self):
        scores, one_epoch = BARELY_TRAINED[:2], BARELY_TRAINED[2][:1]
        found = said((*scores, one_epoch), Options(dropout=0.5, richer="--unfreeze 2"))
        assert found.next == (
            "more epochs, `dl rerun RUN --epochs 24`",
            "a higher learning rate, `dl rerun RUN --lr 0.009`",
            "less dropout, `dl rerun RUN --set dropout=0.25`",
            "a richer model, `--unfreeze 2`",
        )

    def test_more_epochs_are_not_named_where_a_later_one_was_no_better(self):
        assert not any("epochs" in one for one in said(CNN, Options(richer="dl train bn")).next)

    def test_dropout_comes_first_where_it_holds_training_back(self):
        found = said(MUCH_DROPOUT, Options(dropout=0.95, augments=True, richer="--unfreeze 2"))
        assert found.sentence.replace(words.NBSP, " ") == (
            "Underfitting: the accuracy on training images was 90.7 % while training with dropout "
            "0.95 and augmentation. Without both, the accuracy is 98.6 %."
        )
        assert found.next[0] == "less dropout, `dl rerun RUN --set dropout=0.47`"

    def test_an_epoch_in_which_the_loss_fell_far_says_nothing_about_dropout(self):
        train, valid, _ = MUCH_DROPOUT
        for history in (rows((0.25, 0.9, 0.0226)), rows((0.9, 0.5, 0.4), (0.25, 0.9, 0.0226))):
            assert "dropout" not in said((train, valid, history), Options(dropout=0.5)).sentence

    def test_where_much_is_missing_and_it_overfits_too_both_are_said(self):
        both = (Score(0.47, 0.01, 0.8, SEEN), Score(0.65, 0.03, 0.7, PAIR), [])
        found = said(both, Options(dropout=0.5, pretrained="dl train finetune"))
        assert found.kind == "underfitting"
        assert "On the validation images it is higher still, 0.650" in found.sentence
        assert not any("dropout" in one for one in found.next)

    def test_one_image_that_is_most_of_the_loss_is_no_underfitting(self):
        one = (Score(0.126, 0.126, 0.9875, (40, 40)), Score(0.0, 0.0, 1.0, PAIR), [])
        assert said(one).kind != "underfitting"

    def test_a_loss_above_a_guessers_asks_for_lower_rates(self):
        found = said((Score(5.53, 0.2, 0.62, SEEN), Score(6.08, 0.4, 0.6, PAIR), []), Options())
        assert found.kind == "underfitting"
        assert found.sentence.endswith("gives a lower loss.")
        assert found.evidence.endswith("Guessing by class frequencies: 0.693.")
        assert found.next[0].startswith("lower learning rates")

    def test_a_training_loss_that_exploded_asks_for_a_lower_rate_though_it_falls(self):
        history = rows((300.0, 0.5, 2.0), (105.0, 0.6, 0.4))
        scores = Score(0.4, 0.05, 0.9, SEEN), Score(0.4, 0.05, 0.9, PAIR)
        found = said((*scores, history), Options(again="dl rerun it", highest_rate=50))
        assert found.kind == "underfitting"
        assert "was 105.0 while training, above that of guessing" in found.sentence
        assert found.next[0] == "lower learning rates, `dl rerun it --lr 5`"

    def test_where_the_loss_still_falls_it_is_still_learning(self):
        falling = rows((0.69, 0.5, 0.68), (0.46, 0.9, 0.45), (0.31, 0.97, 0.3))
        found = said((Score(0.3, 0.01, 0.975, SEEN), Score(0.31, 0.02, 0.97, PAIR), falling))
        assert found.kind == "still learning"

    def test_where_most_of_what_it_learned_does_not_carry_over_overfitting_comes_first(self):
        dense = (Score(0.437, 0.0091, 0.825, SEEN), Score(0.631, 0.0267, 0.6525, PAIR), [])
        assert said(dense).kind == "overfitting"

    def test_the_scale_is_a_guesser_whatever_the_number_of_classes(self):
        breeds = [Score(loss, 0.02, 0.9, (10,) * 120) for loss in (0.3, 0.32)]
        assert said((*breeds, [])).kind == "good fit"
        assert said((*(Score(0.3, 0.02, 0.9, PAIR) for _ in breeds), [])).kind == "underfitting"


class TestGuessing:
    def test_the_frequent_class_named_always_is_nothing_learned(self):
        always = Score(0.4, 0.03, 0.9, (360, 40))
        found = said((always, always, rows((0.4, 0.9, 0.4))))
        assert found.kind == "nothing learned"
        assert "Guessing by class frequencies: 0.325." in found.evidence
        assert found.next == (
            "more epochs, `dl rerun RUN --epochs 24`",
            "a higher learning rate, `dl rerun RUN --lr 0.009`",
        )

    def test_a_loss_worse_than_a_guessers_with_an_accuracy_above_it_is_something(self):
        assert said(LINEAR).kind == "underfitting"

    def test_a_hundred_and_twenty_classes_at_chance(self):
        chance = Score(math.log(120), 0.001, 1 / 120, (10,) * 120)
        assert said((chance, chance, [])).kind == "nothing learned"
        assert "4.787" in said((chance, chance, [])).evidence


class TestHistory:
    OVERSHOT = rows((0.2, 0.9, 0.05), (0.03, 0.99, 0.04), (0.02, 1, 0.2), (0.01, 1, 0.3))
    FIT = (Score(0.035, 0.002, 0.99, SEEN), Score(0.04, 0.003, 0.99, PAIR))

    def test_a_rise_after_the_kept_epoch_is_told_and_its_remedies_named(self):
        found = said((*self.FIT, self.OVERSHOT), Options(full="--full"))
        assert found.kind == "good fit"
        assert (
            "After epoch 2, whose model was kept, the validation loss rose from 0.0400 to 0.300 "
            "while the training loss fell."
        ) in found.evidence
        assert found.next == (
            "the whole dataset, `--full`",
            "augmentation, `dl rerun RUN --set augment=true`",
        )

    @pytest.mark.parametrize(
        "history",
        [
            OVERSHOT[:3],  # one epoch may be an outlier
            OVERSHOT[:2] + [row | {"phase": "unfreeze"} for row in OVERSHOT[2:]],
            OVERSHOT[:2] + [row | {"loss": 0.5} for row in OVERSHOT[2:]],
            OVERSHOT[:2] + [row | {"val_loss": 0.045} for row in OVERSHOT[2:]],
        ],
    )
    def test_a_rise_that_is_not_shown_is_not_told(self, history):
        assert "validation loss rose" not in said((*self.FIT, history)).evidence

    def test_a_rise_within_the_noise_is_not_told(self):
        train, valid = self.FIT
        noisy = Score(valid.loss, 0.1, valid.accuracy, valid.counts)
        assert "rose" not in said((train, noisy, self.OVERSHOT)).evidence

    def test_a_validation_loss_falling_still_in_the_last_and_best_epoch_is_still_learning(self):
        options = Options(epochs=2, highest_rate=1, find_rate="dl lr-find it")
        found = said((*self.FIT, self.OVERSHOT[:2]), options)
        assert found.kind == "still learning"
        assert "fell from 0.0500 half-way to 0.0400 in epoch 2." in found.sentence
        assert found.next == (
            "more epochs, `dl rerun RUN --epochs 4`",
            "a higher learning rate, `dl rerun RUN --lr 3`",
            "the learning-rate finder, `dl lr-find it`",
        )

    def test_an_unfinished_training_is_still_learning_though_validation_is_behind(self):
        assert said(BREEDS).kind == "still learning"
        assert said(BREEDS, Options(epochs=4)).next[0] == "more epochs, `dl rerun RUN --epochs 8`"

    @pytest.mark.parametrize(
        "losses",
        [
            (3.3, 2.5, 1.9, 1.88, 1.7, 1.75, 1.8, 1.9),  # the best is not among the last
            (3.3, 2.5, 1.9, 1.91),  # it rises
            (2.0, 1.9, 1.89, 1.88),  # by 1 %
            (2.0, 1.9, 1.95, 1.84),  # by no more than it wavers
        ],
    )
    def test_a_validation_loss_that_ends_flat_or_wavers_is_learning_no_more(self, losses):
        train, valid, _ = BREEDS
        history = rows(*((loss / 2, 0.9, loss) for loss in losses))
        assert said((train, valid, history)).kind == "overfitting"

    @pytest.mark.parametrize("history", [[], rows((math.nan,) * 3), [{"epoch": 1}]])
    def test_a_history_without_numbers_says_nothing(self, history):
        assert said((*self.FIT, history)).kind == "good fit"


class TestTooLittle:
    def test_four_images_clear_nobody(self):
        training = (Score(0.02, 0.003, 1, SEEN), Score(0.4, 0.3, 0.75, (2, 2)), [])
        found = said(training, Options(full="-d all"))
        assert (
            found.kind == "not clear"
            and "can't be measured with 4 validation images" in found.sentence
        )
        assert found.next == ("the whole dataset, `-d all`", "more images")

    def test_the_noise_is_that_of_the_fewer_images(self):
        train = Score(0.02, 0.015, 1, (10, 10))
        valid = Score(0.03, 0.002, 0.99, (5000, 5000))
        assert said((train, valid, [])).sentence.endswith(
            "chance explains with 20 training images."
        )

    def test_few_images_need_a_wider_gap_than_many(self):
        train = Score(0.02, 0.003, 1, SEEN)
        assert said((train, Score(0.4, 0.15, 0.75, (2, 2)), [])).kind == "not clear"
        assert said((train, Score(0.4, 0.15, 0.75, PAIR), [])).kind == "overfitting"

    @pytest.mark.parametrize(
        "odd",
        [
            Score(math.nan, math.nan, math.nan, PAIR),
            Score(math.inf, math.nan, 0.5, PAIR),
            Score(0.1, 0.01, 1, (4, 0)),
            Score(0.1, math.nan, 1, (1, 0)),
            Score(math.nan, math.nan, math.nan, ()),
        ],
    )
    def test_what_is_no_measurement_is_not_clear(self, odd):
        good = TWENTY_IMAGES[0]
        for training in ((odd, good, []), (good, odd, [])):
            found = said(training)
            assert found.kind == "not clear" and found.next == ()
            assert not re.search(r"\b(nan|inf)\b", plain(found))

    def test_with_all_images_right_and_a_low_loss_nothing_richer_is_named(self):
        right = (Score(0.01, 0.002, 0.999, SEEN), Score(0.01, 0.002, 1.0, PAIR), [])
        found = said(right, Options(richer="dl train fc"))
        assert found.kind == "good fit" and found.next == ()
        assert found.sentence.endswith("classified correctly, so accuracy has nothing to gain.")

    def test_a_log_loss_that_still_falls_is_told_though_all_images_are_right(self):
        right = Score(0.01, 0.002, 0.999, SEEN), Score(0.01, 0.002, 1.0, PAIR)
        falling = rows(*((loss, 1, loss) for loss in (0.04, 0.0125, 0.0111, 0.01)))
        found = said((*right, falling))
        assert found.kind == "good fit"
        assert found.sentence.endswith(
            "so accuracy has nothing to gain. The log loss still fell, from 0.0125 half-way to "
            "0.0100 in epoch 4."
        )
        assert found.next == ("more epochs, `dl rerun RUN --epochs 24`",)

    def test_perfect_scores_are_a_good_fit(self):
        perfect = Score(0.0, 0.0, 1.0, PAIR)
        found = said((perfect, perfect, rows((0.0, 1, 0.0))), Options(dropout=0.5))
        assert found.kind == "good fit" and found.next == ()
