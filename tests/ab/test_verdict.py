import math

import numpy as np
import pytest

from cnnbench.ab.verdict import Result, Verdict, in_words, judge
from cnnbench.stats.power import values_needed
from cnnbench.stats.sequential import look_plan
from cnnbench.verdicts.gates.ratio import RatioRule

RULE = RatioRule(0.03, looks=(5, 8, 12), narrow=True)
SPREAD = (-1.0, -0.5, 0.0, 0.5, 1.0)


def around(change: float, sd: float, pairs: int) -> list[float]:
    """Log ratios with about this change and spread, the same at every call."""
    shape = [SPREAD[number % 5] for number in range(pairs)]
    return [math.log1p(change) + sd * value / 0.79 for value in shape]


def simulated(change: float, sd: float, times: int) -> list[Result]:
    """Verdicts over drawn log ratios, pairs added until there is one."""
    rng = np.random.default_rng(0)
    results = []
    for _ in range(times):
        values = rng.normal(math.log1p(change), sd, RULE.looks[-1]).tolist()
        found = (judge(values[:look], RULE) for look in RULE.looks)
        results.append(next(result for result in found if result.verdict != "undecided"))
    return results


@pytest.mark.parametrize(
    ("change", "verdict"), [(0.0, "pass"), (-0.5, "pass"), (0.1, "fail"), (9.0, "fail")]
)
def test_a_clear_change_is_decided_at_the_first_look(change: float, verdict: Verdict):
    result = judge(around(change, 0.005, 5), RULE)
    assert (result.verdict, result.looks) == (verdict, (5,))
    assert result.change == pytest.approx(change)


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 6, 7, 29])
def test_between_looks_nothing_is_decided(pairs: int):
    assert judge(around(0.2, 0.005, pairs), RULE).verdict == "undecided"


def test_the_looks_are_those_of_the_plan():
    taken = [judge(around(0, 0.3, pairs), RULE).looks for pairs in range(1, 31)]
    assert [len(looks) for looks in taken] == [
        sum(n >= k for k in RULE.looks) for n in range(1, 31)
    ]
    assert taken[-1] == RULE.looks == look_plan(5, 30)


def test_a_slowdown_below_the_effect_that_matters_does_not_fail():
    result = judge(around(0.02, 0.001, 5), RULE)
    assert result.p_slower < RULE.alpha
    assert result.verdict == "pass"


def test_a_sure_slowdown_below_the_effect_that_matters_does_not_fail():
    result = judge(around(0.025, 0.008, 8), RULE)
    assert result.p_slower < RULE.alpha
    assert result.p_small > RULE.beta
    assert result.verdict == "undecided"


def test_a_slowdown_above_the_effect_that_is_not_sure_does_not_fail():
    result = judge(around(0.05, 0.1, 5) + around(0.05, 0.1, 3)[::-1] + around(0.5, 0, 4), RULE)
    assert result.change > RULE.margin
    assert result.verdict == "undecided"


def test_a_wide_interval_does_not_pass():
    result = judge(around(-0.5, 0.2, 5), RULE)
    assert result.p_small < RULE.beta
    assert result.verdict == "undecided"


@pytest.mark.parametrize("sd", [0.1, 0.15, 0.2, 0.3])
def test_noise_passes_next_to_never(sd: float):
    verdicts = [result.verdict for result in simulated(0.0, sd, 60)]
    assert verdicts.count("pass") <= 0.1 * len(verdicts) * (0.15 / sd > 1)


def test_rates_on_quiet_pairs():
    equal = [result.verdict for result in simulated(0.0, 0.02, 100)]
    slower = [result.verdict for result in simulated(0.05, 0.02, 100)]
    assert equal.count("pass") >= 98
    assert slower.count("fail") >= 98


def test_all_pairs_without_a_verdict_are_inconclusive():
    assert judge(around(0, 0.3, 30), RULE).verdict == "inconclusive"


def test_a_spent_budget_is_inconclusive_and_takes_no_look_of_its_own():
    result = judge(around(0.2, 0.005, 7), RULE, last=True)
    assert (result.verdict, result.looks) == ("inconclusive", (5,))
    assert result.p_slower < RULE.alpha


def test_a_budget_of_one_pair_says_what_it_can():
    result = judge([0.1], RULE, last=True)
    assert (result.verdict, result.looks, result.more_pairs) == ("inconclusive", (), None)
    assert "unknown from so few pairs" in in_words(result, RULE)
    assert result.to_dict()["sd"] is None
    assert result.to_dict()["robust_high"] is None


def test_an_early_look_is_not_forgotten():
    slow_then_equal = around(0.2, 0.005, 5) + around(0.0, 0.005, 3)
    late = judge(slow_then_equal, RULE)
    assert late.p_slower == judge(slow_then_equal[:5], RULE).p_slower < RULE.alpha


def test_advice_is_about_what_is_near():
    almost = judge(around(0.0, 0.05, 8), RULE, last=True)
    assert almost.more_pairs is not None
    assert 1 <= almost.more_pairs <= 20
    assert f"About {almost.more_pairs} more pairs would be needed" in in_words(almost, RULE)
    slow = judge(around(0.2, 0.15, 5), RULE, last=True)
    needed = values_needed(math.log1p(slow.change), slow.sd, RULE.alpha)
    assert needed is not None
    assert slow.more_pairs == needed - 5 > 0


def test_nothing_helps_where_the_change_is_the_one_that_matters():
    result = judge(around(0.03 - 1e-9, 0.2, 30), RULE)
    assert result.more_pairs is None
    assert "Not even 1000 pairs" in in_words(result, RULE)


def test_an_outlier_moves_the_mean_and_hardly_the_robust_estimate():
    values = [*around(0.0, 0.005, 29), 3.0]
    result = judge(values, RULE)
    assert result.change > 0.1
    assert abs(result.robust) < 0.005
    assert result.robust_sd < 0.01 < result.sd


def test_words_hold_every_number():
    result = judge(around(0.1, 0.01, 5), RULE)
    text = in_words(result, RULE)
    for part in ("FAIL", "+10.0%", "95 % interval", "Hodges-Lehmann", "5 pairs", "fails at 0.01"):
        assert part in text
    for part in ("passes at 0.05", "median absolute deviation", "looks after 5", "3.0% or more"):
        assert part in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("values", "start"),
    [
        (around(0.0, 0.005, 5), "PASS: B is not slower by 3.0% or more."),
        (around(0.1, 0.005, 5), "FAIL: B is slower"),
        (around(0.0, 0.3, 30), "INCONCLUSIVE"),
        (around(0.0, 0.3, 5), "Not decided yet."),
    ],
)
def test_words_start_with_the_verdict(values: list[float], start: str):
    assert in_words(judge(values, RULE), RULE).startswith(start)
