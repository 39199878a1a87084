"""Two things measured on the same occasions."""

import math

import numpy as np
import pytest

from cnnbench.stats.intervals import Interval
from cnnbench.stats.paired import hodges_lehmann, mcnemar

# Hollander & Wolfe, "Nonparametric Statistical Methods", table 3.1: depression factor of nine
# patients before and after; also the example of R's wilcox.test.
BEFORE = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
AFTER = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)
CHANGES = [after - before for before, after in zip(BEFORE, AFTER, strict=True)]


def answers(both: int, first: int, second: int, none: int):
    """Returns the answers of two classifiers with these counts."""
    one = [True] * (both + first) + [False] * (second + none)
    other = [True] * both + [False] * first + [True] * second + [False] * none
    return np.array(one), np.array(other)


# McNemar


def test_mcnemar_as_published():
    """Agresti, "Categorical Data Analysis", ch. 10: approval of a prime minister, 1600 asked."""
    found = mcnemar(*answers(794, 150, 86, 570))
    assert (found.only_first, found.only_second, found.pictures) == (150, 86, 1600)
    assert found.difference == -0.04
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.059, -0.021), abs=6e-4)
    exact = 2 * sum(math.comb(236, k) for k in range(87)) / 2**236
    assert found.p_value == pytest.approx(exact)


def test_the_interval_adds_half_a_picture_to_each_cell():
    found = mcnemar(*answers(5, 1, 6, 3))
    error = math.sqrt(8 - 5**2 / 17) / 17
    assert found.interval.low == pytest.approx(5 / 17 - 1.959964 * error, abs=1e-6)
    assert found.interval.high == pytest.approx(5 / 17 + 1.959964 * error, abs=1e-6)
    assert found.p_value == pytest.approx(2 * (1 + 7) / 2**7)


def test_classifiers_that_agree_do_not_differ():
    found = mcnemar(*answers(7, 0, 0, 3))
    assert (found.p_value, found.difference) == (1.0, 0.0)
    assert found.interval.low == -found.interval.high < 0


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((2, 2), (2, 2)), ((0,), (0,))])
def test_answers_to_other_pictures_are_refused(shapes):
    one, other = (np.zeros(shape, bool) for shape in shapes)
    with pytest.raises(ValueError, match=r"two arrays of one length.*Received: shapes="):
        mcnemar(one, other)


def test_the_interval_covers_what_it_says():
    kinds = np.random.default_rng(7).choice(4, (600, 100), p=[0.6, 0.1, 0.15, 0.15])
    found = [mcnemar(kind <= 1, kind % 2 == 0).interval for kind in kinds]
    # Of kind 0 both are right, of 1 the first alone, of 2 the second alone: 5 points better.
    assert 0.93 <= np.mean([one.low <= 0.05 <= one.high for one in found]) <= 0.97


# Hodges and Lehmann


def test_hodges_lehmann_as_published():
    """-0.46 with the interval (-0.786, -0.010) in the book and by R."""
    middle, interval = hodges_lehmann(CHANGES)
    assert middle == pytest.approx(-0.46)
    assert (interval.low, interval.high) == pytest.approx((-0.786, -0.010))


# Largest rank sums that are significant at 2.5 % one-sided, as every table has them. Powers of two
# have different means, so that the place of an end among all is seen.
@pytest.mark.parametrize(
    ("n", "critical"), [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (15, 25), (20, 52)]
)
def test_the_interval_is_that_of_the_tables(n, critical):
    values = [2.0**k for k in range(n)]
    means = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    _, interval = hodges_lehmann(values)
    assert interval == Interval(means[critical], means[-1 - critical])


def test_five_values_can_not_reach_95_percent():
    assert hodges_lehmann([1.0, 2.0, 3.0, 4.0, 50.0]) == (3.0, Interval(-math.inf, math.inf))


def test_one_wild_value_changes_little():
    calm, wild = hodges_lehmann([*CHANGES, -0.4])[0], hodges_lehmann([*CHANGES, -400.0])[0]
    assert abs(calm - wild) < 0.15
