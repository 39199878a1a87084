from math import inf, nan

import pytest

from cnnbench.stats.intervals import Estimate, Interval
from cnnbench.verdicts.gates.evidence import Levels, advice, between, in_seeds, mean_sd

# Four seeds with a standard deviation of 0.02, so a standard error of 0.01.
SEEN = Estimate(0.80, 0.01, 3)


def test_the_error_rates_are_those_of_the_options():
    assert Levels() == Levels(alpha=0.01, beta=0.05, most=8)


def test_a_mean_has_its_spread_and_the_number_of_seeds():
    # Sample standard deviation of 0.5 and 1: sqrt(0.125) = 0.3536.
    assert mean_sd([0.5, 1.0]) == "0.7500 ± 0.3536 (mean ± sd, n=2 seeds)"


def test_one_seed_has_no_spread():
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
    ],
)
def test_advice_is_the_seeds_that_would_decide(threshold, good, seeds):
    told = advice(SEEN, threshold, 4, Levels(), good=good)
    assert told == f"{seeds} be needed to decide"


def test_stricter_levels_need_more_seeds():
    # t(0.999, n - 1) / sqrt(n) <= 1 holds from n = 15 (3.787 / 3.873).
    strict = Levels(alpha=0.001)
    assert advice(SEEN, 0.82, 4, strict, good=1).startswith("about 11 more seeds")


def test_pictures_that_are_too_few_are_not_mended_by_seeds():
    told = advice(SEEN, 0.78, 4, Levels(), good=1, floor=0.02)
    assert told == "no number of seeds would decide it; more held-out pictures would"


def test_at_the_threshold_no_number_of_seeds_decides():
    assert "no number of seeds" in advice(SEEN, 0.80, 4, Levels(), good=1)


def test_one_seed_says_that_two_are_needed():
    told = advice(Estimate(0.8, nan, 0), 0.7, 1, Levels(), good=1)
    assert (
        told
        == "one seed has no spread; at least two seeds or a known spread would be needed to decide"
    )


@pytest.mark.parametrize(
    ("needed", "more"), [(8, "3 more seeds"), (6, "1 more seed "), (2, "1 more")]
)
def test_at_least_one_more_seed_is_asked_for(needed, more):
    assert in_seeds(needed, 5).startswith(f"about {more}")
