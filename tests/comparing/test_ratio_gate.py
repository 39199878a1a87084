"""The gate over ratios: verdicts and their error rates."""

import numpy as np
import pytest
from speeds import STEADY, compared, slower, speed

from cnnbench.comparing.ratios import judge_speeds
from cnnbench.comparing.speeds import OUT_OF_MEMORY, WRONG_ANSWERS
from cnnbench.verdicts.gates.ratio import RatioRule

RULE = RatioRule(0.05)
NOISY = (0.009, 0.010, 0.011)


def judged(*pairs, rule=RULE, **options):
    """Returns the verdict over pairs of rows, each with a batch size of its own."""
    sizes = range(1, len(pairs) + 1)
    rows = [
        tuple(
            speed(batch_size=n, processes=side.processes, problems=side.problems) for side in pair
        )
        for n, pair in zip(sizes, pairs, strict=True)
    ]
    return judge_speeds([compared(*rows)], rule, **options)


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.3, "fail"), (0.04, "pass"), (0.0, "pass"), (-0.5, "pass")]
)
def test_a_row_fails_if_it_is_slower_by_the_margin(share, verdict):
    found = judged((speed(*STEADY), slower(share)))
    assert (found.verdict, found.rows[0].verdict) == (verdict, verdict)
    p_values = found.rows[0].found
    assert (p_values.p_margin <= RULE.beta) == (verdict == "pass")
    assert (p_values.p_slower <= RULE.alpha) == (share > 0)  # 4 % is sure, and small


@pytest.mark.parametrize(
    ("share", "seconds", "reason"),
    [
        (0.02, NOISY, "about --cnnbench-processes="),
        (0.2, NOISY, "about --cnnbench-processes="),
        (0.049, (0.001, 0.01, 0.1), "not even 1000"),
    ],
)
def test_noise_is_inconclusive_and_says_how_many_processes_would_do(share, seconds, reason):
    found = judged((speed(*seconds), slower(share, seconds)))
    assert found.verdict == "inconclusive"
    assert reason in found.rows[0].reason


def test_more_processes_are_needed_than_the_larger_side_has():
    few = (0.01, 0.0103, 0.0097)
    found = judged((speed(*few), slower(0.0, few + few)))
    assert "about --cnnbench-processes=7 would" in found.rows[0].reason


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (2, 3), (3, 1)])
def test_fewer_than_three_processes_per_side_never_decide(counts):
    first, later = (STEADY[:count] for count in counts)
    found = judged((speed(*first), slower(2.0, later)))
    assert found.verdict == "inconclusive"
    assert f"{counts[0]} and {counts[1]} processes" in found.rows[0].reason
    assert "--cnnbench-processes=3" in found.rows[0].reason


@pytest.mark.parametrize("problem", [OUT_OF_MEMORY, WRONG_ANSWERS])
def test_a_new_problem_fails_however_fast(problem):
    found = judged((speed(*STEADY), slower(-0.9, problems=(problem,))))
    assert found.verdict == "fail"
    assert found.rows[0].reason == f"{problem} in the later report"


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (speed(problems=(OUT_OF_MEMORY,)), "out of memory (first)"),
        (speed(), "no time on one side"),
    ],
)
def test_a_first_row_without_time_is_inconclusive(first, reason):
    found = judged((first, speed(*STEADY)))
    assert (found.verdict, found.rows[0].reason) == ("inconclusive", reason)


def test_one_row_that_fails_fails_all():
    good, bad, unclear = (
        (speed(*STEADY), slower(0)),
        (speed(*STEADY), slower(0.5)),
        (speed(0.01), speed(0.01)),
    )
    assert judged(good, bad, unclear).verdict == "fail"
    assert judged(good, unclear).verdict == "inconclusive"


def test_a_row_that_went_missing_prevents_a_pass_unless_allowed():
    pairs = [(speed(*STEADY), slower(0)), (speed(*STEADY, dtype="int8"), slower(0, device="gpu"))]
    found = judge_speeds([compared(*pairs)], RULE)
    assert (found.verdict, found.unmatched) == ("inconclusive", 1)
    assert judge_speeds([compared(*pairs)], RULE, allow_missing=True).verdict == "pass"
    assert judge_speeds([compared(pairs[1])], RULE, allow_missing=True).verdict == "inconclusive"


def test_p_values_are_those_of_all_rows_of_all_reports_together():
    pair = speed(*STEADY), slower(0.1)
    alone = judged(pair).rows[0].found.p_slower
    several = judge_speeds([compared(pair)] * 5, RULE)
    assert several.rows[0].found.p_slower == pytest.approx(min(1, 5 * alone))


# Error rates, with noise between processes that is larger than between rounds


def rate(verdict, slowdown, *, rule=RULE, processes=4, rows=3, tries=250, sd=0.01):
    """Returns how often drawn rows get a verdict; what a process does, all rows share in part."""
    rng = np.random.default_rng(11)

    def side(shift):
        common = rng.normal(0, sd, processes)
        own = rng.normal(0, sd, (rows, processes))
        return [speed(*each) for each in np.exp(-4 + shift + 0.6 * common + 0.8 * own)]

    found = [judged(*zip(side(0.0), side(slowdown), strict=True), rule=rule) for _ in range(tries)]
    return sum(one.verdict == verdict for one in found) / tries


def test_false_alarms_are_at_most_as_many_as_stated():
    # A margin of next to nothing, so that the test of "not slower" alone decides.
    assert rate("fail", 0.0, rule=RatioRule(1e-6, alpha=0.05)) <= 0.075  # 0.05 and 1.8 errors


def test_rows_that_are_slower_by_the_margin_pass_at_most_as_often_as_stated():
    assert rate("pass", RULE.log_margin, rows=1, tries=400) <= 0.07


def test_a_slowdown_is_found_and_none_passes():
    assert rate("fail", 0.25, processes=5, tries=50) > 0.9
    assert rate("pass", 0.0, processes=5, tries=50) > 0.9
