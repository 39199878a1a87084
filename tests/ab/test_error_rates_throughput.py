"""Does the throughput gate keep its stated error rates on noise as it was seen on a busy machine?

No bound is exceeded by a gate that is right in one of 1000 cases; the seed is fixed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cnnbench.ab.pairs import ROUNDS
from cnnbench.ab.verdict import judge
from cnnbench.stats.sequential import look_plan
from cnnbench.verdicts.gates.ratio import RatioRule

RULE = RatioRule(0.03, looks=look_plan(5, 12), narrow=True)
BUSY = 0.17  # share of rounds that ran at half speed beside a neighbour


def most(rate: float, of: int) -> int:
    """Returns how many there are at most in 999 of 1000 cases, if the rate is as stated."""
    return int(stats.binom.isf(1e-3, of, rate))


def pairs(rng: np.random.Generator, slower: float, rounds: int) -> list[float]:
    """Returns log ratios of processes that are equal but for this slowdown."""
    shape = (2, RULE.looks[-1], rounds)
    seconds = 0.02 * rng.standard_normal(shape) + math.log(2) * (rng.random(shape) < BUSY)
    process = 0.01 * rng.standard_normal(RULE.looks[-1])
    found = np.median(seconds[1] - seconds[0], axis=1) + process + math.log1p(slower)
    return [float(value) for value in found]


def verdicts(slower: float, rounds: int, sessions: int, rule: RatioRule = RULE) -> Counter[str]:
    """Returns verdicts of comparisons of 5 to 12 pairs of so many rounds each."""
    rng, found = np.random.default_rng(5), Counter[str]()
    for _ in range(sessions):
        ratios = pairs(rng, slower, rounds)
        results = (judge(ratios[:look], rule) for look in rule.looks)
        found[next(one.verdict for one in results if one.verdict != "undecided")] += 1
    return found


# One round a pair has the whole tail; the median of twelve has hardly any of it.
@pytest.mark.parametrize("rounds", [1, ROUNDS])
@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_equal_speeds_alarm_no_more_often_than_stated(rounds: int, alpha: float) -> None:
    found = verdicts(0.0, rounds, 300, replace(RULE, alpha=alpha))
    assert found["fail"] <= most(alpha, 300)


@pytest.mark.parametrize("rounds", [1, ROUNDS])
def test_a_slowdown_that_matters_passes_no_more_often_than_stated(rounds: int) -> None:
    found = verdicts(RULE.margin, rounds, 300)
    assert 1 <= found["pass"] <= most(RULE.beta, 300)


def test_a_slowdown_of_five_percent_is_found_and_equal_speeds_pass() -> None:
    assert verdicts(0.05, ROUNDS, 100)["fail"] >= 90
    assert verdicts(0.0, ROUNDS, 100)["pass"] >= 90
