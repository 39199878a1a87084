import math
from math import inf, nan, nextafter

import pytest
from factories import data_set, training_run

from cnnbench.checks import (
    check_accuracy,
    check_better_than_majority,
    check_generalization_gap,
    check_validation_loss_rise,
)


def runs(field: str, *values):
    """Return a run a value, under the seeds 0, 1, ..."""
    return [training_run(seed=seed, **{field: value}) for seed, value in enumerate(values)]


def hundred(first: int):
    """Return pictures of two classes, 100 held-out ones, `first` of them of the first class."""
    return data_set(validation_labels=(0,) * first + (1,) * (100 - first))


def with_val_losses(final: float, *epochs: float, seed: int = 0):
    history = {"loss": epochs, "val_loss": epochs}
    return training_run(seed=seed, val_loss=final, epochs=len(epochs), history=history)


# Every check


def test_a_result_names_its_variant_and_place():
    run = training_run(variant="wide", device="gpu", batch_size=16, backend="jax", dtype="float16")
    result = check_accuracy([run], 0.5)
    place = (result.backend, result.device, result.dtype, result.batch_size)
    assert (result.check, result.variant) == ("accuracy", "wide")
    assert place == ("jax", "gpu", "float16", 16)


def test_a_check_of_all_seeds_has_no_seed():
    assert check_accuracy(runs("val_accuracy", 0.5, 0.6), 0.5).seed is None


# Accuracy


@pytest.mark.parametrize(
    ("target", "verdict"), [(0.75, "pass"), (nextafter(0.75, 1), "fail"), (0.0, "pass")]
)
def test_accuracy_is_the_mean_over_seeds(target, verdict):
    result = check_accuracy(runs("val_accuracy", 0.5, 1.0), target)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.75, target)


@pytest.mark.parametrize("values", [(nan,), (0.9, nan), (nan, 0.9)])
def test_an_accuracy_that_is_nan_never_passes(values):
    assert check_accuracy(runs("val_accuracy", *values), 0.0).verdict == "fail"


def test_accuracy_says_mean_spread_lowest_and_target():
    # Sample standard deviation of 0.5 and 1: sqrt(0.125) = 0.3536.
    assert check_accuracy(runs("val_accuracy", 0.5, 1.0), 0.8).detail == (
        "held-out accuracy 0.7500 ± 0.3536 (mean ± sd, n=2 seeds), lowest 0.5000; "
        "target at least 0.8000"
    )


def test_one_seed_has_no_spread():
    detail = check_accuracy(runs("val_accuracy", 0.5), 0.8).detail
    assert "0.5000 (mean, n=1 seeds)" in detail


# Better than majority


@pytest.mark.parametrize("first", [50, 20, 80])
def test_luck_is_the_one_per_cent_bound_of_the_binomial(first):
    # Normal approximation: p + z * sqrt(p (1 - p) / n), z = 2.326 the 99 % point of the normal
    # distribution (NIST/SEMATECH e-Handbook, 1.3.6.7.1).
    share = max(first, 100 - first) / 100
    expected = share + 2.326 * math.sqrt(share * (1 - share) / 100)
    result = check_better_than_majority(runs("val_accuracy", 0.5), hundred(first))
    assert result.threshold == pytest.approx(expected, abs=1e-4)


def test_luck_beats_the_bound_in_about_one_case_of_a_hundred():
    n = 2000
    data = data_set(validation_labels=(0, 1) * (n // 2))
    bound = check_better_than_majority(runs("val_accuracy", 0.5), data).threshold
    above = sum(math.comb(n, right) for right in range(math.floor(bound * n) + 1, n + 1))
    assert above / 2**n == pytest.approx(0.01, rel=0.1)


def test_the_lowest_seed_must_be_better_than_luck():
    bound = check_better_than_majority(runs("val_accuracy", 0.5), hundred(50)).threshold
    at = check_better_than_majority(runs("val_accuracy", 0.9, bound), hundred(50))
    above = check_better_than_majority(runs("val_accuracy", 0.9, nextafter(bound, 1)), hundred(50))
    assert (at.verdict, above.verdict) == ("fail", "pass")
    assert at.observed == bound


@pytest.mark.parametrize("values", [(nan,), (0.9, nan), (nan, 0.9)])
def test_nan_is_not_better_than_majority(values):
    result = check_better_than_majority(runs("val_accuracy", *values), hundred(50))
    assert result.verdict == "fail"
    assert math.isnan(result.observed)


@pytest.mark.parametrize(
    "answers",
    [((0.1,), (0.5,), (0.2,)), ((0.6,), (0.51,)), ((0.2, 0.3, 0.5), (0.0, 0.4, 0.6))],
    ids=["first class", "second class", "softmax"],
)
def test_seeds_that_give_every_picture_the_same_class_are_named(answers):
    constant = training_run(seed=4, val_probabilities=answers)
    detail = check_better_than_majority([training_run(seed=1), constant], data_set()).detail
    assert detail.endswith("; seeds [4] give every picture the same class")


def test_answers_that_differ_are_not_called_constant():
    answers = ((0.2, 0.8), (0.8, 0.2))
    detail = check_better_than_majority([training_run(val_probabilities=answers)], data_set())
    assert "same class" not in detail.detail


# Generalization gap


@pytest.mark.parametrize(("limit", "verdict"), [(0.125, "pass"), (nextafter(0.125, 0), "fail")])
def test_the_gap_may_reach_its_limit(limit, verdict):
    result = check_generalization_gap([training_run()], limit)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.125, limit)


def test_the_gap_is_averaged_over_seeds():
    # 0.875 - 0.625 and 0.875 - 0.875
    assert check_generalization_gap(runs("val_accuracy", 0.625, 0.875), 0.2).observed == 0.125


def test_held_out_better_than_train_is_no_gap():
    assert check_generalization_gap(runs("val_accuracy", 1.0), 0.0).verdict == "pass"


@pytest.mark.parametrize("field", ["train_accuracy", "val_accuracy"])
@pytest.mark.parametrize("values", [(nan,), (0.8, nan), (nan, 0.8)])
def test_a_gap_that_is_nan_never_passes(field, values):
    assert check_generalization_gap(runs(field, *values), 1.0).verdict == "fail"


def test_the_gap_says_by_how_much_it_is_too_large():
    assert check_generalization_gap([training_run()], 0.1).detail == (
        "gap 0.1250 (mean, n=1 seeds): train accuracy 0.8750, held out 0.7500; "
        "limit 0.1000, 0.0250 too much"
    )


def test_a_gap_within_its_limit_is_not_called_too_much():
    assert "too much" not in check_generalization_gap([training_run()], 0.125).detail


# Validation loss


def test_the_rise_is_prechelts_generalization_loss():
    # Prechelt, "Early Stopping - But When?" (1998), section 2: GL = 100 (E_va / E_opt - 1) per
    # cent. Best 0.5 and final 0.6 give 20 per cent.
    result = check_validation_loss_rise([with_val_losses(0.6, 0.7, 0.5, 0.6)], 0.3)
    assert result.observed == pytest.approx(0.2)
    assert "best epochs [2] of 3" in result.detail


@pytest.mark.parametrize(("limit", "verdict"), [(0.5, "pass"), (nextafter(0.5, 0), "fail")])
def test_the_rise_may_reach_its_limit(limit, verdict):
    result = check_validation_loss_rise([with_val_losses(0.75, 0.5, 0.75)], limit)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.5, limit)


def test_the_rise_is_averaged_over_seeds():
    both = [with_val_losses(0.75, 0.5, 0.75), with_val_losses(0.5, 0.75, 0.5, seed=1)]
    result = check_validation_loss_rise(both, 0.3)
    assert result.observed == 0.25
    assert "best epochs [1, 2] of 2" in result.detail


@pytest.mark.parametrize(
    ("final", "epochs"),
    [(nan, (0.5, 0.6)), (inf, (0.5, 0.6)), (0.5, (0.5, nan)), (0.5, (nan, 0.5)), (nan, (nan,))],
)
def test_validation_losses_that_are_no_numbers_never_pass(final, epochs):
    broken = with_val_losses(final, *epochs, seed=1)
    result = check_validation_loss_rise([with_val_losses(0.5, 0.5), broken], 1e9)
    assert result.verdict == "fail"


@pytest.mark.parametrize(("final", "verdict"), [(0.0, "pass"), (1e-9, "fail")])
def test_a_best_loss_of_zero_is_no_crash(final, verdict):
    assert check_validation_loss_rise([with_val_losses(final, 0.5, 0.0)], 1.0).verdict == verdict
