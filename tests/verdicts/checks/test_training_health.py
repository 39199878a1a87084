"""The checks of a network's health; those of what it learnt stand in `test_checks.py`."""

import math
from math import inf, nan, nextafter

import pytest
from factories import data_set, sanity_run, training_run

from cnnbench.verdicts.checks.training import (
    check_dead_units,
    check_initial_loss,
    check_memorization,
    check_repeatable_inference,
    check_shuffled_labels,
    check_training_finished,
    check_weights_moved,
)


def runs(field: str, *values):
    """Return a run a value, under the seeds 0, 1, ..."""
    return [training_run(seed=seed, **{field: value}) for seed, value in enumerate(values)]


@pytest.mark.parametrize(
    "check",
    [
        check_training_finished,
        lambda run: check_memorization(sanity_run(seed=run.seed), 0.3),
        lambda run: check_shuffled_labels(sanity_run(seed=run.seed), data_set(), 0.1),
    ],
    ids=["training_finished", "memorization", "shuffled_labels"],
)
def test_a_check_of_one_seed_names_it(check):
    assert check(training_run(seed=7)).seed == 7


# Finished


def test_finite_losses_are_finished():
    result = check_training_finished(training_run())
    assert (result.verdict, result.observed, result.threshold) == ("pass", 0.0, 0.0)


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("place", ["history", "train_loss", "val_loss"])
def test_one_loss_that_is_not_finite_is_not_finished(place, value):
    changed = {"loss": (0.6, value, 0.4)} if place == "history" else value
    result = check_training_finished(training_run(**{place: changed}))
    assert (result.verdict, result.observed) == ("fail", 1.0)


def test_finished_counts_the_broken_losses():
    run = training_run(history={"loss": (0.6, nan, nan)}, train_loss=nan)
    assert (
        "3 of 5 losses are not finite; last training loss nan"
        in check_training_finished(run).detail
    )


def test_a_batch_whose_loss_is_not_finite_is_named():
    result = check_training_finished(training_run(non_finite=(2, 7)))
    assert result.verdict == "fail"
    assert result.detail.endswith("; training stopped in epoch 2, whose batch 7 has such a loss")


# Initial loss


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_knowing_nothing_costs_the_logarithm_of_the_classes(classes):
    result = check_initial_loss(runs("initial_loss", math.log(classes)), classes, 0.0)
    assert (result.verdict, result.observed) == ("pass", 0.0)


@pytest.mark.parametrize("side", [1, -1])
def test_the_initial_loss_may_be_off_by_its_limit(side):
    # Distances from ln 2 that floats hold exactly.
    run = runs("initial_loss", math.log(2), math.log(2) + side * 0.25)
    assert check_initial_loss(run, 2, 0.25).verdict == "pass"
    assert check_initial_loss(run, 2, nextafter(0.25, 0)).verdict == "fail"


def test_the_farthest_initial_loss_counts():
    assert check_initial_loss(runs("initial_loss", 0.7, 90.0, 0.7), 2, 0.3).observed > 89


@pytest.mark.parametrize("values", [(nan,), (0.7, nan), (nan, 0.7), (inf,)])
def test_an_initial_loss_that_is_no_number_never_passes(values):
    assert check_initial_loss(runs("initial_loss", *values), 2, 1e9).verdict == "fail"


def test_the_initial_loss_points_at_the_scale_of_pictures():
    detail = check_initial_loss(runs("initial_loss", 92.5), 2, 0.3).detail
    assert "[92.5]; expected within 0.3 of ln 2 = 0.6931. Are the pictures rescaled" in detail


# Weights


@pytest.mark.parametrize(("limit", "verdict"), [(0, "fail"), (1, "fail"), (2, "pass")])
def test_up_to_the_limit_weights_may_stay(limit, verdict):
    both = runs("unchanged_weights", ("a/kernel",), ("b/bias", "a/kernel"))
    result = check_weights_moved(both, limit)
    assert (result.verdict, result.observed) == (verdict, 2.0)


def test_weights_that_stayed_are_named():
    detail = check_weights_moved(runs("unchanged_weights", ("b/bias", "a/kernel")), 0).detail
    assert detail == "2 weight arrays are as they were drawn after training: a/kernel, b/bias"


def test_weights_that_all_moved_pass():
    result = check_weights_moved([training_run()], 0)
    assert (result.verdict, result.observed) == ("pass", 0.0)


# Memorization


@pytest.mark.parametrize(
    ("accuracy", "loss", "verdict"),
    [
        (1.0, 0.25, "pass"),
        (1.0, nextafter(0.25, 1), "fail"),
        (nextafter(1.0, 0), 0.0, "fail"),
        (nan, 0.0, "fail"),
        (1.0, nan, "fail"),
        (1.0, inf, "fail"),
    ],
)
def test_a_batch_learnt_by_heart(accuracy, loss, verdict):
    result = check_memorization(sanity_run(accuracy=accuracy, loss=loss), 0.25)
    assert (result.verdict, result.threshold) == (verdict, 0.25)


def test_memorization_says_what_was_seen():
    assert check_memorization(sanity_run(accuracy=0.875, loss=0.5), 0.3).detail == (
        "8 pictures after 50 steps: accuracy 0.8750, loss 0.5; "
        "expected accuracy 1 and a loss of at most 0.3"
    )


# Shuffled labels


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.75, "pass"), (nextafter(0.75, 1), "fail"), (0.0, "pass"), (nan, "fail")],
)
def test_shuffled_labels_stay_at_chance(accuracy, verdict):
    run = sanity_run(kind="shuffled_labels", accuracy=accuracy)
    result = check_shuffled_labels(run, data_set(), 0.25)  # chance is 0.5
    assert (result.verdict, result.threshold) == (verdict, 0.75)


def test_chance_is_the_share_of_the_largest_class():
    run = sanity_run(kind="shuffled_labels", accuracy=0.9)
    result = check_shuffled_labels(run, data_set(validation_labels=(0,) * 80 + (1,) * 20), 0.125)
    assert (result.verdict, result.threshold) == ("pass", 0.925)
    assert "held-out accuracy 0.9000 " in result.detail
    assert "chance is 0.8000, margin 0.1250" in result.detail


# Repeatable answers


@pytest.mark.parametrize(("limit", "verdict"), [(0.25, "pass"), (nextafter(0.25, 0), "fail")])
def test_answers_may_differ_by_the_limit(limit, verdict):
    result = check_repeatable_inference(runs("prediction_difference", 0.0, 0.25), limit)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.25, limit)


@pytest.mark.parametrize("values", [(nan,), (0.0, nan), (nan, 0.0), (inf,)])
def test_differences_that_are_no_numbers_never_pass(values):
    assert check_repeatable_inference(runs("prediction_difference", *values), 1.0).verdict == "fail"


def test_answers_that_differ_point_at_augmentation():
    detail = check_repeatable_inference(runs("prediction_difference", 0.5), 1e-4).detail
    assert detail == (
        "two predictions of the same held-out pictures differ by up to 0.5; limit 0.0001. More "
        "means that augmentation or dropout is left on in inference mode"
    )


# Dead units


@pytest.mark.parametrize(("limit", "verdict"), [(0.75, "pass"), (nextafter(0.75, 0), "fail")])
def test_the_worst_layer_may_reach_the_limit(limit, verdict):
    shares = {"a": 0.0, "b": 0.75}, {"a": 0.5, "b": 0.5}
    result = check_dead_units(runs("dead_units", *shares), limit)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.75, limit)


def test_the_worst_layer_is_named():
    detail = check_dead_units(runs("dead_units", {"a": 0.5}, {"a": 0.25, "b": 1.0}), 0.5).detail
    assert detail == (
        "units that are zero for every held-out picture looked at: at most 100.0% of the units of "
        "'b' under seed 1; limit 50.0%"
    )


def test_without_a_relu_nothing_is_dead():
    result = check_dead_units(runs("dead_units", {}), 0.0)
    assert (result.verdict, result.observed) == ("pass", 0.0)
    assert "at most 0.0%, no layer has a relu; limit" in result.detail
