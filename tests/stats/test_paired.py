"""Two things measured on the same occasions."""

import math

import numpy as np
import pytest

from cnnbench.stats.intervals import Interval
from cnnbench.stats.paired import _signed_rank_quantile, hodges_lehmann, mcnemar

# Hollander & Wolfe, "Nonparametric Statistical Methods", table 3.1: depression factor of nine
# patients before and after; also the example of R's wilcox.test.
BEFORE = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
AFTER = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)
CHANGES = [after - before for before, after in zip(BEFORE, AFTER, strict=True)]


def answers(both: int, first: int, second: int, none: int):
    """Return the answers of two classifiers with these counts."""
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


def test_mcnemar_as_counted_by_hand():
    assert mcnemar(*answers(5, 1, 6, 3)).p_value == pytest.approx(2 * (1 + 7) / 2**7)


def test_the_interval_adds_half_a_picture_to_each_cell():
    found = mcnemar(*answers(5, 1, 6, 3))
    error = math.sqrt(8 - 5**2 / 17) / 17
    assert found.interval.low == pytest.approx(5 / 17 - 1.959964 * error, abs=1e-6)
    assert found.interval.high == pytest.approx(5 / 17 + 1.959964 * error, abs=1e-6)


def test_the_level_of_the_interval_is_heeded():
    wide, narrow = (mcnemar(*answers(5, 1, 6, 3), level).interval for level in (0.99, 0.5))
    assert wide.half_width / narrow.half_width == pytest.approx(2.575829 / 0.674490, rel=1e-5)


def test_classifiers_that_agree_do_not_differ():
    found = mcnemar(*answers(7, 0, 0, 3))
    assert (found.p_value, found.difference) == (1.0, 0.0)
    assert found.interval.low == -found.interval.high < 0


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((2, 2), (2, 2)), ((0,), (0,))])
def test_answers_to_other_pictures_are_refused(shapes):
    one, other = (np.zeros(shape, bool) for shape in shapes)
    with pytest.raises(ValueError, match=r"two arrays of one length.*Received: shapes="):
        mcnemar(one, other)


@pytest.mark.parametrize(("pictures", "second"), [(100, 0.1), (100, 0.15), (1000, 0.12)])
def test_the_interval_covers_what_it_says(pictures, second):
    rng = np.random.default_rng(7)
    truth, hits = second - 0.1, 0
    for _ in range(2500):
        kind = rng.choice(4, pictures, p=[0.6, 0.1, second, 0.3 - second])
        found = mcnemar(kind <= 1, (kind == 0) | (kind == 2)).interval
        hits += found.low <= truth <= found.high
    assert 0.935 <= hits / 2500 <= 0.965


def test_mcnemar_seldom_tells_equals_apart():
    rng = np.random.default_rng(8)
    found = [mcnemar(*rng.random((2, 200)) < 0.8) for _ in range(1500)]
    assert np.mean([one.p_value <= 0.05 for one in found]) <= 0.05


# Hodges and Lehmann


def test_hodges_lehmann_as_published():
    """-0.46 with the interval (-0.786, -0.010) at 96.1 % in the book and by R."""
    middle, interval = hodges_lehmann(CHANGES, 0.95)
    assert middle == pytest.approx(-0.46)
    assert (interval.low, interval.high) == pytest.approx((-0.786, -0.010))
    assert hodges_lehmann(CHANGES, 0.9609)[1] == interval
    assert hodges_lehmann(CHANGES, 0.9611)[1] != interval


# Largest rank sums that are significant at 2.5 % one-sided, as every table has them.
@pytest.mark.parametrize(
    ("n", "critical"), [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (15, 25), (20, 52)]
)
def test_the_signed_rank_distribution_is_that_of_the_tables(n, critical):
    assert _signed_rank_quantile(n, 0.025) == critical + 1


def test_a_tail_of_just_the_level_is_used():
    assert _signed_rank_quantile(6, 1 / 64) == 1
    assert _signed_rank_quantile(6, 0.999 / 64) == 0


def test_six_values_reach_from_the_least_to_the_largest():
    assert hodges_lehmann([5.0, 1.0, 2.0, 9.0, 3.0, 4.0])[1] == Interval(1.0, 9.0)


def test_five_values_can_not_reach_95_percent():
    middle, interval = hodges_lehmann([1.0, 2.0, 3.0, 4.0, 50.0])
    assert middle == 3.0
    assert interval == Interval(-math.inf, math.inf)


def test_one_wild_value_changes_little():
    calm, wild = hodges_lehmann([*CHANGES, -0.4])[0], hodges_lehmann([*CHANGES, -400.0])[0]
    assert abs(calm - wild) < 0.15


@pytest.mark.parametrize("n", [8, 20])
def test_the_signed_rank_interval_covers_at_least_what_it_says(n):
    rng = np.random.default_rng(9)
    intervals = [hodges_lehmann(rng.standard_t(2, n))[1] for _ in range(2500)]
    hits = np.mean([one.low <= 0 <= one.high for one in intervals])
    # Exact, and so from a ladder: 96.1 % (n=8) and 95.2 % (n=20).
    assert hits == pytest.approx({8: 0.9609, 20: 0.9516}[n], abs=0.011)
