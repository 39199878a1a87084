import math
from math import inf, nan, nextafter

import pytest
from factories import data_set, sanity_run, training_run

from cnnbench.verdicts.checks.training import (
    check_better_than_majority,
    check_dead_units,
    check_initial_loss,
    check_memorization,
    check_repeatable_inference,
    check_shuffled_labels,
    check_training_finished,
    check_weights_moved,
)


def runs(field: str, *values):
    """Returns a run a value, under the seeds 0, 1, ..."""
    return [training_run(seed=seed, **{field: value}) for seed, value in enumerate(values)]


def hundred(first: int):
    """Returns pictures of two classes, 100 held-out ones, `first` of them of the first class."""
    return data_set(validation_labels=(0,) * first + (1,) * (100 - first))


def majority(first: int, *accuracies):
    return check_better_than_majority(runs("val_accuracy", *accuracies), hundred(first))


def initial(*losses, limit=0.3, classes=2):
    return check_initial_loss(runs("initial_loss", *losses), classes, limit)


def repeated(*differences, limit=1.0):
    return check_repeatable_inference(runs("prediction_difference", *differences), limit)


# Every check


@pytest.mark.parametrize(
    ("result", "check", "seed"),
    [
        (check_training_finished(training_run(seed=7)), "training_finished", 7),
        (check_memorization(sanity_run(seed=7), 0.3), "memorization", 7),
        (check_shuffled_labels(sanity_run(seed=7), data_set(), 0.1), "shuffled_labels", 7),
        (majority(50, 0.5, 0.6), "better_than_majority", None),
        (initial(0.7), "initial_loss", None),
        (check_weights_moved([training_run()], 0), "weights_moved", None),
        (repeated(0.0), "repeatable_inference", None),
        (check_dead_units([training_run()], 0), "dead_units", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_result_names_its_check_and_the_seed_if_it_is_of_one(result, check, seed):
    assert (result.check, result.seed) == (check, seed)


def test_a_result_names_its_variant_and_place():
    run = training_run(variant="wide", device="gpu", batch_size=16, backend="jax", dtype="float16")
    result = check_better_than_majority([run], data_set())
    place = (result.backend, result.device, result.dtype, result.batch_size)
    assert (result.variant, place) == ("wide", ("jax", "gpu", "float16", 16))


# Finished


def test_finite_losses_are_finished():
    result = check_training_finished(training_run())
    assert (result.verdict, result.observed, result.threshold) == ("pass", 0.0, 0.0)
    assert result.detail == "0 of 4 losses are not finite; last training loss 0.4"


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"history": {"loss": (0.6, -inf, 0.4)}}, "1 of 5"),
        ({"train_loss": nan}, "1 of 4"),
        ({"val_loss": inf}, "1 of 4"),
        ({"history": {"loss": (0.6, nan, nan)}, "train_loss": nan}, "3 of 5"),
    ],
)
def test_losses_that_are_not_finite_are_counted(changed, broken):
    result = check_training_finished(training_run(**changed))
    assert (result.verdict, result.observed) == ("fail", float(broken[0]))
    assert result.detail.startswith(f"{broken} losses are not finite; last training loss ")


def test_a_batch_whose_loss_is_not_finite_is_named():
    result = check_training_finished(training_run(non_finite=(2, 7)))
    assert result.verdict == "fail"
    assert result.detail.endswith("; training stopped in epoch 2, whose batch 7 has such a loss")


# Better than majority


@pytest.mark.parametrize("first", [50, 20, 80])
def test_luck_is_the_one_per_cent_bound_of_the_binomial(first):
    # Normal approximation: p + z * sqrt(p (1 - p) / n), z = 2.326 the 99 % point of the normal
    # distribution (NIST/SEMATECH e-Handbook, 1.3.6.7.1).
    share = max(first, 100 - first) / 100
    expected = share + 2.326 * math.sqrt(share * (1 - share) / 100)
    assert majority(first, 0.5).threshold == pytest.approx(expected, abs=1e-4)


def test_the_lowest_seed_must_be_better_than_luck():
    bound = majority(50, 0.5).threshold
    at, above = majority(50, 0.9, bound), majority(50, 0.9, nextafter(bound, 1))
    assert (at.verdict, above.verdict, at.observed) == ("fail", "pass", bound)


@pytest.mark.parametrize("values", [(nan,), (0.9, nan), (nan, 0.9)])
def test_nan_is_not_better_than_majority(values):
    result = majority(50, *values)
    assert result.verdict == "fail"
    assert math.isnan(result.observed)


@pytest.mark.parametrize(
    ("answers", "constant"),
    [
        (((0.1,), (0.5,), (0.2,)), True),
        (((0.6,), (0.51,)), True),
        (((0.2, 0.3, 0.5), (0.0, 0.4, 0.6)), True),
        (((0.2, 0.8), (0.8, 0.2)), False),
    ],
)
def test_seeds_that_give_every_picture_the_same_class_are_named(answers, constant):
    run = training_run(seed=4, val_probabilities=answers)
    detail = check_better_than_majority([training_run(seed=1), run], data_set()).detail
    assert detail.endswith("; seeds [4] give every picture the same class") == constant


@pytest.mark.parametrize("first", [50, 10, 90])
def test_worse_than_the_rarest_class_asks_for_swapped_classes(first):
    share = min(first, 100 - first) / 100
    bound = share - 2.326 * math.sqrt(share * (1 - share) / 100)
    question = "; worse than chance: are the classes swapped on one side?"
    for accuracy, asked in ((bound - 0.001, True), (bound + 0.001, False)):
        result = majority(first, 0.9, accuracy)
        assert result.detail.endswith(question) == asked
        assert result.verdict == "fail"


# Initial loss


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_knowing_nothing_costs_the_logarithm_of_the_classes(classes):
    result = initial(math.log(classes), classes=classes, limit=0.0)
    assert (result.verdict, result.observed) == ("pass", 0.0)


@pytest.mark.parametrize("side", [1, -1])
def test_the_farthest_initial_loss_may_be_off_by_its_limit(side):
    # Distances from ln 2 that floats hold exactly.
    losses = math.log(2) + side * 0.25, math.log(2)
    assert initial(*losses, limit=0.25).verdict == "pass"
    assert initial(*losses, limit=nextafter(0.25, 0)).verdict == "fail"


@pytest.mark.parametrize("values", [(nan,), (0.7, nan), (nan, 0.7), (inf,)])
def test_an_initial_loss_that_is_no_number_never_passes(values):
    assert initial(*values, limit=1e9).verdict == "fail"


def test_the_initial_loss_points_at_the_scale_of_pictures():
    told = "[92.5, 0.7]; expected within 0.3 of ln 2 = 0.6931. Are the pictures rescaled"
    assert told in initial(92.5, 0.7).detail


# Weights


@pytest.mark.parametrize(("limit", "verdict"), [(0, "fail"), (1, "fail"), (2, "pass")])
def test_up_to_the_limit_weights_may_stay_and_are_named(limit, verdict):
    both = runs("unchanged_weights", ("a/kernel",), ("b/bias", "a/kernel"))
    result = check_weights_moved(both, limit)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 2.0, limit)
    told = "2 weight arrays are as they were drawn after training: a/kernel, b/bias"
    assert result.detail == told


def test_weights_that_all_moved_pass():
    result = check_weights_moved([training_run()], 0)
    assert (result.verdict, result.observed) == ("pass", 0.0)


# Sanity trainings


@pytest.mark.parametrize(
    ("accuracy", "loss", "verdict"),
    [
        (1.0, 0.25, "pass"),
        (1.0, nextafter(0.25, 1), "fail"),
        (nextafter(1.0, 0), 0.0, "fail"),
        (nan, 0.0, "fail"),
        (1.0, nan, "fail"),
    ],
)
def test_a_batch_learnt_by_heart(accuracy, loss, verdict):
    result = check_memorization(sanity_run(accuracy=accuracy, loss=loss), 0.25)
    assert (result.verdict, result.threshold) == (verdict, 0.25)
    assert result.observed == pytest.approx(loss, nan_ok=True)


def test_memorization_says_what_was_seen():
    assert check_memorization(sanity_run(accuracy=0.875, loss=0.5), 0.3).detail == (
        "8 pictures after 50 steps: accuracy 0.8750, loss 0.5; "
        "expected accuracy 1 and a loss of at most 0.3"
    )


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.925, "pass"), (nextafter(0.925, 1), "fail"), (0.0, "pass"), (nan, "fail")],
)
def test_shuffled_labels_stay_at_the_share_of_the_largest_class(accuracy, verdict):
    run = sanity_run(kind="shuffled_labels", accuracy=accuracy)
    result = check_shuffled_labels(run, hundred(20), 0.125)
    assert (result.verdict, result.threshold) == (verdict, 0.925)
    assert "chance is 0.8000, margin 0.1250" in result.detail


# Repeatable answers


@pytest.mark.parametrize(("limit", "verdict"), [(0.25, "pass"), (nextafter(0.25, 0), "fail")])
def test_answers_may_differ_by_the_limit(limit, verdict):
    result = repeated(0.0, 0.25, limit=limit)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.25, limit)
    assert "differ by up to 0.25; limit 0.25. More means that augmentation" in result.detail


@pytest.mark.parametrize("values", [(nan,), (0.0, nan), (nan, 0.0), (inf,)])
def test_differences_that_are_no_numbers_never_pass(values):
    assert repeated(*values).verdict == "fail"


# Dead units


@pytest.mark.parametrize(("limit", "verdict"), [(0.75, "pass"), (nextafter(0.75, 0), "fail")])
def test_the_worst_layer_may_reach_the_limit_and_is_named(limit, verdict):
    shares = {"a": 0.5}, {"a": 0.25, "b": 0.75}
    result = check_dead_units(runs("dead_units", *shares), limit)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.75, limit)
    assert result.detail == (
        "units that are zero for every held-out picture looked at: at most 75.0% of the units of "
        "'b' under seed 1; limit 75.0%"
    )


def test_without_a_relu_nothing_is_dead():
    result = check_dead_units(runs("dead_units", {}), 0.0)
    assert (result.verdict, result.observed) == ("pass", 0.0)
    assert "at most 0.0%, no layer has a relu; limit" in result.detail
