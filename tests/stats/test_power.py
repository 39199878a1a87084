"""What a test can find, and how many values would decide it."""

import math

import pytest
from scipy import stats

from cnnbench.stats.intervals import Interval, Spread
from cnnbench.stats.power import sd_interval, smallest_difference, values_needed, values_to_decide

SEED_SD = math.sqrt(0.2 / 2 / 1000)  # Jordan's floor: 80 % accuracy, 1000 pictures: 1 point


# Cohen, "Statistical Power Analysis" (1988), tables 2.3 and 2.4, and the manual of G*Power:
# values a group that find a difference of d standard deviations.
@pytest.mark.parametrize(
    ("d", "n", "alpha", "power"),
    [
        (0.2, 394, 0.025, 0.8),
        (0.5, 64, 0.025, 0.8),
        (0.8, 26, 0.025, 0.8),
        (0.5, 105, 0.025, 0.95),
        (0.5, 51, 0.05, 0.8),
    ],
)
def test_the_smallest_difference_is_that_of_the_tables(d, n, alpha, power):
    assert smallest_difference(1.0, n, n, alpha, power) <= d
    assert smallest_difference(1.0, n - 1, n - 1, alpha, power) > d


@pytest.mark.parametrize("values", [2, 3, 16])
def test_high_power_at_a_small_level_is_worked_out_too(values):
    df = 2 * values - 2
    shift = smallest_difference(1.0, values, values, 1e-4, 0.99) / math.sqrt(2 / values)
    chance = stats.nct.sf(stats.t.isf(1e-4, df), df, shift)
    assert chance == pytest.approx(0.99, abs=1e-4)


@pytest.mark.parametrize(("sd", "first", "second"), [(1.0, 1, 1), (math.nan, 5, 5)])
def test_no_spread_finds_nothing(sd, first, second):
    assert smallest_difference(sd, first, second, 0.05) == math.inf


# Values needed


def test_values_needed_are_the_least_that_decide():
    def p_value(n: int) -> float:
        return float(stats.t.sf(0.01 / (0.02 / math.sqrt(n)), n - 1))

    needed = values_needed(0.01, 0.02, 0.05)
    assert needed == next(n for n in range(2, 100) if p_value(n) <= 0.05) == 13
    assert values_needed(-0.01, 0.02, 0.05) == needed


def test_a_floor_is_not_lowered_by_more_values():
    assert values_needed(0.02, 0.02, 0.05) == 5
    errors = {n: math.hypot(0.02 / math.sqrt(n), 0.011) for n in range(2, 100)}
    expected = next(n for n, error in errors.items() if stats.t.sf(0.02 / error, n - 1) <= 0.05)
    assert values_needed(0.02, 0.02, 0.05, floor=0.011) == expected == 26
    assert values_needed(0.02, 0.02, 0.05, floor=0.0125) is None


def test_what_a_thousand_values_would_not_decide_is_not_decided():
    assert values_needed(0.0010414, 0.02, 0.05) == 1000
    assert values_needed(0.0010412, 0.02, 0.05) is None


@pytest.mark.parametrize(("distance", "sd"), [(0.0, 0.01), (math.nan, 0.01), (0.1, math.nan)])
def test_nothing_decides_no_distance(distance, sd):
    assert values_needed(distance, sd, 0.05) is None


def test_what_is_on_the_good_side_needs_values_to_pass_and_what_is_not_to_fail():
    rates = {"alpha": 0.001, "beta": 0.05}
    assert values_to_decide(0.02, -0.02, 0.02, **rates) == values_needed(0.02, 0.02, 0.05)
    assert values_to_decide(-0.02, 0.02, 0.02, **rates) == values_needed(0.02, 0.02, 0.001)
    assert values_to_decide(0.0, 0.03, 0.02, **rates) == values_needed(0.03, 0.02, 0.001)
    assert values_to_decide(0.02, -0.02, 0.02, floor=0.0125, **rates) is None


# The spread itself


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
    ],
)
def test_the_interval_of_a_spread_is_that_of_published_examples(sd, values, low, high):
    found = sd_interval(Spread(sd, values - 1))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-3)


def test_no_spread_has_any_interval():
    assert sd_interval(Spread()) == Interval(0.0, math.inf)
