"""The gate over ratios: verdicts and their error rates."""

import numpy as np
import pytest
from speeds import source, speed

from cnnbench.comparing.ratio_gate import judge, parse_margin
from cnnbench.comparing.ratios import compare_sources
from cnnbench.comparing.speeds import OUT_OF_MEMORY, WRONG_ANSWERS
from cnnbench.verdicts.gates.ratio import RatioRule

RULE = RatioRule(0.05)
STEADY = (0.0100, 0.01002, 0.00998)


def ratio_of(first, later):
    (ratio,) = compare_sources(source("A", first), source("B", later)).ratios
    return ratio


def verdict(first, later, rule=RULE):
    return judge([ratio_of(first, later)], rule)


def slower(share, seconds=STEADY):
    return speed(*(each * (1 + share) for each in seconds))


def test_a_slow_row_fails():
    outcome = verdict(speed(*STEADY), slower(0.3))
    assert (outcome.verdict, outcome.rows[0].verdict) == ("fail", "fail")
    assert outcome.rows[0].p_slower <= RULE.alpha


@pytest.mark.parametrize("share", [-0.5, 0.0, 0.02])
def test_a_row_that_is_not_slower_by_the_margin_passes(share):
    outcome = verdict(speed(*STEADY), slower(share))
    assert outcome.verdict == "pass"
    assert outcome.rows[0].p_margin <= RULE.beta


def test_a_slowdown_that_is_sure_but_small_does_not_fail():
    outcome = verdict(speed(*STEADY), slower(0.04), RatioRule(0.05))
    assert outcome.rows[0].p_slower < 0.01
    assert outcome.verdict == "pass"


def test_noise_is_inconclusive_and_says_how_many_processes_would_do():
    noisy = 0.009, 0.010, 0.011
    outcome = verdict(speed(*noisy), slower(0.02, noisy))
    assert outcome.verdict == "inconclusive"
    assert "--cnnbench-processes=" in outcome.rows[0].reason


def test_a_slowdown_in_noise_says_how_many_processes_would_do():
    noisy = 0.009, 0.010, 0.011
    outcome = verdict(speed(*noisy), slower(0.2, noisy))
    assert outcome.verdict == "inconclusive"
    assert "--cnnbench-processes=" in outcome.rows[0].reason


def test_what_no_number_of_processes_decides_says_so():
    noisy = 0.001, 0.01, 0.1
    outcome = verdict(speed(*noisy), slower(0.049, noisy))
    assert "not even 1000" in outcome.rows[0].reason


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (2, 3), (3, 1)])
def test_fewer_than_three_processes_a_side_never_decide(counts):
    first, later = (STEADY[:count] for count in counts)
    outcome = verdict(speed(*first), slower(2.0, later))
    assert outcome.verdict == "inconclusive"
    assert "--cnnbench-processes=3" in outcome.rows[0].reason


@pytest.mark.parametrize("problem", [OUT_OF_MEMORY, WRONG_ANSWERS])
def test_a_new_problem_fails_however_fast(problem):
    outcome = verdict(speed(*STEADY), speed(0.001, 0.001, 0.001, problems=(problem,)))
    assert outcome.verdict == "fail"
    assert outcome.rows[0].reason == f"{problem} in the later report"


def test_a_problem_of_the_first_report_is_inconclusive():
    outcome = verdict(speed(problems=(OUT_OF_MEMORY,)), speed(*STEADY))
    assert (outcome.verdict, outcome.rows[0].reason) == ("inconclusive", "out of memory (first)")


def test_a_row_without_time_is_inconclusive():
    assert verdict(speed(), speed(*STEADY)).rows[0].reason == "no time on one side"


def test_one_row_that_fails_fails_all():
    good, bad = ratio_of(speed(*STEADY), slower(0)), ratio_of(speed(*STEADY), slower(0.5))
    assert judge([good, bad], RULE).verdict == "fail"
    assert judge([good, ratio_of(speed(0.01), speed(0.01))], RULE).verdict == "inconclusive"


def test_nothing_compared_is_no_pass():
    assert judge([], RULE).verdict == "inconclusive"


def test_a_row_that_went_missing_keeps_the_gate_from_a_pass():
    good = ratio_of(speed(*STEADY), slower(0))
    assert judge([good], RULE, unmatched=1).verdict == "inconclusive"
    assert judge([ratio_of(speed(*STEADY), slower(1))], RULE, unmatched=1).verdict == "fail"


def test_p_values_are_those_of_all_rows_together():
    ratios = [ratio_of(speed(*STEADY), slower(0.1)) for _ in range(5)]
    alone = judge(ratios[:1], RULE).rows[0].p_slower
    assert judge(ratios, RULE).rows[0].p_slower == pytest.approx(min(1, 5 * alone))


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("0.05", 0.05), (" 12.5 % ", 0.125), ("100%", 1.0)]
)
def test_a_margin_is_a_share(text, share):
    assert parse_margin(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "x", "0", "-5%", "nan", "5%x", "1000%", "inf"])
def test_another_margin_is_refused(text):
    with pytest.raises(ValueError, match=r"--fail-on: expected a share.*Received: "):
        parse_margin(text)


# Error rates, with noise between processes that is larger than between rounds


def drawn(rng, sd, slowdown, processes, rows):
    """Return ratios of rows: what a process does, it does to all of its rows in part."""
    sides = []
    for shift in (0.0, slowdown):
        common = rng.normal(0, sd, processes)
        sides.append(
            [
                speed(*np.exp(-4 + shift + 0.6 * common + 0.8 * rng.normal(0, sd, processes)))
                for _ in range(rows)
            ]
        )
    return [ratio_of(*pair) for pair in zip(*sides, strict=True)]


def rates(slowdown, *, rule, processes=4, rows=3, tries=250, sd=0.01, seed=11):
    rng = np.random.default_rng(seed)
    found = [judge(drawn(rng, sd, slowdown, processes, rows), rule).verdict for _ in range(tries)]
    return {name: found.count(name) / tries for name in ("pass", "fail", "inconclusive")}


def test_false_alarms_are_at_most_as_many_as_stated():
    # A margin of next to nothing, so that the test of "not slower" alone decides.
    assert rates(0.0, rule=RatioRule(1e-6, alpha=0.05))["fail"] <= 0.075  # 0.05 and 1.8 errors


def test_rows_that_are_slower_by_the_margin_pass_at_most_as_often_as_stated():
    rule = RatioRule(0.05)
    assert rates(rule.log_margin, rule=rule, rows=1, tries=400)["pass"] <= 0.07


def test_a_slowdown_is_found():
    assert rates(0.25, rule=RULE, processes=5, tries=50)["fail"] > 0.9


def test_no_slowdown_passes():
    assert rates(0.0, rule=RULE, processes=5, tries=50)["pass"] > 0.9
