"""The verdict over log ratios of pairs; the rule itself is tested in verdicts/gates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cnnbench.ab.pairs import ROUNDS
from cnnbench.ab.run import in_words, judge
from cnnbench.stats.power import values_needed
from cnnbench.verdicts.gates.ratio import RatioRule

RULE = RatioRule(0.03, looks=(5, 8, 12), narrow=True)


def around(change: float, sd: float, pairs: int) -> list[float]:
    """Log ratios with about this change and spread, the same at every call."""
    shape = [(number % 5 - 2) / 2 for number in range(pairs)]
    return [math.log1p(change) + sd * value / 0.79 for value in shape]


@pytest.mark.parametrize(
    ("change", "verdict"), [(0.0, "pass"), (-0.5, "pass"), (0.1, "fail"), (9.0, "fail")]
)
def test_a_clear_change_is_decided_at_the_first_look(change, verdict):
    result = judge(around(change, 0.005, 5), RULE)
    assert (result.verdict, result.pairs, result.looks) == (verdict, 5, (5,))
    assert result.low < change < result.high
    assert result.change == pytest.approx(change)
    assert result.sd == pytest.approx(0.005, rel=0.01)


@pytest.mark.parametrize("pairs", [2, 3, 4, 6, 7, 11])
def test_between_looks_nothing_is_decided(pairs):
    assert judge(around(0.2, 0.005, pairs), RULE).verdict == "undecided"


def test_noise_is_undecided_until_the_last_look():
    results = [judge(around(0, 0.3, pairs), RULE) for pairs in RULE.looks]
    assert [result.verdict for result in results] == ["undecided", "undecided", "inconclusive"]
    assert [result.looks for result in results] == [(5,), (5, 8), (5, 8, 12)]


def test_a_spent_budget_is_inconclusive_and_takes_no_look_of_its_own():
    result = judge(around(0.2, 0.005, 7), RULE, last=True)
    assert (result.verdict, result.looks) == ("inconclusive", (5,))
    assert result.p_slower < RULE.alpha
    assert "Looks after none." in in_words(judge([0.1, 0.2], RULE, last=True), RULE)


def test_it_says_how_many_more_pairs_would_decide():
    slow = judge(around(0.2, 0.15, 5), RULE, last=True)
    needed = values_needed(math.log1p(slow.change), slow.sd, RULE.alpha)
    assert needed is not None
    assert slow.more_pairs == needed - 5 > 0
    words = f" About {slow.more_pairs} more pairs would be needed to decide."
    assert in_words(slow, RULE).endswith(words)
    assert judge(around(0.2, 0.001, 6), RULE, last=True).more_pairs == 1
    never = judge(around(0.03 - 1e-9, 0.2, 10), RULE, last=True)
    assert in_words(never, RULE).endswith(" Not even 1000 pairs would decide.")


def test_words_hold_every_number():
    result = judge(around(0.1, 0.01, 5), RULE)
    assert in_words(result, RULE) == (
        "FAIL: B is slower, by an estimated 3.0% or more. B's time per picture is +10.0% relative "
        f"to A's (95 % interval {result.low:+.1%} to {result.high:+.1%}), from 5 pairs of fresh "
        "processes with a spread of 1.0%. Looks after 5. "
        f"p = {result.p_slower:.2g} that B is not slower (fails at 0.01), "
        f"p = {result.p_margin:.2g} that B is slower by 3.0% or more (passes at 0.05); both hold "
        "over all looks together."
    )
    passed = judge(around(0.0, 0.005, 5), RULE)
    assert in_words(passed, RULE).startswith("PASS: B is not slower by 3.0% or more. ")
    unsure = judge(around(0.0, 0.3, 12), RULE)
    assert in_words(unsure, RULE).startswith("INCONCLUSIVE: the pairs neither ")


BUSY = 0.17  # of the rounds run at half speed, as measured beside a neighbour
SESSIONS = 200


@pytest.mark.parametrize("rounds", [1, ROUNDS])  # the median of many has hardly any of the tail
@pytest.mark.parametrize(
    ("change", "wrong", "rate"), [(0.0, "fail", RULE.alpha), (RULE.margin, "pass", RULE.beta)]
)
def test_wrong_verdicts_are_as_rare_as_stated(rounds, change, wrong, rate):
    rng, found = np.random.default_rng(5), 0
    for _ in range(SESSIONS):
        shape = (2, RULE.looks[-1], rounds)
        logs = 0.02 * rng.standard_normal(shape) + math.log(2) * (rng.random(shape) < BUSY)
        process = 0.01 * rng.standard_normal(RULE.looks[-1]) + math.log1p(change)
        ratios = [float(ratio) for ratio in np.median(logs[1] - logs[0], axis=1) + process]
        results = (judge(ratios[:look], RULE) for look in RULE.looks)
        found += next(one.verdict for one in results if one.verdict != "undecided") == wrong
    assert found <= stats.binom.isf(1e-3, SESSIONS, rate)
