import math
from math import nan, nextafter

import pytest
from factories import data_set, training_run

from cnnbench.verdicts.checks.training import check_better_than_majority


def runs(field: str, *values):
    """Return a run a value, under the seeds 0, 1, ..."""
    return [training_run(seed=seed, **{field: value}) for seed, value in enumerate(values)]


def hundred(first: int):
    """Return pictures of two classes, 100 held-out ones, `first` of them of the first class."""
    return data_set(validation_labels=(0,) * first + (1,) * (100 - first))


# Every check


def test_a_result_names_its_variant_and_place():
    run = training_run(variant="wide", device="gpu", batch_size=16, backend="jax", dtype="float16")
    result = check_better_than_majority([run], data_set())
    place = (result.backend, result.device, result.dtype, result.batch_size)
    assert (result.check, result.variant) == ("better_than_majority", "wide")
    assert place == ("jax", "gpu", "float16", 16)


def test_a_check_of_all_seeds_has_no_seed():
    assert check_better_than_majority(runs("val_accuracy", 0.5, 0.6), data_set()).seed is None


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


@pytest.mark.parametrize("first", [50, 10, 90])
def test_worse_than_the_rarest_class_asks_for_swapped_classes(first):
    # Normal approximation, as for luck above chance.
    share = min(first, 100 - first) / 100
    bound = share - 2.326 * math.sqrt(share * (1 - share) / 100)
    question = "; worse than chance: are the classes swapped on one side?"
    for accuracy, asked in ((bound - 0.001, True), (bound + 0.001, False)):
        result = check_better_than_majority(runs("val_accuracy", 0.9, accuracy), hundred(first))
        assert result.detail.endswith(question) == asked
        assert result.verdict == "fail"


def test_answers_that_differ_are_not_called_constant():
    answers = ((0.2, 0.8), (0.8, 0.2))
    detail = check_better_than_majority([training_run(val_probabilities=answers)], data_set())
    assert "same class" not in detail.detail
