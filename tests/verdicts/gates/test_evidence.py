from math import inf

import pytest

from cnnbench.stats.intervals import Estimate, Interval, mean_of
from cnnbench.verdicts.gates.evidence import Levels, between, in_seeds, mean_rule, mean_sd

# Four seeds with a standard deviation of 0.02, so a standard error of 0.01.
SEEN = Estimate(0.80, 0.01, 3)
LEVELS = Levels()


def advice(threshold, good, levels=LEVELS, **changes):
    return mean_rule(SEEN, 4, threshold, levels, good=good, **changes).advice


def test_the_error_rates_are_those_of_the_options():
    assert Levels(alpha=0.01, beta=0.05, most=8) == LEVELS


def test_a_mean_has_its_spread_and_the_number_of_seeds():
    # Sample standard deviation of 0.5 and 1: sqrt(0.125) = 0.3536.
    assert mean_sd([0.5, 1.0]) == "0.7500 ± 0.3536 (mean ± sd, n=2 seeds)"
    assert mean_sd([0.5]) == "0.5000 (n=1 seed)"


def test_an_interval_in_words():
    assert between(Interval(0.25, inf)) == "95 % interval 0.2500 to inf"


@pytest.mark.parametrize(
    ("threshold", "good", "seeds"),
    [
        # A pass at 5 %: t(0.95, n - 1) * 0.02 / sqrt(n) <= 0.02 holds from n = 5 (2.132 / 2.236).
        (0.78, 1, "about 1 more seed would"),
        (0.82, -1, "about 1 more seed would"),
        # A fail at 1 %: t(0.99, n - 1) / sqrt(n) <= 1 holds from n = 9 (2.896 / 3).
        (0.82, 1, "about 5 more seeds would"),
        (0.78, -1, "about 5 more seeds would"),
        (0.80, 1, "no number of seeds would decide it; more held-out pictures would"),
    ],
)
def test_advice_is_the_seeds_that_would_decide(threshold, good, seeds):
    assert advice(threshold, good).startswith(seeds)


def test_stricter_levels_need_more_seeds():
    # t(0.999, n - 1) / sqrt(n) <= 1 holds from n = 15 (3.787 / 3.873).
    assert advice(0.82, 1, Levels(alpha=0.001)).startswith("about 11 more seeds")


def test_pictures_that_are_too_few_are_not_mended_by_seeds():
    told = advice(0.78, 1, pictures=(0.02**2, 99))
    assert told == "no number of seeds would decide it; more held-out pictures would"


def test_one_seed_says_that_two_are_needed():
    told = mean_rule(mean_of([0.8]), 1, 0.7, LEVELS, good=1).advice
    assert told.startswith("one seed has no spread; at least two seeds or a known spread would")


@pytest.mark.parametrize(
    ("needed", "more"), [(7, "2 more seeds"), (6, "1 more seed "), (2, "1 more")]
)
def test_at_least_one_more_seed_is_asked_for(needed, more):
    assert in_seeds(needed, 5).startswith(f"about {more}")
