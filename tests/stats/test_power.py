"""What a test can find, and how many values would decide it."""

import math

import pytest
from scipy import stats

from cnnbench.stats.power import smallest_difference, values_needed


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


@pytest.mark.parametrize(("sd", "values"), [(1.0, 1), (math.nan, 5)])
def test_no_spread_finds_nothing(sd, values):
    assert smallest_difference(sd, values, values, 0.05) == math.inf


@pytest.mark.parametrize(
    ("distance", "sd", "floor", "needed"),
    [
        (0.01, 0.02, 0.0, 13),
        (-0.01, 0.02, 0.0, 13),
        (0.02, 0.02, 0.0, 5),
        (0.02, 0.02, 0.011, 26),
        (0.02, 0.02, 0.0125, None),  # which more values do not lower
        (0.0010414, 0.02, 0.0, 1000),
        (0.0010412, 0.02, 0.0, None),
        (0.0, 0.0, 0.0, None),
        (math.nan, 0.01, 0.0, None),
        (0.1, math.nan, 0.0, None),
    ],
)
def test_values_needed_are_the_least_that_decide(distance, sd, floor, needed):
    assert values_needed(distance, sd, 0.05, floor=floor) == needed
    for n, decided in ((needed, True), (needed - 1, False)) if needed else ():
        t = abs(distance) / math.hypot(sd / math.sqrt(n), floor)
        assert (stats.t.sf(t, n - 1) <= 0.05) == decided
