import math
from math import inf, nan, nextafter

import pytest
from factories import data_set, sanity_run, training_run

from cnnbench.verdicts.checks import training as checks

LN2 = math.log(2)
TWO = (("a/kernel",), ("b/bias", "a/kernel"))
LAYERS = ({"a": 0.5}, {"a": 0.25, "b": 0.75})
UNITS = "units that are zero for every held-out picture looked at: at most "
OF_ONE_RUN = ("training_finished", "memorization", "shuffled_labels")
OF_ALL = ("better_than_majority", "initial_loss", "weights_moved", "repeatable_inference")
SEEDS = {**dict.fromkeys(OF_ONE_RUN, 7), **dict.fromkeys((*OF_ALL, "dead_units"))}


def runs(field: str, *values):
    """Returns a run a value, under the seeds 0, 1, ..."""
    return [training_run(seed=seed, **{field: value}) for seed, value in enumerate(values)]


def hundred(first: int):
    """Returns pictures of two classes, 100 held-out ones, `first` of them of the first class."""
    return data_set(validation_labels=(0,) * first + (1,) * (100 - first))


def finished(**changes):
    return checks.check_training_finished(training_run(seed=7, **changes))


def majority(first: int, *accuracies):
    return checks.check_better_than_majority(runs("val_accuracy", *accuracies), hundred(first))


def initial(*losses, limit=0.25, classes=2):
    return checks.check_initial_loss(runs("initial_loss", *losses), classes, limit)


def moved(limit, *unchanged):
    return checks.check_weights_moved(runs("unchanged_weights", *unchanged), limit)


def by_heart(accuracy, loss):
    return checks.check_memorization(sanity_run(accuracy=accuracy, loss=loss, seed=7), 0.25)


def shuffled(accuracy):
    run = sanity_run(kind="shuffled_labels", accuracy=accuracy, seed=7)
    return checks.check_shuffled_labels(run, hundred(20), 0.125)


def repeated(limit, *differences):
    return checks.check_repeatable_inference(runs("prediction_difference", *differences), limit)


def dead(limit, *shares):
    return checks.check_dead_units(runs("dead_units", *shares), limit)


@pytest.mark.parametrize(
    ("result", "verdict", "observed", "threshold", "told"),
    [
        (finished(), "pass", 0, 0, "0 of 4 losses are not finite; last training loss 0.4"),
        (finished(history={"loss": (0.6, -inf, 0.4)}), "fail", 1, 0, "1 of 5 losses are not"),
        (finished(train_loss=nan), "fail", 1, 0, "1 of 4 losses are not finite; last"),
        (finished(val_loss=inf), "fail", 1, 0, "1 of 4 losses are not finite; last"),
        (finished(non_finite=(2, 7)), "fail", 0, 0, "stopped in epoch 2, whose batch 7 has such"),
        (majority(50, 0.7), "pass", 0.7, 0.6163174, "lowest held-out accuracy 0.7000 of 1 seeds"),
        (initial(LN2 + 0.25, LN2), "pass", 0.25, 0.25, "expected within 0.25 of ln 2 = 0.6931."),
        (initial(LN2, LN2 - 0.25, limit=nextafter(0.25, 0)), "fail", 0.25, 0.25, ""),
        (initial(math.log(10), classes=10, limit=0.0), "pass", 0, 0, "losses before training [2.3"),
        (initial(LN2, inf, limit=1e9), "fail", inf, 1e9, "Are the pictures rescaled"),
        (moved(0, ()), "pass", 0, 0, "0 weight arrays are as they were drawn after training"),
        (moved(1, *TWO), "fail", 2, 1, "drawn after training: a/kernel, b/bias"),
        (moved(2, *TWO), "pass", 2, 2, ""),
        (by_heart(1.0, 0.25), "pass", 0.25, 0.25, "8 pictures after 50 steps: accuracy 1.0000"),
        (by_heart(1.0, nextafter(0.25, 1)), "fail", 0.25, 0.25, "a loss of at most 0.25"),
        (by_heart(nextafter(1.0, 0), 0.0), "fail", 0, 0.25, "expected accuracy 1 and"),
        (by_heart(nan, 0.0), "fail", 0, 0.25, ""),
        (by_heart(1.0, nan), "fail", nan, 0.25, ""),
        (shuffled(0.925), "pass", 0.925, 0.925, "chance is 0.8000, margin 0.1250"),
        (shuffled(nextafter(0.925, 1)), "fail", 0.925, 0.925, "after training on shuffled labels"),
        (shuffled(nan), "fail", nan, 0.925, ""),
        (repeated(0.25, 0.0, 0.25), "pass", 0.25, 0.25, "differ by up to 0.25; limit 0.25. More"),
        (repeated(nextafter(0.25, 0), 0.25), "fail", 0.25, 0.25, "augmentation or dropout is left"),
        (dead(0.75, *LAYERS), "pass", 0.75, 0.75, f"{UNITS}75.0% of the units of 'b' under seed 1"),
        (dead(nextafter(0.75, 0), *LAYERS), "fail", 0.75, 0.75, "; limit 75.0%"),
        (dead(0.0, {}), "pass", 0, 0, f"{UNITS}0.0%, no layer has a relu; limit 0.0%"),
    ],
)
def test_a_check_has_a_verdict_its_numbers_words_and_the_seed_of_one_run(
    result, verdict, observed, threshold, told
):
    assert (result.verdict, result.seed) == (verdict, SEEDS[result.check])
    assert result.observed == pytest.approx(observed, nan_ok=True)
    assert result.threshold == pytest.approx(threshold)
    assert told in result.detail


@pytest.mark.parametrize("values", [(nan,), (0.7, nan), (nan, 0.7)])
def test_no_number_passes_whichever_seed_has_it(values):
    for result in (majority(50, *values), initial(*values, limit=1e9), repeated(1.0, *values)):
        assert result.verdict == "fail"
        assert math.isnan(result.observed)


# Better than majority


@pytest.mark.parametrize("first", [50, 20, 80])
def test_the_lowest_seed_must_be_better_than_luck(first):
    # Normal approximation: p + z * sqrt(p (1 - p) / n), z = 2.326 the 99 % point of the normal
    # distribution (NIST/SEMATECH e-Handbook, 1.3.6.7.1).
    share = max(first, 100 - first) / 100
    bound = majority(first, 0.5).threshold
    assert bound == pytest.approx(share + 2.326 * math.sqrt(share * (1 - share) / 100), abs=1e-4)
    at, above = majority(first, 0.95, bound), majority(first, 0.95, nextafter(bound, 1))
    assert (at.verdict, above.verdict, at.observed) == ("fail", "pass", bound)


@pytest.mark.parametrize(
    ("answers", "constant"),
    [
        (((0.1,), (0.5,), (0.2,)), True),
        (((0.2, 0.3, 0.5), (0.0, 0.4, 0.6)), True),
        (((0.2, 0.8), (0.8, 0.2)), False),
    ],
)
def test_seeds_that_give_every_picture_the_same_class_are_named(answers, constant):
    several = [training_run(seed=1), training_run(seed=4, val_probabilities=answers)]
    detail = checks.check_better_than_majority(several, data_set()).detail
    assert detail.endswith("; seeds [4] give every picture the same class") == constant


@pytest.mark.parametrize("first", [50, 10, 90])
def test_worse_than_the_rarest_class_asks_for_swapped_classes(first):
    share = min(first, 100 - first) / 100
    bound = share - 2.326 * math.sqrt(share * (1 - share) / 100)
    question = "; worse than chance: are the classes swapped on one side?"
    for accuracy, asked in ((bound - 0.001, True), (bound + 0.001, False)):
        assert majority(first, 0.9, accuracy).detail.endswith(question) == asked
