"""The verdict over ratios of times, of whatever the estimates are made."""

import math

import pytest
from scipy import stats

from cnnbench.stats.intervals import Estimate
from cnnbench.stats.power import values_needed
from cnnbench.stats.sequential import nominal_levels
from cnnbench.verdicts.gates.ratio import RatioRule, judge_ratios, ratio_values_needed

RULE = RatioRule(0.05)
NARROW = RatioRule(0.05, narrow=True)
LOOKS = RatioRule(0.03, looks=(3, 5, 8), narrow=True)


def ratio(change: float, error: float, df: float = 10) -> Estimate:
    return Estimate(math.log1p(change), error, df)


def verdict(*seen, rule=RULE):
    (found,) = judge_ratios([seen], rule)
    return found.verdict


@pytest.mark.parametrize(
    ("change", "error", "expected", "narrow"),
    [
        (0.3, 0.01, "fail", "fail"),
        (0.3, 0.2, "inconclusive", "inconclusive"),  # not sure that it is slower
        (0.04, 0.001, "pass", "pass"),  # surely slower, but by less than the margin
        (0.04, 0.01, "inconclusive", "inconclusive"),
        (0.0, 0.01, "pass", "pass"),
        (-0.5, 0.02, "pass", "pass"),
        (-0.5, 0.05, "pass", "inconclusive"),
        (0.0, 0.05, "inconclusive", "inconclusive"),  # noise neither passes nor fails
    ],
)
def test_one_look_is_judged_by_both_error_rates(change, error, expected, narrow):
    assert verdict(ratio(change, error)) == expected
    assert verdict(ratio(change, error), rule=NARROW) == narrow


def test_p_values_are_students_and_the_levels_are_the_rules():
    (found,) = judge_ratios([[ratio(0.1, 0.03)]], RULE)
    assert found.p_slower == pytest.approx(stats.t.sf(math.log(1.1) / 0.03, 10))
    assert found.p_margin == pytest.approx(stats.t.sf(math.log(1.05 / 1.1) / 0.03, 10))
    (equal,) = judge_ratios([[ratio(0.0, 0.03)]], RULE)
    for rate, expected in ((1.01, True), (0.99, False)):
        alpha = RatioRule(0.05, alpha=rate * found.p_slower)
        beta = RatioRule(0.05, beta=rate * equal.p_margin)
        assert (verdict(ratio(0.1, 0.03), rule=alpha) == "fail") == expected
        assert (verdict(ratio(0.0, 0.03), rule=beta) == "pass") == expected


def test_ratios_share_alpha_by_holm_and_each_has_its_beta():
    slow, equal = [ratio(0.1, 0.02)], [ratio(0.0, 0.002)]
    alone, *_ = judge_ratios([slow], RULE)
    together = judge_ratios([slow, slow, equal], RULE)
    assert together[0].p_slower == pytest.approx(3 * alone.p_slower)
    assert together[0].p_margin == alone.p_margin
    assert together[2].verdict == "pass"
    assert judge_ratios([], RULE) == []


def test_looks_share_both_error_rates():
    first = nominal_levels(0.01, LOOKS.looks)[0]
    for share, expected in ((0.98, "fail"), (1.05, "inconclusive")):
        error = math.log(1.5) / stats.t.isf(first * share, 4)
        assert verdict(ratio(0.5, error, 4), rule=LOOKS) == expected
    # What the first look saw is not forgotten, but the verdict is about the last estimate.
    sure = ratio(0.2, 0.001, 4)
    later, *_ = judge_ratios([[sure, ratio(0.2, 0.2, 7)]], LOOKS)
    assert (later.verdict, later.p_slower < 0.001) == ("fail", True)
    assert verdict(sure, ratio(0.02, 0.2, 7), rule=LOOKS) == "inconclusive"
    assert verdict(rule=LOOKS) == "inconclusive"


@pytest.mark.parametrize(
    ("value", "sd", "ratios", "rule", "needed"),
    [
        (0.2, 0.1, 1, RULE, values_needed(0.2, 0.1, 0.01)),
        (0.2, 0.1, 5, RULE, values_needed(0.2, 0.1, 0.002)),
        (0.02, 0.1, 5, RULE, values_needed(RULE.log_margin - 0.02, 0.1, 0.05)),
        (RULE.log_margin - 1e-9, 0.1, 1, RULE, None),
        (-0.5, 0.1, 1, NARROW, values_needed(RULE.log_margin, 0.1, 0.025)),
        (0.02, 0.1, 1, NARROW, values_needed(RULE.log_margin - 0.02, 0.1, 0.05)),
        (-0.5, 1.0, 1, NARROW, None),
        (0.2, 0.1, 1, NARROW, values_needed(0.2, 0.1, 0.01)),
    ],
)
def test_as_many_values_are_needed_as_would_decide(value, sd, ratios, rule, needed):
    assert ratio_values_needed(value, sd, rule, ratios) == needed
