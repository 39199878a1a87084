"""Two samples compared."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from cnnbench.stats.intervals import Interval
from cnnbench.stats.two_samples import mcnemar, p_lower, shift


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


# Ranks

# Hollander & Wolfe, "Nonparametric Statistical Methods", table 4.1: permeability of membranes at
# term and after 12 to 26 weeks; also the example of R's wilcox.test.
TERM = (0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46)
EARLY = (1.15, 0.88, 0.90, 0.74, 1.21)


def test_the_rank_sum_test_as_published():
    assert p_lower(TERM, EARLY) == pytest.approx(0.1272, abs=5e-5)


def test_ties_are_counted_one_by_one():
    first, second = [1.0, 2.0, 2.0, 3.0, 3.0], [1.0, 2.0, 1.0]
    ranks = stats.rankdata([*first, *second])
    sums = [sum(ranks[list(chosen)]) for chosen in combinations(range(8), 3)]
    assert p_lower(first, second) == pytest.approx(np.mean(np.array(sums) <= sum(ranks[5:])))


def test_the_least_p_value_is_one_way_of_all_and_equal_values_say_nothing():
    low, high = [0.1, 0.2, 0.3], np.linspace(0.5, 0.9, 20).tolist()
    assert p_lower(high, low) == pytest.approx(1 / math.comb(23, 3))
    assert p_lower(high, low[:1]) == pytest.approx(1 / 21)
    assert p_lower(low, high) == p_lower([0.5] * 4, [0.5] * 3) == 1.0


def test_a_shift_is_the_median_difference_and_its_interval_an_order_statistic_at_either_end():
    assert shift(TERM, EARLY)[0] == pytest.approx(0.305)  # in the book
    squares = np.square(TERM).tolist()  # whose differences have no ties
    _, found = shift(squares, EARLY)
    differences = np.sort(np.subtract.outer(squares, EARLY).ravel())
    # 25 - 1.96 x sqrt(10 x 5 x 16 / 12) = 8.997: the eighth
    assert (found.low, found.high) == pytest.approx((differences[7], differences[-8]))
    assert shift([1.0, 2.0], [0.5, 0.6])[1] == Interval(-math.inf, math.inf)
