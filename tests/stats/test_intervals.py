"""Estimates with their uncertainty."""

import math
from operator import attrgetter

import numpy as np
import pytest
from scipy import integrate, stats

from cnnbench.stats.intervals import (
    Estimate,
    Interval,
    Spread,
    behrens_fisher,
    clopper_pearson,
    difference_of,
    mean_of,
    picture_error,
    spread_of,
    widened,
)

# Student's sleep data (Biometrika, 1908), as in R's `sleep`: extra hours under two drugs.
FIRST = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SECOND = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
NOWHERE = Interval(-math.inf, math.inf)
bounds = attrgetter("low", "high")


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (682, 925, 0.7076683, 0.7654066),  # Mendel's peas, in R's binom.test
        (0, 10, 0.0, 0.3085),  # any table
        (10, 10, 0.6915, 1.0),
        (4, 20, 0.0573, 0.4366),
    ],
)
def test_clopper_pearson_as_published(successes, trials, low, high):
    found = clopper_pearson(successes, trials)
    assert bounds(found) == pytest.approx((low, high), abs=5e-5)


# Spreads


def test_spreads_are_pooled():
    assert spread_of([1.0, 2.0, 3.0]) == Spread(1.0, 2)
    assert spread_of([1.0]) == Spread(0.0, 0)
    assert Spread(1.0, 2).pooled(Spread(2.0, 2)).sd == pytest.approx(math.sqrt(2.5))
    assert math.isnan(Spread().pooled(Spread()).sd)


# The diameters of 100 gears (NIST/SEMATECH e-Handbook, GEAR.DAT) and the table of limits by the
# number of observations in the manual of Boost.Math, "Confidence Intervals on the Standard
# Deviation".
@pytest.mark.parametrize(
    ("sd", "values", "low", "high"),
    [
        (0.006278908, 100, 0.00551, 0.00729),
        (1.0, 2, 0.4461, 31.9102),
        (1.0, 10, 0.6878, 1.8256),
        (1.0, 1000, 0.9580, 1.0459),
        (0.0, 1, 0.0, math.inf),
    ],
)
def test_the_interval_of_a_spread_is_that_of_published_examples(sd, values, low, high):
    assert bounds(Spread(sd, values - 1).interval()) == pytest.approx((low, high), rel=1e-3)


# Student's t


def test_the_difference_of_two_samples_of_unlike_sizes_is_scipys():
    found, expected = difference_of(FIRST[:3], SECOND), stats.ttest_ind(FIRST[:3], SECOND)
    assert (found.value / found.error, found.df) == pytest.approx((expected.statistic, 11))
    assert bounds(found.interval()) == pytest.approx(bounds(expected.confidence_interval()))
    assert 2 * found.p_below(0.0) == pytest.approx(expected.pvalue)


def test_the_mean_of_one_sample_is_scipys():
    found, expected = mean_of(SECOND), stats.ttest_1samp(SECOND, 1.0, alternative="greater")
    assert found.p_above(1.0) == pytest.approx(expected.pvalue)
    low, high = stats.ttest_1samp(SECOND, 1.0).confidence_interval(0.95)
    assert bounds(found.interval()) == pytest.approx((low, high))
    assert found.interval().half_width == pytest.approx((high - low) / 2)


def test_a_known_spread_lends_its_degrees_of_freedom():
    # Variances 1 with 2 and 4 with 10 degrees of freedom: 42 / 12
    found = mean_of([1.0, 2.0, 3.0], Spread(2.0, 10))
    assert (found.value, found.df) == (2.0, 12)
    assert found.error == pytest.approx(math.sqrt(3.5 / 3))


def test_one_value_says_nothing_and_equal_ones_what_they_say():
    alone, equal = mean_of([0.7]), mean_of([0.5, 0.5])
    assert alone.interval() == NOWHERE
    assert (alone.p_above(0.0), alone.p_below(1.0)) == (1.0, 1.0)
    assert [equal.p_above(null) for null in (0.4, 0.5, 0.6, math.nan)] == [0.0, 1.0, 1.0, 1.0]
    assert equal.interval() == Interval(0.5, 0.5)
    assert str(equal.interval()) == "95 % interval 0.5000 to 0.5000"


# Other pictures


def test_the_error_of_pictures_by_hand():
    one, other = np.array([[1, 1, 1, 0], [1, 1, 0, 0]]), np.array([[0, 1, 1, 1], [0, 0, 1, 1]])
    # Pictures' means are 1, 1, 0.5 and 0, their variance 11 / 48. Residuals are 3 * 1 / 8 and 3 / 8
    # in each seed, so the interaction's variance is 1 / 8.
    assert picture_error(one) == pytest.approx((11 / 48 / 4 - 1 / 8 / 8, 3))
    # Means differ by 1, 0.5, -0.5 and -1, and both interactions are taken off.
    assert picture_error(one, other) == pytest.approx((5 / 6 / 4 - 2 / 8 / 8, 3))


def test_the_error_of_one_seed_is_binomial_and_none_is_negative():
    assert picture_error(np.array([[True] * 8 + [False] * 2])) == pytest.approx((0.8 * 0.2 / 9, 9))
    assert picture_error(np.array([[True, False] * 5, [False, True] * 5])) == (0.0, 9)


def test_one_picture_has_no_spread():
    variance, df = picture_error(np.array([[True], [False]]))
    assert (math.isnan(variance), df) == (True, 0)
    assert widened(mean_of([0.0, 1.0]), variance, df).interval() == NOWHERE


# An error added


def test_an_added_error_widens_by_the_distribution_of_behrens_and_fisher():
    found = widened(Estimate(0.7, 0.03, 2), 0.0016, 99)
    assert (found.value, found.error) == pytest.approx((0.7, 0.05))
    # 36 % of the variance has 2 degrees of freedom and 64 % has 99
    assert found.df == pytest.approx(1 / (0.36 / 2 + 0.64 / 99))
    assert found.interval().half_width == pytest.approx(0.05 * stats.t.ppf(0.975, found.df))
    # The chance that the two errors together are above 0.1
    expected, _ = integrate.quad(
        lambda t: stats.t.pdf(t, 2) * stats.t.sf((0.1 - 0.03 * t) / 0.04, 99), -math.inf, math.inf
    )
    assert found.p_above(0.6) == pytest.approx(expected, rel=1e-6)
    assert found.p_below(0.8) == pytest.approx(expected, rel=1e-6)
    assert found.p_above(0.8) == pytest.approx(1 - expected)
    assert found.p_above(math.nan) == 1.0


@pytest.mark.parametrize(
    ("error", "variance", "expected"),
    [
        (0.03, 0.0, Estimate(0.7, 0.03, 2)),
        (0.0, 0.0016, Estimate(0.7, 0.04, 99)),
        (0.0, 0.0, Estimate(0.7, 0.0, 2)),
    ],
)
def test_of_two_errors_one_may_be_none(error, variance, expected):
    assert widened(Estimate(0.7, error, 2), variance, 99) == expected
    assert widened(mean_of([0.7]), variance, 99).interval() == NOWHERE


def test_the_distribution_of_behrens_and_fisher_in_known_cases():
    for distance in (0.0, 1.0, 4.0):  # the sum of two normal errors is normal
        found = behrens_fisher(distance, (0.6, 1e9), (0.8, 1e9))
        assert found == pytest.approx(stats.norm.sf(distance), rel=1e-6)
    for p, df in ((0.025, 2), (1e-4, 2), (0.025, 7), (1e-4, 7)):  # one beside a tiny one is t
        found = behrens_fisher(float(stats.t.isf(p, df)), (1.0, df), (1e-4, 100))
        assert found == pytest.approx(p, rel=1e-3)
    parts = (0.7, 3), (0.4, 30)  # both tails are everything
    assert behrens_fisher(1.1, *parts) + behrens_fisher(-1.1, *parts) == pytest.approx(1.0)
    assert behrens_fisher(-1e6, *parts) == pytest.approx(1.0)
